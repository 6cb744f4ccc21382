//! What history adds up to: status, work in flight, alarms, and owed undos.
//!
//! A pure fold over events that needs no body: owed undos can be shown,
//! planned and run from data alone, also for a workflow whose code is gone.

mod read;
mod running;
mod seen;
mod unwind;

use std::collections::BTreeMap;

pub use running::{Child, News, Order, Probed, Rang, Running};
use seen::Seen;

use crate::debt::{Because, Debt, DebtId};
use crate::{
    Call, Cause, ChildOutcome, Command, Direction, Event, Owed, Parent, ParentClose, Payload, Seq,
    Status, StuckReason, Timestamp,
};

/// What history adds up to.
#[derive(Debug, Default)]
pub struct Ledger {
    status: Status,
    commands: u32,
    events: u32,
    /// Boxed: a node of the map has room for eleven, and a run seldom has more than one.
    running: BTreeMap<Seq, Box<Running>>,
    children: BTreeMap<Seq, Child>,
    /// In order of completion: the last is undone first.
    debts: Vec<Debt>,
    alarms: BTreeMap<Seq, Timestamp>,
    seen: Seen,
    birth: Birth,
    progress: Progress,
    news: News,
}

/// What it was started with.
#[derive(Debug, Default)]
struct Birth {
    code: Option<String>,
    deadline: Option<Timestamp>,
    parent: Option<Box<Parent>>,
}

/// How far along the one-way road of a saga.
#[derive(Debug, Default)]
struct Progress {
    pivoted: bool,
    cause: Option<Cause>,
    undone: u32,
    /// Undos that came from other runs so far.
    inherited: u32,
    output: Option<Payload>,
    /// What the next run of its id is started with.
    next_input: Option<Payload>,
    published: Option<Payload>,
    stuck: Option<(StuckReason, String)>,
    /// What it left to whoever follows it.
    bequest: Vec<Owed>,
}

