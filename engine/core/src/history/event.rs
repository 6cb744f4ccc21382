//! What happened.

use serde::{Deserialize, Serialize};

use super::wire::Wire;
use super::{ChildOutcome, Command, Owed, Parent, Payload, Seq, StuckReason, Timestamp};

/// What has happened, in the order it was committed.
///
/// In JSON each is an object with one key that names it; a command that was
/// asked is named by itself: `{"run":{"activity":"charge_fare", ..}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "Wire")]
pub enum Event {
    /// The workflow was started.
    Started {
        /// The encoded input.
        input: Payload,
        /// The fingerprint of the body it was started with ([`crate::Workflow::CODE`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// It is cancelled if it is still open then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// Who waits for it, when it is a child.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<Parent>>,
        /// What it takes over, when it goes on from another run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continued: Option<Box<Continued>>,
    },
    /// The activity at `seq` answered.
    Done {
        /// Which command.
        seq: Seq,
        /// The encoded output.
        output: Payload,
    },
    /// The activity at `seq` refused: its effect is known not to have happened.
    Refused {
        /// Which command.
        seq: Seq,
        /// The encoded refusal.
        error: Payload,
    },
    /// Retries of the activity at `seq` ran out: its outcome is unknown.
    Unknown {
        /// Which command.
        seq: Seq,
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
    /// Attempts of the activity at `seq` ran out; its probe is asked from here on.
    Verifying {
        /// Which command.
        seq: Seq,
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
    /// Attempts of the activity at `seq` ran out, and its probe says that its effect did not
    /// happen and will not; or, with no attempts, there was none before its workflow unwound, or
    /// before it was given up.
    NotDone {
        /// Which command.
        seq: Seq,
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
    /// One attempt failed technically; the next one counts from here.
    AttemptFailed {
        /// Which command.
        seq: Seq,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// What went wrong.
        reason: String,
        /// When the next attempt is due.
        retry_at: Timestamp,
    },
    /// An attempt could not be sent, and is held back: it does not count.
    HeldBack {
        /// Which command.
        seq: Seq,
        /// The attempt that was not sent, from 1; the next one has the same number.
        attempt: u32,
        /// Why it was not sent.
        reason: String,
        /// When it is tried again.
        retry_at: Timestamp,
        /// An earlier try of it may have been sent after all: by an owner that did not see its
        /// end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sent: bool,
    },
    /// The worker was lost with an attempt in flight; the next one counts from here.
    AttemptLost {
        /// Which command.
        seq: Seq,
        /// The attempt that was lost, from 1.
        attempt: u32,
    },
    /// The timer at `seq` fired.
    Fired {
        /// Which command.
        seq: Seq,
    },
    /// The child at `seq` closed.
    ChildClosed {
        /// The [`Command::StartChild`].
        seq: Seq,
        /// How.
        outcome: ChildOutcome,
    },
    /// A signal arrived.
    Signalled {
        /// [`crate::Signal::NAME`].
        name: String,
        /// The sender's id of it; a repetition is dropped.
        id: String,
        /// The encoded signal.
        payload: Payload,
    },
    /// An update arrived, and its sender waits for an answer.
    UpdateRequested {
        /// [`crate::Update::NAME`].
        name: String,
        /// The sender's id of it; a repetition hears the same answer.
        id: String,
        /// The encoded update.
        payload: Payload,
    },
    /// Someone asked for a cancellation.
    CancelRequested {
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It was still open at its deadline.
    DeadlinePassed {},
    /// An operator closed it where it was: what it owes stays owed.
    Terminated {
        /// In their words.
        reason: String,
    },
    /// An operator lets a stuck run try again.
    Retried {
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It will not move without an operator.
    Stuck {
        /// Stable code.
        reason: StuckReason,
        /// What a person needs to know.
        detail: String,
        /// The step that it is stuck at, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<Seq>,
    },
    /// A command was accepted. The first attempt of an activity counts from here.
    #[serde(untagged)]
    Asked(Command),
}

impl Event {
    /// A start with nothing but an input.
    pub fn started(input: Payload) -> Self {
        Self::Started { input, code: None, deadline: None, parent: None, continued: None }
    }

    /// Whether it says that the body is left alone, because it has taken worker after worker down.
    pub fn parks_body(&self) -> bool {
        matches!(self, Self::Stuck { reason: StuckReason::Poison, seq: None, .. })
    }
}

/// What a run takes over from the one before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continued {
    /// The run before, as a UUID.
    pub run: String,
    /// Undos that it owed, in order of completion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
    /// The last messages that were heard before ([`crate::Ledger::heard`]): a repetition is
    /// dropped here as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<String>,
}
