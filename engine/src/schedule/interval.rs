//! Fixed intervals: real time, whatever clocks on walls do.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{ScheduleError, duration};

/// The longest interval, in seconds: a leap year.
const LONGEST: u64 = 366 * 86_400;

/// Due at 1970-01-01T00:00:00Z plus `phase`, and every so many seconds before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    every: i64,
    phase: i64,
}

impl Interval {
    /// What follows the word `every`: `15m`, or `1h30m phase 5m`.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let seconds = |text| duration::parse(text).map(|duration| duration.as_secs());
        let (every, phase) = match words[..] {
            [every] => (seconds(every), Some(0)),
            [every, "phase", phase] => (seconds(every), seconds(phase)),
            _ => (None, None),
        };
        let (Some(every), Some(phase)) = (every, phase) else {
            return Err(ScheduleError::Interval(text.to_owned()));
        };
        if !(1..=LONGEST).contains(&every) || phase >= every {
            return Err(ScheduleError::IntervalRange(text.to_owned()));
        }
        let int = |seconds: u64| i64::try_from(seconds).expect("at most a year");
        Ok(Self { every: int(every), phase: int(phase) })
    }

    pub(super) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let since = after.timestamp().checked_sub(self.phase)?;
        let next = since.div_euclid(self.every).checked_add(1)?;
        let next = next.checked_mul(self.every)?.checked_add(self.phase)?;
        DateTime::from_timestamp_secs(next)
    }

    pub(super) fn text(&self) -> String {
        let show = |seconds: i64| duration::show(Duration::from_secs(seconds.unsigned_abs()));
        match self.phase {
            0 => format!("every {}", show(self.every)),
            phase => format!("every {} phase {}", show(self.every), show(phase)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_keeps_its_phase_whenever_one_looks() {
        let interval = Interval::parse("1h30m phase 10m").unwrap();
        let mut at = DateTime::parse_from_rfc3339("2026-11-21T10:07:30Z").unwrap().to_utc();
        let mut last: Option<DateTime<Utc>> = None;
        for _ in 0..100 {
            let next = interval.next(at).unwrap();
            assert_eq!((next.timestamp() - 600) % 5_400, 0);
            assert!(next > at && (next - at).num_seconds() <= 5_400);
            if let Some(last) = last {
                assert!(next == last || (next - last).num_seconds() == 5_400);
            }
            (last, at) = (Some(next), at + chrono::TimeDelta::seconds(1_234));
        }
        assert_eq!(interval.text(), "every 90m phase 10m");
    }

    #[test]
    fn the_instant_itself_is_not_after_itself() {
        let interval = Interval::parse("10s").unwrap();
        let at = DateTime::from_timestamp_secs(1_000).unwrap();
        assert_eq!(interval.next(at).unwrap().timestamp(), 1_010);
        let before = DateTime::from_timestamp_secs(-995).unwrap();
        assert_eq!(interval.next(before).unwrap().timestamp(), -990);
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "15x",
            "1.5h",
            "-1s",
            "0s",
            "15m phase",
            "15m phase 15m",
            "15m at 3m",
            "367d",
            "99999999999999999999d",
            "9999999999999999999s",
            "15m phase 1",
        ] {
            assert!(Interval::parse(text).is_err(), "{text}");
        }
    }
}