impl Ledger {
    /// Adds one event that was committed at `at`.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.events += 1;
        match event {
            Event::Asked(command) => self.ask(command, at),
            Event::Started { .. } => self.begin(event),
            Event::Done { seq, .. } => self.finish(*seq, Some(Because::Done)),
            Event::Refused { seq, .. } | Event::NotDone { seq, .. } => self.finish(*seq, None),
            Event::Unknown { seq, .. } => self.finish(*seq, Some(Because::Unknown)),
            Event::Verifying { seq, attempts, reason } => {
                self.drop_alarm(*seq);
                if let Some(running) = self.running.get_mut(seq) {
                    running.verify(*attempts, reason, at);
                    self.news.dispatch.push(*seq);
                }
            }
            Event::AttemptFailed { seq, reason, retry_at, .. } => {
                if let Some(running) = self.running.get_mut(seq) {
                    running.was_sent();
                    running.wait(reason, *retry_at);
                    self.set_alarm(*seq, *retry_at);
                }
            }
            Event::HeldBack { seq, reason, retry_at, sent, .. } => {
                if let Some(running) = self.running.get_mut(seq) {
                    running.hold(*sent);
                    running.wait(reason, *retry_at);
                    self.set_alarm(*seq, *retry_at);
                }
            }
            Event::AttemptLost { seq, .. } => {
                if let Some(running) = self.running.get_mut(seq) {
                    running.was_sent();
                    running.lost += 1;
                    self.news.dispatch.push(*seq);
                }
            }
            Event::Fired { seq } => self.drop_alarm(*seq),
            Event::ChildClosed { seq, outcome } => self.child_closed(*seq, outcome),
            Event::Signalled { id, .. } => self.seen.hear(format!("signal:{id}")),
            Event::UpdateRequested { id, .. } => self.seen.hear(format!("update:{id}")),
            // What follows from a cancellation is asked for in a command of its own.
            Event::CancelRequested { .. } => {}
            Event::DeadlinePassed {} => self.drop_alarm(Seq::DEADLINE),
            Event::Terminated { .. } => self.terminate(),
            Event::Retried { .. } => self.try_again(at),
            Event::Stuck { reason, detail, seq } => self.get_stuck(*reason, detail, *seq),
        }
    }

    fn begin(&mut self, event: &Event) {
        let Event::Started { code, deadline, parent, continued, .. } = event else { return };
        self.birth = Birth { code: code.clone(), deadline: *deadline, parent: parent.clone() };
        if let Some(deadline) = *deadline {
            self.set_alarm(Seq::DEADLINE, deadline);
        }
        if let Some(continued) = continued {
            self.inherit(&continued.owed);
            continued.heard.iter().for_each(|message| self.seen.hear(message.clone()));
        }
    }

    fn ask(&mut self, command: &Command, at: Timestamp) {
        let seq = Seq(self.commands);
        self.commands += 1;
        match command {
            Command::Run { activity, request, undo, probe, options } => {
                let call = Call { activity: activity.clone(), request: request.clone() };
                let (undo, probe, options) = (undo.clone(), probe.clone(), options.clone());
                let running = Running::new(call, Direction::Do, seq, at);
                self.run(seq, Running { options, probe, undo, ..running });
            }
            Command::Undo { of, inherited } => {
                let id = DebtId { of: *of, inherited: *inherited };
                if let Some(debt) = self.debts.iter().rfind(|debt| debt.id == id) {
                    let running = Running::new(debt.undo.clone(), Direction::Undo, *of, at);
                    let (origin, inherited) = (debt.origin.clone(), *inherited);
                    let because = Some(debt.because);
                    self.run(seq, Running { origin, because, inherited, ..running });
                }
            }
            Command::StartTimer { at } => self.set_alarm(seq, *at),
            Command::CancelTimer { timer } => self.drop_alarm(*timer),
            Command::StartChild(start) => {
                let child = Child { start: (**start).clone(), since: at, cancelling: false };
                self.news.children.push((seq, child.clone()));
                self.children.insert(seq, child);
            }
            Command::CancelChild { child } => self.cancel_child(*child),
            Command::Publish { state } => self.progress.published = Some(state.clone()),
            Command::Label { key, value } => self.news.labels.push((key.clone(), value.clone())),
            Command::Answer { .. } | Command::Patched { .. } => {}
            Command::Pivot {} => {
                self.progress.pivoted = true;
                // A deadline is a cancellation, and for that it is too late.
                self.drop_alarm(Seq::DEADLINE);
            }
            Command::Unwind { cause } => {
                self.status = Status::Compensating;
                self.progress.cause = Some(cause.clone());
                self.progress.stuck = None;
                self.drop_timers();
            }
            Command::Complete { .. } | Command::ContinueAsNew { .. } | Command::Close {} => {
                self.end(command);
            }
        }
    }

    fn end(&mut self, command: &Command) {
        let Some(status) = self.closed_by(command) else { return };
        match command {
            Command::Complete { output } => {
                self.progress.output = Some(output.clone());
                // Its parent may yet unwind; past the pivot there is no way back for anyone.
                if self.birth.parent.is_some() && !self.progress.pivoted {
                    self.bequeath();
                }
                self.debts.clear();
            }
            Command::ContinueAsNew { carry, input } => {
                self.progress.next_input = Some(input.clone());
                if *carry {
                    self.bequeath();
                }
                self.debts.clear();
            }
            _ => {}
        }
        self.close(status);
    }

    fn bequeath(&mut self) {
        self.abandon_running();
        self.progress.bequest = self.debts.drain(..).map(Debt::owed).collect();
    }

    /// Steps that nobody will wait for any more: their undos are owed all the same.
    fn abandon_running(&mut self) {
        for (seq, running) in std::mem::take(&mut self.running) {
            if let Some(undo) = running.undo {
                let id = DebtId { of: seq, inherited: None };
                let because = Because::InFlight;
                self.debts.push(Debt { id, origin: None, undo, because, exhausted: false });
            }
        }
    }

    fn run(&mut self, seq: Seq, running: Running) {
        self.running.insert(seq, Box::new(running));
        self.news.dispatch.push(seq);
    }

    fn finish(&mut self, seq: Seq, owed: Option<Because>) {
        self.drop_alarm(seq);
        let Some(running) = self.running.remove(&seq) else { return };
        if running.direction == Direction::Undo {
            let id = running.debt();
            let debt = self.debts.iter().rposition(|debt| debt.id == id);
            match (debt, owed) {
                (Some(debt), Some(Because::Unknown)) => self.debts[debt].exhausted = true,
                (Some(debt), _) => {
                    self.debts.remove(debt);
                    self.progress.undone += 1;
                }
                (None, _) => {}
            }
        } else if let (Some(because), Some(undo)) = (owed, running.undo) {
            let id = DebtId { of: seq, inherited: None };
            self.debts.push(Debt { id, origin: None, undo, because, exhausted: false });
        }
    }

    fn child_closed(&mut self, seq: Seq, outcome: &ChildOutcome) {
        if self.children.remove(&seq).is_none() {
            return;
        }
        if let ChildOutcome::Completed { owed, .. } = outcome {
            self.inherit(owed);
        }
    }

    /// Undos of another run are owed from here on, the last of them first to be paid.
    fn inherit(&mut self, owed: &[Owed]) {
        for Owed { of, origin, undo, because } in owed {
            let id = DebtId { of: *of, inherited: Some(self.progress.inherited) };
            self.progress.inherited += 1;
            let (origin, undo, because) = (origin.clone(), undo.clone(), *because);
            self.debts.push(Debt { id, origin, undo, because, exhausted: false });
        }
    }

    fn cancel_child(&mut self, seq: Seq) {
        if let Some(child) = self.children.get_mut(&seq) {
            child.cancelling = true;
            self.news.orders.push((seq, child.clone(), Order::Cancel));
        }
    }

    fn get_stuck(&mut self, reason: StuckReason, detail: &str, seq: Option<Seq>) {
        self.status = Status::Stuck;
        self.progress.stuck = Some((reason, detail.to_owned()));
        if let Some(seq) = seq {
            self.drop_alarm(seq);
            if let Some(running) = self.running.get_mut(&seq) {
                running.park();
            }
        }
    }

    /// An operator has looked: what gave up may try again.
    fn try_again(&mut self, at: Timestamp) {
        if self.status != Status::Stuck {
            return;
        }
        self.progress.stuck = None;
        self.status = match self.progress.cause {
            Some(_) => Status::Compensating,
            None => Status::Running,
        };
        for debt in &mut self.debts {
            debt.exhausted = false;
        }
        // While unwinding an action is not made again: it is given up, and its undo voids it.
        let unwinds = self.status == Status::Compensating;
        let again = |running: &Running| {
            running.parked && (!unwinds || running.direction == Direction::Undo)
        };
        for (seq, running) in self.running.iter_mut().filter(|(_, running)| again(running)) {
            running.try_again(at);
            self.news.dispatch.push(*seq);
        }
    }

    fn terminate(&mut self) {
        self.abandon_running();
        self.close(Status::Terminated);
    }

    fn close(&mut self, status: Status) {
        self.status = status;
        let waiting: Vec<_> = self.alarms.keys().copied().collect();
        for seq in waiting {
            self.drop_alarm(seq);
        }
        self.running.clear();
        for (seq, child) in std::mem::take(&mut self.children) {
            let order = match child.start.on_parent_close {
                ParentClose::Cancel => Order::Cancel,
                ParentClose::Terminate => Order::Terminate,
                ParentClose::Abandon => continue,
            };
            self.news.orders.push((seq, child, order));
        }
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

    /// The body's own timers, and the deadline; retries of what is in flight stay.
    fn drop_timers(&mut self) {
        let timers: Vec<_> =
            self.alarms.keys().filter(|seq| !self.running.contains_key(seq)).copied().collect();
        for seq in timers {
            self.drop_alarm(seq);
        }
    }

    /// What is under way or held back may have been sent by an owner that this one knows
    /// nothing of: until history says so itself, it counts as sent here.
    pub fn doubt(&mut self) {
        self.running.values_mut().for_each(|running| running.doubt());
    }

    /// A step that is held back is tried before its alarm rings, which stays. False when it is
    /// not held back, or is under way.
    pub fn try_early(&mut self, seq: Seq) -> bool {
        let Some(running) = self.running.get_mut(&seq).filter(|running| running.held > 0) else {
            return false;
        };
        let waits = running.retry_at.take().is_some();
        if waits {
            self.news.dispatch.push(seq);
        }
        waits
    }

    /// What was tried before its alarm rang was not sent, and goes on waiting for that. False
    /// when it has rung by now.
    pub fn hold_on(&mut self, seq: Seq) -> bool {
        let alarm = self.alarms.get(&seq).copied();
        if let (Some(running), Some(_)) = (self.running.get_mut(&seq), alarm) {
            running.retry_at = alarm;
        }
        alarm.is_some()
    }

    /// An alarm rang: a retry becomes due, or a timer is to fire.
    pub fn ring(&mut self, seq: Seq) -> Rang {
        if !self.alarms.contains_key(&seq) {
            return Rang::Nothing;
        }
        if seq == Seq::DEADLINE {
            return Rang::Deadline;
        }
        let Some(running) = self.running.get_mut(&seq) else { return Rang::Timer };
        // Else it was tried early, and is under way.
        if running.retry_at.take().is_some() {
            self.news.dispatch.push(seq);
        }
        self.drop_alarm(seq);
        Rang::Retry
    }

    /// What changed since this was last asked.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }
}
