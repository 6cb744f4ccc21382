//! What runs say to one another: parent and child, and a run and its successor.

use serde::{Deserialize, Serialize};

use super::{Call, Payload, Seq};
use crate::Because;

/// A child workflow, as its parent asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartChild {
    /// [`crate::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Unique per namespace, as every workflow id.
    pub workflow_id: String,
    /// The encoded input.
    pub input: Payload,
    /// What becomes of it when its parent closes first.
    #[serde(default, skip_serializing_if = "ParentClose::is_default")]
    pub on_parent_close: ParentClose,
}

/// What becomes of a child that is still open when its parent closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentClose {
    /// It is asked to cancel, and undoes what it did.
    #[default]
    Cancel,
    /// It is terminated: what it owes stays owed.
    Terminate,
    /// It goes on alone.
    Abandon,
}

impl ParentClose {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whose child a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent, as its starter named it.
    pub workflow_id: String,
    /// Its run, as a UUID.
    pub run: String,
    /// Which execution of its id that run is, from 1.
    pub run_no: i32,
    /// The command of the parent's that started this run.
    pub seq: Seq,
}

/// How a child ended, as its parent hears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildOutcome {
    /// Its body returned `Ok`. Should the parent unwind, it undoes what the child did.
    Completed {
        /// The encoded output.
        output: Payload,
        /// The child's undos, in order of completion; none past its point of no return.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        owed: Vec<Owed>,
    },
    /// Its body returned `Err`, and what it did is undone.
    Failed {
        /// The encoded error.
        error: Payload,
    },
    /// It was cancelled, and what it did is undone.
    Cancelled {},
    /// An operator ended it; what it owed stays owed, and is listed there.
    Terminated {},
    /// It never began: another workflow has the id.
    Taken {},
}

/// The run that did what an inherited undo undoes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The workflow, as its starter named it.
    pub workflow_id: String,
    /// The run, as a UUID.
    pub run: String,
}

/// An undo that one run leaves to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// The action to be undone, as its own run numbers it.
    pub of: Seq,
    /// The run that acted; its keys are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What undoes it.
    pub undo: Call,
    /// Why it is owed.
    pub because: Because,
}
