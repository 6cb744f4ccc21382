//! Undos that are owed, and the plan in which they would be paid.

use serde::Serialize;

use crate::{Call, Payload, Seq};

/// Why an undo is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The action was done.
    Done,
    /// Nobody knows whether the action was done.
    Unknown,
    /// The action has not answered yet; it is waited for first.
    InFlight,
}

/// One line of an undo plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedUndo {
    /// The action to be undone.
    pub of: Seq,
    /// The activity that undoes it.
    pub activity: String,
    /// What that activity will be asked.
    pub request: Payload,
    /// Why it is owed.
    pub because: Because,
    /// Whether it was tried until its attempts ran out.
    pub exhausted: bool,
}

/// An undo that is owed.
#[derive(Debug)]
pub(crate) struct Debt {
    pub(crate) of: Seq,
    pub(crate) undo: Call,
    pub(crate) because: Because,
    pub(crate) exhausted: bool,
}
