//! Undos that are owed, and the plan in which they would be paid.

use serde::{Deserialize, Serialize};

use crate::{Call, Origin, Owed, Payload, Seq};

/// Why an undo is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The action to be undone, as the run that did it numbers it.
    pub of: Seq,
    /// Of undos that came from another run (a child, or the run before), in order of
    /// arrival from 0: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited: Option<u32>,
    /// The run that acted, when it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The activity that undoes it.
    pub activity: String,
    /// What that activity will be asked.
    pub request: Payload,
    /// Why it is owed.
    pub because: Because,
    /// Whether it was tried until its attempts ran out.
    pub exhausted: bool,
}

/// Which undo: that of an action of this run, or the n-th that came from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DebtId {
    pub(crate) of: Seq,
    pub(crate) inherited: Option<u32>,
}

/// An undo that is owed.
#[derive(Debug)]
pub(crate) struct Debt {
    pub(crate) id: DebtId,
    pub(crate) origin: Option<Origin>,
    pub(crate) undo: Call,
    pub(crate) because: Because,
    pub(crate) exhausted: bool,
}

impl Debt {
    pub(crate) fn planned(&self) -> PlannedUndo {
        PlannedUndo {
            of: self.id.of,
            inherited: self.id.inherited,
            origin: self.origin.clone(),
            activity: self.undo.activity.clone(),
            request: self.undo.request.clone(),
            because: self.because,
            exhausted: self.exhausted,
        }
    }

    /// As it is left to another run.
    pub(crate) fn owed(self) -> Owed {
        let Self { id, origin, undo, because, .. } = self;
        Owed { of: id.of, origin, undo, because }
    }
}
