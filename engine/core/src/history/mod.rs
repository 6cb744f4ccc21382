//! The vocabulary of history: what was asked, and what has happened since.
//!
//! The JSON of these types is the format on disk. A tag or a field, once
//! released, keeps its name for ever.

mod child;
mod command;
mod event;
mod payload;
mod wire;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use child::{ChildOutcome, Origin, Owed, Parent, ParentClose, StartChild};
pub use command::{Cause, Command, UpdateAnswer};
pub use event::{Continued, Event};
pub use payload::Payload;

/// Position of a command within one run, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u32);

impl Seq {
    /// What the alarm of a run's deadline is set under; no command is ever that far.
    pub const DEADLINE: Self = Self(i32::MAX as u32);
}

/// Microseconds since 1970-01-01T00:00:00Z, by the database's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much later; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// A request to run an activity, with its types erased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// [`crate::Activity::NAME`].
    pub activity: String,
    /// The encoded request.
    pub request: Payload,
}

/// Why a workflow will not move without an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckReason {
    /// The code no longer agrees with its history.
    Nondeterminism,
    /// The body panicked.
    Panic,
    /// A stored payload does not have the shape the code expects.
    Payload,
    /// An undo ran out of attempts; it stays owed.
    UndoExhausted,
    /// The workers that ran it were lost again and again.
    Poison,
    /// This binary has no workflow of that type.
    UnknownType,
    /// The body returned `Err` past its point of no return.
    FailedAfterPivot,
    /// The history passed its limit.
    HistoryLimit,
    /// The body asked for more than the engine carries; the detail names the limit.
    Limit,
    /// Nobody knows the outcome of a step, and the step asks for a person then
    /// ([`crate::OnUnknown::Park`]).
    OutcomeUnknown,
}

impl StuckReason {
    /// The code, as stored.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nondeterminism => "nondeterminism",
            Self::Panic => "panic",
            Self::Payload => "payload",
            Self::UndoExhausted => "undo_exhausted",
            Self::Poison => "poison",
            Self::UnknownType => "unknown_type",
            Self::FailedAfterPivot => "failed_after_pivot",
            Self::HistoryLimit => "history_limit",
            Self::Limit => "limit",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }
}
