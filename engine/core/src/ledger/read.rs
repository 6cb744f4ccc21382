//! Looking at what history adds up to.

use std::collections::BTreeMap;

use super::{Child, Ledger, Running};
use crate::{
    Cause, ChildOutcome, Command, Outcome, Owed, Parent, Payload, Seq, Status, StuckReason,
    Timestamp,
};

impl Ledger {
    /// Where it is in its life.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it is stuck, when it is.
    pub fn stuck(&self) -> Option<&(StuckReason, String)> {
        self.progress.stuck.as_ref().filter(|_| self.status == Status::Stuck)
    }

    /// Whether it passed its point of no return.
    pub fn pivoted(&self) -> bool {
        self.progress.pivoted
    }

    /// How this command closes it, if it does.
    pub(crate) fn closed_by(&self, command: &Command) -> Option<Status> {
        match command {
            Command::Complete { .. } => Some(Status::Completed),
            Command::ContinueAsNew { .. } => Some(Status::Continued),
            Command::Close {} => Some(match self.progress.cause {
                Some(Cause::Failed { .. }) | None => Status::Failed,
                Some(Cause::Cancelled | Cause::DeadlinePassed) => Status::Cancelled,
            }),
            _ => None,
        }
    }

    /// Why it unwinds or unwound.
    pub fn cause(&self) -> Option<&Cause> {
        self.progress.cause.as_ref()
    }

    /// How it ended, once it is closed.
    pub fn outcome(&self) -> Option<Outcome> {
        let error = match &self.progress.cause {
            Some(Cause::Failed { error }) => Some(error.clone()),
            Some(Cause::Cancelled | Cause::DeadlinePassed) | None => None,
        };
        let output = self.progress.output.clone();
        self.status.is_closed().then_some(Outcome { status: self.status, output, error })
    }

    /// What its parent hears, once it is closed for good; `leave` says how an undo of this
    /// run is left to another.
    pub fn report(&self, leave: impl Fn(Owed) -> Owed) -> Option<ChildOutcome> {
        Some(match self.status {
            Status::Completed => ChildOutcome::Completed {
                output: self.progress.output.clone()?,
                owed: self.bequest(leave),
            },
            Status::Failed => match self.progress.cause.as_ref()? {
                Cause::Failed { error } => ChildOutcome::Failed { error: error.clone() },
                Cause::Cancelled | Cause::DeadlinePassed => return None,
            },
            Status::Cancelled => ChildOutcome::Cancelled {},
            Status::Terminated => ChildOutcome::Terminated {},
            Status::Running | Status::Compensating | Status::Stuck | Status::Continued => {
                return None;
            }
        })
    }

    /// The undos it left to its parent or its successor, in order of completion.
    pub fn bequest(&self, leave: impl Fn(Owed) -> Owed) -> Vec<Owed> {
        self.progress.bequest.iter().cloned().map(leave).collect()
    }

    /// What the next run of its id is started with, when it went on in one.
    pub fn next_input(&self) -> Option<&Payload> {
        self.progress.next_input.as_ref()
    }

    /// The state that its body published last.
    pub fn published(&self) -> Option<&Payload> {
        self.progress.published.as_ref()
    }

    /// Who waits for it, when it is a child.
    pub fn parent(&self) -> Option<&Parent> {
        self.birth.parent.as_deref()
    }

    /// When it is cancelled if it is still open.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.birth.deadline
    }

    /// The fingerprint of the body that it was started with.
    pub fn code(&self) -> Option<&str> {
        self.birth.code.as_deref()
    }

    /// How many events its history has.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// How many commands its history has.
    pub fn commands(&self) -> u32 {
        self.commands
    }

    /// Activities that have not answered yet.
    pub fn running(&self) -> &BTreeMap<Seq, Box<Running>> {
        &self.running
    }

    /// Children that have not closed yet.
    pub fn children(&self) -> &BTreeMap<Seq, Child> {
        &self.children
    }

    /// How many undos are owed, but for what is in flight.
    pub(crate) fn debts(&self) -> usize {
        self.debts.len()
    }

    /// When each pending timer or retry is due.
    pub fn alarms(&self) -> &BTreeMap<Seq, Timestamp> {
        &self.alarms
    }

    /// Whether a signal with this id has arrived before.
    pub fn has_seen(&self, signal_id: &str) -> bool {
        self.seen.has(&format!("signal:{signal_id}"))
    }

    /// Whether an update with this id has arrived before.
    pub fn has_seen_update(&self, update_id: &str) -> bool {
        self.seen.has(&format!("update:{update_id}"))
    }

    /// The last messages that have arrived, at most 256, as `signal:id` and `update:id`: what a
    /// run that follows this one knows of them.
    pub fn heard(&self) -> Vec<String> {
        self.seen.last()
    }
}
