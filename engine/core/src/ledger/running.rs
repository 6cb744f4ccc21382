//! What is under way, and what a delivery changed.

use crate::debt::DebtId;
use crate::{
    ActivityOptions, Because, Call, Direction, Origin, Payload, Seq, StartChild, Timestamp,
};

/// An activity that has not answered yet.
#[derive(Clone, Debug)]
pub struct Running {
    /// What is asked, and of whom.
    pub call: Call,
    /// Whether it is an action, the probe of one, or the undo of the action at [`Running::of`].
    pub direction: Direction,
    /// The action this serves: itself, or what it undoes, as the run that acted numbers it.
    pub of: Seq,
    /// The run that acted, when it is another one.
    pub origin: Option<Origin>,
    /// Of an undo: why it is owed.
    pub because: Option<Because>,
    /// The attempt under way or next, from 1.
    pub attempt: u32,
    /// How many attempts were lost with their worker.
    pub lost: u32,
    /// How often in a row the attempt that is next was held back, because it could not be sent.
    pub held: u32,
    /// Whether anything of it may have been sent.
    pub sent: bool,
    /// That it may is not in history, but what its owner has to reckon with.
    pub(super) doubted: bool,
    /// When the first attempt was asked for.
    pub since: Timestamp,
    /// When the next attempt is due; `None` while one is under way.
    pub retry_at: Option<Timestamp>,
    /// It waits for an operator.
    pub parked: bool,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
    /// The step's own options, when it overrides its type's.
    pub options: Option<Box<ActivityOptions>>,
    /// What is asked when nobody knows whether it happened.
    pub probe: Option<Box<Call>>,
    /// Of a probe: the action that it asks about.
    pub probed: Option<Box<Probed>>,
    /// Attempts that do not count: made before an operator let it try again, or of the
    /// action before its probe.
    pub(super) before: u32,
    pub(super) inherited: Option<u32>,
    pub(super) undo: Option<Call>,
}

/// An action that nobody knows the outcome of, while its probe is asked.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its name.
    pub activity: String,
    /// What was asked.
    pub request: Payload,
    /// Its own options, when it overrides its type's.
    pub options: Option<Box<ActivityOptions>>,
    /// How many attempts it had.
    pub attempts: u32,
    /// Its last technical failure.
    pub reason: String,
}

impl Running {
    pub(super) fn new(call: Call, direction: Direction, of: Seq, since: Timestamp) -> Self {
        Self {
            call,
            direction,
            of,
            origin: None,
            because: None,
            attempt: 1,
            lost: 0,
            held: 0,
            sent: false,
            doubted: false,
            since,
            retry_at: None,
            parked: false,
            last_failure: None,
            options: None,
            probe: None,
            probed: None,
            before: 0,
            inherited: None,
            undo: None,
        }
    }

    /// Whether an attempt is under way, or left to the next owner.
    pub fn is_under_way(&self) -> bool {
        self.retry_at.is_none() && !self.parked
    }

    /// Which undo this is, when it is one.
    pub(super) fn debt(&self) -> DebtId {
        DebtId { of: self.of, inherited: self.inherited }
    }

    /// The attempts of the action itself, and its last failure.
    pub fn given_up(&self) -> (u32, String) {
        let own = || (self.attempt.saturating_sub(1), self.last_failure.clone());
        let (attempts, reason) = match &self.probed {
            Some(probed) => (probed.attempts, Some(probed.reason.clone())),
            None if self.parked => (self.attempt, self.last_failure.clone()),
            None if self.held > 0 => (self.made_before(), self.last_failure.clone()),
            None => own(),
        };
        (attempts, reason.unwrap_or_default())
    }

    /// Attempts that were made before the one that could not be sent.
    pub fn made_before(&self) -> u32 {
        self.attempt.saturating_sub(1).max(u32::from(self.sent))
    }

    /// Whether history has yet to hear that it may have been sent.
    pub fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Of undos and probes nothing follows from it.
    pub(super) fn doubt(&mut self) {
        if self.direction != Direction::Do {
            return;
        }
        self.doubted |= !self.sent;
        self.sent = true;
    }

    /// An attempt has come to nothing; the next one is another.
    pub(super) fn was_sent(&mut self) {
        self.attempt += 1;
        (self.sent, self.doubted, self.held) = (true, false, 0);
    }

    /// An attempt could not be sent; the next one is the same.
    pub(super) fn hold(&mut self, sent: bool) {
        self.held = self.held.saturating_add(1);
        self.sent |= sent;
        self.doubted &= !sent;
    }

    /// It waits for an operator: what attempts it had have come to nothing.
    pub(super) fn park(&mut self) {
        (self.parked, self.retry_at) = (true, None);
        (self.sent, self.doubted) = (true, false);
    }

    pub(super) fn wait(&mut self, reason: &str, until: Timestamp) {
        self.retry_at = Some(until);
        self.last_failure = Some(reason.to_owned());
    }

    /// Attempts ran out: from here on its probe is asked.
    pub(super) fn verify(&mut self, attempts: u32, reason: &str, at: Timestamp) {
        let Some(probe) = self.probe.take() else { return };
        let Call { activity, request } = std::mem::replace(&mut self.call, *probe);
        let (options, reason) = (self.options.take(), reason.to_owned());
        self.probed = Some(Box::new(Probed { activity, request, options, attempts, reason }));
        self.direction = Direction::Verify;
        self.begin_anew(at);
        (self.retry_at, self.last_failure) = (None, None);
    }

    /// An operator lets it try again, with all its attempts before it.
    pub(super) fn try_again(&mut self, at: Timestamp) {
        self.parked = false;
        self.begin_anew(at);
    }

    /// Attempts keep their numbers, so that a late answer is not taken for a new one.
    fn begin_anew(&mut self, at: Timestamp) {
        self.before = self.attempt;
        self.was_sent();
        (self.lost, self.since) = (0, at);
    }

    /// The attempt under way or next, as its retry policy counts.
    pub fn counted(&self) -> u32 {
        self.attempt.saturating_sub(self.before)
    }
}

/// A child workflow that has not closed yet.
#[derive(Clone, Debug)]
pub struct Child {
    /// What was asked for.
    pub start: StartChild,
    /// When.
    pub since: Timestamp,
    /// Whether it has been asked to cancel.
    pub cancelling: bool,
}

/// What one delivery changed: for the owner to write down and to act on.
#[derive(Debug, Default)]
pub struct News {
    /// Activities whose next attempt is to be made now.
    pub dispatch: Vec<Seq>,
    /// Alarms (timers and retries) that were set.
    pub alarms_set: Vec<(Seq, Timestamp)>,
    /// Alarms that rang or are not needed any more.
    pub alarms_dropped: Vec<(Seq, Timestamp)>,
    /// Children to start.
    pub children: Vec<(Seq, Child)>,
    /// What children are to be told.
    pub orders: Vec<(Seq, Child, Order)>,
    /// Labels that were set.
    pub labels: Vec<(String, String)>,
}

/// What a child is told by its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Undo what you did.
    Cancel,
    /// Stop where you are.
    Terminate,
}

/// What an alarm meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rang {
    /// It was cancelled in the meantime.
    Nothing,
    /// A body's timer: deliver [`crate::Event::Fired`].
    Timer,
    /// The next attempt of an activity is due; it is in the news, unless it is under way.
    Retry,
    /// The run's deadline: deliver [`crate::Event::DeadlinePassed`].
    Deadline,
}
