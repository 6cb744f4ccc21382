//! Schedules: workflows that are started by the clock.
//!
//! [`Schedule`] says when; it is pure.

mod crontab;
mod interval;
#[cfg(test)]
mod oracle;
mod when;
mod zoned;

pub use when::{Schedule, zones};

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It has another number of fields.
    #[error(
        "`{0}` is no schedule: write five fields (minute, hour, day of month, month, day of week), \
         a nickname such as @daily, or an interval such as `every 15m`"
    )]
    Shape(String),
    /// A field cannot be read.
    #[error("`{part}` is no {field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What stands there.
        part: String,
        /// What may stand there.
        why: String,
    },
    /// No day has that date.
    #[error("`{0}` is never due")]
    Never(String),
    /// An interval cannot be read.
    #[error("`every {0}` is no interval: write `every 15m` or `every 1h phase 5m`, in s, m, h, d")]
    Interval(String),
    /// An interval is out of range.
    #[error("`every {0}`: an interval is 1s to 366d, and its phase is shorter than itself")]
    IntervalRange(String),
    /// It is longer than any schedule.
    #[error("the schedule has {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// There is no such time zone.
    #[error("`{0}` is no time zone: write an IANA name such as Europe/Berlin or UTC")]
    Zone(String),
}
