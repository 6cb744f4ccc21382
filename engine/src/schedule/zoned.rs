//! From the clock's face to real time, where clocks are put forward and back.
//!
//! * A line with a `*` as minute or hour **follows the clock**: it is due
//!   whenever the clock shows its time. What is skipped in spring is not due,
//!   and what is shown twice in autumn is due twice: `*/15 * * * *` is every 15
//!   minutes of real time on those days too.
//! * Every other line names **times of a day**, and each is due once a day: one
//!   that is skipped in spring at the instant the clock is put forward, and one
//!   that is shown twice in autumn the first time.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{GapInfo, Tz};

use super::crontab::Crontab;

/// The first instant after `after` at which the line is due in that zone.
pub(super) fn next(line: &Crontab, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if line.follows_clock {
        let ahead = shown(line, zone, after, face(zone, after));
        let again = turned_back(zone, after).and_then(|(turn, first)| {
            // What the clock shows once more, from the moment it is put back.
            shown(line, zone, turn - TICK, first - TICK)
        });
        ahead.into_iter().chain(again).min()
    } else {
        once_a_day(line, zone, after)
    }
}

/// The smallest difference between two times a line can name, and more.
const TICK: TimeDelta = TimeDelta::seconds(1);

fn face(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    zone.from_utc_datetime(&at.naive_utc()).naive_local()
}

/// The first instant after `after` of those at which the clock shows a time
/// that is due and later than `from`.
fn shown(
    line: &Crontab,
    zone: Tz,
    after: DateTime<Utc>,
    mut from: NaiveDateTime,
) -> Option<DateTime<Utc>> {
    loop {
        from = line.next(from)?;
        let shown = zone.from_local_datetime(&from);
        let instants = [shown.earliest(), shown.latest()].into_iter().flatten();
        let next = instants.map(|at| at.to_utc()).filter(|at| *at > after).min();
        if next.is_some() {
            return next;
        }
    }
}

/// Each time of the day once.
fn once_a_day(line: &Crontab, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut from = face(zone, after);
    loop {
        from = line.next(from)?;
        let at = match zone.from_local_datetime(&from).earliest() {
            Some(at) => Some(at),
            None => GapInfo::new(&from, &zone).and_then(|gap| gap.end),
        };
        if let Some(at) = at.map(|at| at.to_utc()).filter(|at| *at > after) {
            return Some(at);
        }
    }
}

/// When `at` is a moment whose face will be shown a second time: when the clock
/// is put back, and what it shows then.
fn turned_back(zone: Tz, at: DateTime<Utc>) -> Option<(DateTime<Utc>, NaiveDateTime)> {
    let shown = zone.from_local_datetime(&face(zone, at));
    let again = shown.latest()?.to_utc();
    if again <= at {
        return None;
    }
    let before = face(zone, at) - at.naive_utc();
    let (mut low, mut high) = (at, again);
    while high - low > TICK {
        let middle = low + (high - low) / 2;
        if face(zone, middle) - middle.naive_utc() == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Clocks are put back on a full second.
    let turn = DateTime::from_timestamp_secs(high.timestamp())?;
    Some((turn, face(zone, turn)))
}

#[cfg(test)]
mod tests {
    use crate::schedule::Schedule;

    /// The next few, as the zone's clock shows them.
    fn due(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(line, zone).unwrap();
        let zone: chrono_tz::Tz = zone.parse().unwrap();
        let due = schedule.after(after.parse().unwrap()).take(count);
        due.map(|at| at.with_timezone(&zone).format("%d %H:%M %Z").to_string()).collect()
    }

    #[test]
    fn a_nightly_job_in_the_gap_is_due_once_when_the_clock_is_put_forward() {
        let nights = due("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", 3);
        assert_eq!(nights, ["27 02:30 CET", "28 03:00 CEST", "29 02:30 CEST"]);
        // Several in the gap, and one at its very end, are one.
        let many = due("0,30 2,3 * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 3);
        assert_eq!(many, ["28 03:00 CEST", "28 03:30 CEST", "29 02:00 CEST"]);
        // Where midnight itself does not exist.
        let midnight = due("@daily", "Asia/Beirut", "2027-03-26T22:00:00Z", 3);
        assert_eq!(midnight, ["28 01:00 EEST", "29 00:00 EEST", "30 00:00 EEST"]);
    }

    #[test]
    fn a_nightly_job_is_due_once_where_the_clock_shows_its_time_twice() {
        let nights = due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(nights, ["25 02:30 CEST", "26 02:30 CET"]);
        // Also for whoever asks between the two.
        let between = due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1);
        assert_eq!(between, ["26 02:30 CET"]);
    }

    #[test]
    fn every_quarter_of_an_hour_is_real_time_on_both_days() {
        for day in ["2027-03-28T00:20:00Z", "2026-10-24T23:20:00Z", "2026-10-25T00:20:00Z"] {
            let schedule = Schedule::parse("*/15 * * * *", "Europe/Berlin").unwrap();
            let due: Vec<_> = schedule.after(day.parse().unwrap()).take(12).collect();
            assert!(due.windows(2).all(|two| (two[1] - two[0]).num_minutes() == 15), "{due:?}");
        }
        let hourly = due("30 * * * *", "Europe/Berlin", "2026-10-24T23:40:00Z", 4);
        assert_eq!(hourly, ["25 02:30 CEST", "25 02:30 CET", "25 03:30 CET", "25 04:30 CET"]);
    }

    #[test]
    fn a_day_that_does_not_exist_is_made_up_for_when_the_next_begins() {
        // Samoa went from the 29th of December 2011 straight to the 31st.
        let days = due("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
        assert_eq!(days, ["29 12:00 -10", "31 00:00 +14", "31 12:00 +14"]);
    }

    #[test]
    fn half_an_hour_is_also_a_change() {
        let days = due("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2);
        assert_eq!(days, ["04 02:30 +11", "05 02:15 +11"]);
        let days = due("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", 2);
        assert_eq!(days, ["04 01:45 +11", "05 01:45 +1030"]);
    }
}
