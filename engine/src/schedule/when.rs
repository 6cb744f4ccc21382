//! When something is due.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::crontab::Crontab;
use super::interval::Interval;
use super::{ScheduleError, zoned};

/// The longest text of a schedule, in bytes.
const TEXT_MAX: usize = 255;

/// When something is due: a crontab line in a time zone, or a fixed interval.
///
/// Pure: it knows no clock, and answers what comes after an instant it is given.
///
/// | text | |
/// |---|---|
/// | `30 2 * * 1-5` | minute, hour, day of month, month, day of week, as in crontab(5) |
/// | `0 9 13 * fri` | the 13th **or** a Friday: either is enough when neither day field has a `*` |
/// | `@hourly` | also `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually` |
/// | `every 15m` | real time, counted from 1970-01-01T00:00:00Z; units are s, m, h, d |
/// | `every 1h phase 5m` | five minutes past each |
///
/// Fields are numbers, names (`jan`, `mon`), ranges, lists and steps; Sunday is 0 or 7. The smallest
/// unit is a minute in a line and a second in an interval. A line ends with the year 2100.
///
/// # Clocks that are put forward and back
///
/// A line that names times of a day is due once a day: a time that is skipped in spring at the
/// instant the clock is put forward, and one that is shown twice in autumn the first time. A line
/// with a `*` as minute or hour follows the clock, and with it real time.
///
/// ```
/// use hansom_engine::schedule::Schedule;
///
/// let nightly = Schedule::parse("30 2 * * *", "Europe/Berlin")?;
/// let saturday = "2027-03-27T12:00:00Z".parse().unwrap();
/// let mut due = nightly.after(saturday).map(|at| at.to_rfc3339());
/// // On the 28th there is no 02:30: 01:59 is followed by 03:00, which is 01:00 UTC.
/// assert_eq!(due.next().as_deref(), Some("2027-03-28T01:00:00+00:00"));
/// assert_eq!(due.next().as_deref(), Some("2027-03-29T00:30:00+00:00"));
/// # Ok::<(), hansom_engine::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Tz,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Line(Box<Crontab>),
    Interval(Interval),
}

impl Schedule {
    /// Reads a schedule, in an IANA time zone such as `Europe/Berlin` or `UTC`.
    ///
    /// # Errors
    ///
    /// What cannot be read, what is never due, and a zone that is not known.
    pub fn parse(text: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone: Tz = zone.parse().map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        let text = text.trim();
        if text.len() > TEXT_MAX {
            return Err(ScheduleError::TooLong { bytes: text.len(), limit: TEXT_MAX });
        }
        let interval = text.strip_prefix("every").filter(|rest| rest.starts_with(' '));
        let (text, rule) = match interval {
            Some(rest) => {
                let interval = Interval::parse(rest.trim())?;
                (interval.text(), Rule::Interval(interval))
            }
            None => (text.to_owned(), Rule::Line(Box::new(Crontab::parse(text)?))),
        };
        Ok(Self { text, zone, rule })
    }

    /// The first instant after `after` at which it is due; none when it never is again.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.rule {
            Rule::Line(line) => zoned::next(line, self.zone, after),
            Rule::Interval(interval) => interval.next(after),
        }
    }

    /// All instants after `after`, in order.
    pub fn after(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next(after), |last| self.next(*last))
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its time zone.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }
}

/// The names of all time zones.
pub fn zones() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}
