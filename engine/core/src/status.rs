//! The words for where a workflow is, and for how it ended.

use serde::Serialize;

use crate::Payload;

/// Where a workflow is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On its way.
    #[default]
    Running,
    /// Undoing what it did.
    Compensating,
    /// Open, and will not move without an operator.
    Stuck,
    /// Closed: the body returned `Ok`.
    Completed,
    /// Closed: the body returned `Err`, and what it did is undone.
    Failed,
    /// Closed: cancelled, and what it did is undone.
    Cancelled,
    /// Closed by an operator where it was: what it owed stays owed.
    Terminated,
    /// Closed: it goes on in the next run of its id.
    Continued,
}

impl Status {
    /// Whether nothing more will happen.
    pub fn is_closed(self) -> bool {
        !matches!(self, Self::Running | Self::Compensating | Self::Stuck)
    }
}

/// Where a workflow's undos are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoStatus {
    /// Nothing to undo.
    None,
    /// Undos are recorded that would have to run if it unwound now.
    Owed,
    /// All that was owed has been undone.
    Done,
    /// Some undos are done, and some that were tried are still owed.
    Partial,
}

/// How a workflow ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// A closed one.
    pub status: Status,
    /// What it returned, when it completed.
    pub output: Option<Payload>,
    /// Why it failed, when it did.
    pub error: Option<Payload>,
}
