//! Schedules: workflows that are started by the clock.
//!
//! [`Schedule`] says when, and is pure. A [`Definition`] also says what is started, and what if the
//! run before is still open or nobody was there: it is kept under an id by
//! [`Client::create_schedule`](crate::Client::create_schedule), and carried out by whichever worker
//! owns its partition. Every nominal time ends as one [`Fire`], whatever became of it.
//!
//! ```no_run
//! # async fn example(client: hansom_engine::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use std::collections::BTreeMap;
//! use hansom_engine::hansom_core::Payload;
//! use hansom_engine::schedule::{Action, Definition, Overlap, Policy, When};
//!
//! let definition = Definition {
//!     action: Action {
//!         workflow_type: "close_the_books".to_owned(),
//!         workflow_id_prefix: "books".to_owned(),
//!         input: Payload::of(&())?,
//!         labels: BTreeMap::new(),
//!     },
//!     when: When::new("30 2 * * *", "Europe/Berlin"),
//!     policy: Policy { overlap: Overlap::BufferOne, ..Policy::default() },
//! };
//! client.create_schedule("books", &definition, None).await?;
//! client.pause_schedule("books", Some("audit")).await?;
//! # Ok(()) }
//! ```

mod crontab;
mod decide;
#[cfg(test)]
mod decisions;
mod definition;
mod duration;
mod interval;
#[cfg(test)]
mod oracle;
mod view;
mod when;
mod zoned;

pub(crate) use decide::{BUFFER_MAX, Buffered, Decision, End, Run, Seen, State, decide};
pub(crate) use definition::{Timetable, workflow_id};

pub use definition::{Action, Definition, Overlap, Policy, When};
pub use view::{Asked, Cause, Fire, Outcome, ScheduleDescription, ScheduleSummary, Standing};
pub use when::{Schedule, zones};

/// Reads a duration to the second: `90s`, `15m`, `1h30m`, `7d`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    duration::parse(text)
}

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
    /// Something beside the time is out of range.
    #[error("`{field}` is {why}")]
    Range {
        /// What.
        field: &'static str,
        /// The range.
        why: String,
    },
    /// There is no such time zone.
    #[error("`{0}` is no time zone: write an IANA name such as Europe/Berlin or UTC")]
    Zone(String),
}
