//! Events as they are read.
//!
//! With the tags of commands beside their own, because a reader that tries one
//! after the other cannot carry a [`Payload`] unread.

use serde::Deserialize;

use super::{
    Call, Cause, ChildOutcome, Command, Continued, Event, Parent, Payload, Seq, StartChild,
    StuckReason, Timestamp, UpdateAnswer,
};
use crate::ActivityOptions;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wire {
    Started {
        input: Payload,
        code: Option<String>,
        deadline: Option<Timestamp>,
        parent: Option<Box<Parent>>,
        continued: Option<Box<Continued>>,
    },
    Done {
        seq: Seq,
        output: Payload,
    },
    Refused {
        seq: Seq,
        error: Payload,
    },
    Unknown {
        seq: Seq,
        attempts: u32,
        reason: String,
    },
    Verifying {
        seq: Seq,
        attempts: u32,
        reason: String,
    },
    NotDone {
        seq: Seq,
        attempts: u32,
        reason: String,
    },
    AttemptFailed {
        seq: Seq,
        attempt: u32,
        reason: String,
        retry_at: Timestamp,
    },
    HeldBack {
        seq: Seq,
        attempt: u32,
        reason: String,
        retry_at: Timestamp,
        #[serde(default)]
        sent: bool,
    },
    AttemptLost {
        seq: Seq,
        attempt: u32,
    },
    Fired {
        seq: Seq,
    },
    ChildClosed {
        seq: Seq,
        outcome: ChildOutcome,
    },
    Signalled {
        name: String,
        id: String,
        payload: Payload,
    },
    UpdateRequested {
        name: String,
        id: String,
        payload: Payload,
    },
    CancelRequested {
        reason: Option<String>,
    },
    DeadlinePassed {},
    Terminated {
        reason: String,
    },
    Retried {
        reason: Option<String>,
    },
    Stuck {
        reason: StuckReason,
        detail: String,
        seq: Option<Seq>,
    },
    Run {
        activity: String,
        request: Payload,
        undo: Option<Call>,
        probe: Option<Box<Call>>,
        options: Option<Box<ActivityOptions>>,
    },
    StartTimer {
        at: Timestamp,
    },
    CancelTimer {
        timer: Seq,
    },
    StartChild(Box<StartChild>),
    CancelChild {
        child: Seq,
    },
    Publish {
        state: Payload,
    },
    Label {
        key: String,
        value: String,
    },
    Answer {
        update: String,
        answer: UpdateAnswer,
    },
    Patched {
        id: String,
    },
    ContinueAsNew {
        input: Payload,
        #[serde(default)]
        carry: bool,
    },
    Pivot {},
    Unwind {
        cause: Cause,
    },
    Undo {
        of: Seq,
        inherited: Option<u32>,
    },
    Complete {
        output: Payload,
    },
    Close {},
}

impl From<Wire> for Event {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Started { input, code, deadline, parent, continued } => {
                Self::Started { input, code, deadline, parent, continued }
            }
            Wire::Done { seq, output } => Self::Done { seq, output },
            Wire::Refused { seq, error } => Self::Refused { seq, error },
            Wire::Unknown { seq, attempts, reason } => Self::Unknown { seq, attempts, reason },
            Wire::Verifying { seq, attempts, reason } => Self::Verifying { seq, attempts, reason },
            Wire::NotDone { seq, attempts, reason } => Self::NotDone { seq, attempts, reason },
            Wire::AttemptFailed { seq, attempt, reason, retry_at } => {
                Self::AttemptFailed { seq, attempt, reason, retry_at }
            }
            Wire::HeldBack { seq, attempt, reason, retry_at, sent } => {
                Self::HeldBack { seq, attempt, reason, retry_at, sent }
            }
            Wire::AttemptLost { seq, attempt } => Self::AttemptLost { seq, attempt },
            Wire::Fired { seq } => Self::Fired { seq },
            Wire::ChildClosed { seq, outcome } => Self::ChildClosed { seq, outcome },
            Wire::Signalled { name, id, payload } => Self::Signalled { name, id, payload },
            Wire::UpdateRequested { name, id, payload } => {
                Self::UpdateRequested { name, id, payload }
            }
            Wire::CancelRequested { reason } => Self::CancelRequested { reason },
            Wire::DeadlinePassed {} => Self::DeadlinePassed {},
            Wire::Terminated { reason } => Self::Terminated { reason },
            Wire::Retried { reason } => Self::Retried { reason },
            Wire::Stuck { reason, detail, seq } => Self::Stuck { reason, detail, seq },
            command => Self::Asked(asked(command)),
        }
    }
}

fn asked(wire: Wire) -> Command {
    match wire {
        Wire::Run { activity, request, undo, probe, options } => {
            Command::Run { activity, request, undo, probe, options }
        }
        Wire::StartTimer { at } => Command::StartTimer { at },
        Wire::CancelTimer { timer } => Command::CancelTimer { timer },
        Wire::StartChild(child) => Command::StartChild(child),
        Wire::CancelChild { child } => Command::CancelChild { child },
        Wire::Publish { state } => Command::Publish { state },
        Wire::Label { key, value } => Command::Label { key, value },
        Wire::Answer { update, answer } => Command::Answer { update, answer },
        Wire::Patched { id } => Command::Patched { id },
        Wire::ContinueAsNew { input, carry } => Command::ContinueAsNew { input, carry },
        Wire::Pivot {} => Command::Pivot {},
        Wire::Unwind { cause } => Command::Unwind { cause },
        Wire::Undo { of, inherited } => Command::Undo { of, inherited },
        Wire::Complete { output } => Command::Complete { output },
        Wire::Close {} => Command::Close {},
        _ => unreachable!("every event has been told apart before"),
    }
}
