//! What history adds up to: status, work in flight, alarms, and owed undos.
//!
//! A pure fold over events that needs no body: owed undos can be shown,
//! planned and run from data alone, also for a workflow whose code is gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::debt::{Because, Debt, PlannedUndo};
use crate::{
    ActivityOptions, Call, Cause, Command, Direction, Event, Outcome, Payload, Seq, Status,
    StuckReason, Timestamp, UndoStatus,
};

/// An activity that has not answered yet.
#[derive(Clone, Debug)]
pub struct Running {
    /// What is asked, and of whom.
    pub call: Call,
    /// Whether it is an action, or the undo of the action at [`Running::of`].
    pub direction: Direction,
    /// The action this serves: itself, or what it undoes.
    pub of: Seq,
    /// The attempt under way or next, from 1.
    pub attempt: u32,
    /// How many attempts were lost with their worker.
    pub lost: u32,
    /// When the first attempt was asked for.
    pub since: Timestamp,
    /// When the next attempt is due; `None` while one is under way.
    pub retry_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
    /// The step's own options, when it overrides its type's.
    pub options: Option<ActivityOptions>,
    undo: Option<Call>,
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
}

/// What history adds up to.
#[derive(Debug, Default)]
pub struct Ledger {
    status: Status,
    commands: u32,
    events: u32,
    running: BTreeMap<Seq, Running>,
    /// In order of completion: the last is undone first.
    debts: Vec<Debt>,
    alarms: BTreeMap<Seq, Timestamp>,
    signals_seen: BTreeSet<String>,
    progress: Progress,
    news: News,
}

/// How far along the one-way road of a saga.
#[derive(Debug, Default)]
struct Progress {
    pivoted: bool,
    cause: Option<Cause>,
    undone: u32,
    output: Option<Payload>,
    stuck: Option<(StuckReason, String)>,
}

