//! What was asked.

use serde::{Deserialize, Serialize};

use super::{Call, Payload, Seq, StartChild, Timestamp};
use crate::ActivityOptions;

/// What a workflow asks of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Run an activity; should the saga unwind, run `undo`.
    Run {
        /// [`crate::Activity::NAME`].
        activity: String,
        /// The encoded request.
        request: Payload,
        /// Its compensation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<Call>,
        /// What is asked when nobody knows whether it happened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<Box<Call>>,
        /// Overrides of the activity type's own options.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<Box<ActivityOptions>>,
    },
    /// Wake the workflow at a time.
    StartTimer {
        /// When, by the database's clock.
        at: Timestamp,
    },
    /// Forget a timer that has not fired.
    CancelTimer {
        /// The [`Command::StartTimer`].
        timer: Seq,
    },
    /// Start a child workflow.
    StartChild(Box<StartChild>),
    /// Ask a child to cancel.
    CancelChild {
        /// The [`Command::StartChild`].
        child: Seq,
    },
    /// Show a state to whoever asks. What is shown decides nothing, so that
    /// another binary may show it differently.
    Publish {
        /// The encoded state; it replaces the one before.
        state: Payload,
    },
    /// Set a label, to be found by.
    Label {
        /// Which.
        key: String,
        /// It replaces the one before.
        value: String,
    },
    /// Answer an update.
    Answer {
        /// The sender's id of it.
        update: String,
        /// What the body says.
        answer: UpdateAnswer,
    },
    /// This run began with a change of its body in place.
    Patched {
        /// The author's name of the change.
        id: String,
    },
    /// Close, and go on in another run of the same id.
    ContinueAsNew {
        /// The encoded input of the next run.
        input: Payload,
        /// Whether the next run takes over the undos that are owed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        carry: bool,
    },
    /// Pass the point of no return.
    Pivot {},
    /// Give up and compensate. From here on the body is not needed any more.
    Unwind {
        /// Why.
        cause: Cause,
    },
    /// Compensate the action at `of` with the undo recorded there.
    Undo {
        /// The action being undone, as the run that did it numbers it.
        of: Seq,
        /// Of undos that came from another run, in order of arrival from 0: which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inherited: Option<u32>,
    },
    /// Close: the body returned `Ok`.
    Complete {
        /// The encoded output.
        output: Payload,
    },
    /// Close an unwound workflow, as [`Command::Unwind`] said.
    Close {},
}

/// A body's answer to an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateAnswer {
    /// It is done.
    Done {
        /// The encoded output.
        output: Payload,
    },
    /// It is not, and why.
    Refused {
        /// The encoded refusal.
        error: Payload,
    },
}

/// Why a workflow unwinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The body returned `Err`.
    Failed {
        /// The encoded error.
        error: Payload,
    },
    /// Someone asked for it.
    Cancelled,
    /// It was still open at its deadline.
    DeadlinePassed,
}