impl Ledger {
    /// Adds one event that was committed at `at`.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.events += 1;
        match event {
            Event::Asked(command) => self.ask(command, at),
            Event::Done { seq, .. } => self.finish(*seq, Some(Because::Done)),
            Event::Refused { seq, .. } => self.finish(*seq, None),
            Event::Unknown { seq, .. } => self.finish(*seq, Some(Because::Unknown)),
            Event::AttemptFailed { seq, reason, retry_at, .. } => {
                if let Some(running) = self.running.get_mut(seq) {
                    running.attempt += 1;
                    running.retry_at = Some(*retry_at);
                    running.last_failure = Some(reason.clone());
                    self.set_alarm(*seq, *retry_at);
                }
            }
            Event::AttemptLost { seq, .. } => {
                if let Some(running) = self.running.get_mut(seq) {
                    running.attempt += 1;
                    running.lost += 1;
                    self.news.dispatch.push(*seq);
                }
            }
            Event::Fired { seq } => self.drop_alarm(*seq),
            Event::Signalled { id, .. } => {
                self.signals_seen.insert(id.clone());
            }
            // What follows from these is asked for in a command of its own.
            Event::Started { .. } | Event::CancelRequested { .. } => {}
            Event::Stuck { reason, detail } => {
                self.status = Status::Stuck;
                self.progress.stuck = Some((*reason, detail.clone()));
            }
        }
    }

    fn ask(&mut self, command: &Command, at: Timestamp) {
        let seq = Seq(self.commands);
        self.commands += 1;
        match command {
            Command::Run { activity, request, undo, options } => {
                let call = Call { activity: activity.clone(), request: request.clone() };
                let running = Running::new(call, Direction::Do, seq, at);
                self.run(seq, Running { undo: undo.clone(), options: *options, ..running });
            }
            Command::Undo { of } => {
                if let Some(debt) = self.debts.iter().find(|debt| debt.of == *of) {
                    self.run(seq, Running::new(debt.undo.clone(), Direction::Undo, *of, at));
                }
            }
            Command::StartTimer { at } => self.set_alarm(seq, *at),
            Command::CancelTimer { timer } => self.drop_alarm(*timer),
            Command::Pivot {} => self.progress.pivoted = true,
            Command::Unwind { cause } => {
                self.status = Status::Compensating;
                self.progress.cause = Some(cause.clone());
                self.progress.stuck = None;
                self.drop_timers();
            }
            Command::Complete { output } => {
                self.progress.output = Some(output.clone());
                self.debts.clear();
                self.close(Status::Completed);
            }
            Command::Close {} => self.close(match self.progress.cause {
                Some(Cause::Failed { .. }) | None => Status::Failed,
                Some(Cause::Cancelled) => Status::Cancelled,
            }),
        }
    }

    fn run(&mut self, seq: Seq, running: Running) {
        self.running.insert(seq, running);
        self.news.dispatch.push(seq);
    }

    fn finish(&mut self, seq: Seq, owed: Option<Because>) {
        self.drop_alarm(seq);
        let Some(running) = self.running.remove(&seq) else { return };
        match (running.direction, owed) {
            (Direction::Undo, Some(Because::Unknown)) => {
                for debt in self.debts.iter_mut().filter(|debt| debt.of == running.of) {
                    debt.exhausted = true;
                }
            }
            (Direction::Undo, _) => {
                self.debts.retain(|debt| debt.of != running.of);
                self.progress.undone += 1;
            }
            (Direction::Do, Some(because)) => {
                if let Some(undo) = running.undo {
                    self.debts.push(Debt { of: seq, undo, because, exhausted: false });
                }
            }
            (Direction::Do, None) => {}
        }
    }

    fn close(&mut self, status: Status) {
        self.status = status;
        let waiting: Vec<_> = self.alarms.keys().copied().collect();
        for seq in waiting {
            self.drop_alarm(seq);
        }
        self.running.clear();
    }

    fn set_alarm(&mut self, seq: Seq, at: Timestamp) {
        self.drop_alarm(seq);
        self.alarms.insert(seq, at);
        self.news.alarms_set.push((seq, at));
    }

    fn drop_alarm(&mut self, seq: Seq) {
        let Some(at) = self.alarms.remove(&seq) else { return };
        // An alarm set and dropped in one commit was never written.
        match self.news.alarms_set.iter().position(|set| *set == (seq, at)) {
            Some(index) => drop(self.news.alarms_set.swap_remove(index)),
            None => self.news.alarms_dropped.push((seq, at)),
        }
    }

    /// The body's own timers; retries of what is in flight stay.
    fn drop_timers(&mut self) {
        let timers: Vec<_> =
            self.alarms.keys().filter(|seq| !self.running.contains_key(seq)).copied().collect();
        for seq in timers {
            self.drop_alarm(seq);
        }
    }

    /// An alarm rang: a retry becomes due, or a timer is to fire.
    pub fn ring(&mut self, seq: Seq) -> Rang {
        if !self.alarms.contains_key(&seq) {
            return Rang::Nothing;
        }
        let Some(running) = self.running.get_mut(&seq) else { return Rang::Timer };
        running.retry_at = None;
        self.drop_alarm(seq);
        self.news.dispatch.push(seq);
        Rang::Retry
    }

    /// The next step of unwinding. An action between two attempts is not tried
    /// again, an attempt in flight is waited for; then strictly the last
    /// completed first, one at a time; then close, or get stuck on what stays owed.
    pub(crate) fn unwind(&self) -> Option<Event> {
        if self.status != Status::Compensating {
            return None;
        }
        let waits =
            |running: &Running| running.direction == Direction::Do && running.retry_at.is_some();
        if let Some((seq, running)) = self.running.iter().find(|(_, running)| waits(running)) {
            let reason = running.last_failure.clone().unwrap_or_default();
            return Some(Event::Unknown { seq: *seq, attempts: running.attempt - 1, reason });
        }
        if !self.running.is_empty() {
            return None;
        }
        if let Some(debt) = self.debts.iter().rev().find(|debt| !debt.exhausted) {
            return Some(Event::Asked(Command::Undo { of: debt.of }));
        }
        if self.debts.is_empty() {
            return Some(Event::Asked(Command::Close {}));
        }
        let owed: Vec<_> = self.debts.iter().map(|debt| debt.undo.activity.as_str()).collect();
        let detail = format!("still owed, after all attempts: {}", owed.join(", "));
        Some(Event::Stuck { reason: StuckReason::UndoExhausted, detail })
    }

    /// What would be undone if it unwound now, in order.
    pub fn undo_plan(&self) -> Vec<PlannedUndo> {
        if self.progress.pivoted || self.status.is_closed() {
            return Vec::new();
        }
        let in_flight = self.running.iter().rev().filter_map(|(seq, running)| {
            Some((*seq, running.undo.as_ref()?, Because::InFlight, false))
        });
        let debts =
            self.debts.iter().rev().map(|debt| (debt.of, &debt.undo, debt.because, debt.exhausted));
        in_flight
            .chain(debts)
            .map(|(of, undo, because, exhausted)| PlannedUndo {
                of,
                activity: undo.activity.clone(),
                request: undo.request.clone(),
                because,
                exhausted,
            })
            .collect()
    }

    /// Where its undos are.
    pub fn undo_status(&self) -> UndoStatus {
        let exhausted = self.debts.iter().any(|debt| debt.exhausted);
        match (self.undo_plan().is_empty(), self.progress.undone) {
            (false, undone) if exhausted && undone > 0 => UndoStatus::Partial,
            (false, _) => UndoStatus::Owed,
            (true, 0) => UndoStatus::None,
            (true, _) => UndoStatus::Done,
        }
    }

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

    /// Why it unwinds or unwound.
    pub fn cause(&self) -> Option<&Cause> {
        self.progress.cause.as_ref()
    }

    /// How it ended, once it is closed.
    pub fn outcome(&self) -> Option<Outcome> {
        let error = match &self.progress.cause {
            Some(Cause::Failed { error }) => Some(error.clone()),
            Some(Cause::Cancelled) | None => None,
        };
        let output = self.progress.output.clone();
        self.status.is_closed().then_some(Outcome { status: self.status, output, error })
    }

    /// How many events its history has.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// How many commands its history has.
    pub(crate) fn commands(&self) -> u32 {
        self.commands
    }

    /// Activities that have not answered yet.
    pub fn running(&self) -> &BTreeMap<Seq, Running> {
        &self.running
    }

    /// When each pending timer or retry is due.
    pub fn alarms(&self) -> &BTreeMap<Seq, Timestamp> {
        &self.alarms
    }

    /// Whether a signal with this id has arrived before.
    pub fn has_seen(&self, signal_id: &str) -> bool {
        self.signals_seen.contains(signal_id)
    }

    /// What changed since this was last asked.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }
}

/// What an alarm meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rang {
    /// It was cancelled in the meantime.
    Nothing,
    /// A body's timer: deliver [`Event::Fired`].
    Timer,
    /// The next attempt of an activity is due; it is in the news.
    Retry,
}

impl Running {
    fn new(call: Call, direction: Direction, of: Seq, since: Timestamp) -> Self {
        Self {
            call,
            direction,
            of,
            attempt: 1,
            lost: 0,
            since,
            retry_at: None,
            last_failure: None,
            options: None,
            undo: None,
        }
    }
}
