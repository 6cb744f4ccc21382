//! The engine around one machine, made small: what an owner does, and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Saga;
use crate::{
    ActivityContext, ActivityOptions, Attempt, Call, Direction, Event, Ledger, Machine, OnUnknown,
    Payload, Rang, Running, Seq, Status, StuckReason, Timestamp, Verdict, WorkflowType,
};

/// The run, as a UUID and as a number.
const RUN: &str = "00000000-0000-0000-0000-000000000001";
const SEED: u128 = 1;

/// An attempt costs so much time by itself.
const TAKES: Duration = Duration::from_millis(10);

/// The attempts of a step that never answers, however many its policy allows:
/// one that is tried again, and the last.
const DOOMED_AT: u32 = 2;

/// An attempt that was handed out.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) seq: Seq,
    pub(super) of: Seq,
    pub(super) direction: Direction,
    pub(super) attempt: u32,
    pub(super) call: Call,
}

impl Flight {
    pub(super) fn context(&self) -> ActivityContext {
        ActivityContext::new("walk", RUN, self.of, self.direction, self.attempt)
    }
}

/// One run, its history, and what is out for an answer.
pub(super) struct Engine {
    kind: WorkflowType,
    machine: Machine,
    pub(super) history: Vec<(Timestamp, Vec<Event>)>,
    pub(super) now: Timestamp,
    /// In the order in which they were handed out.
    pub(super) flights: Vec<Flight>,
    /// What follows when a probe cannot tell.
    then: BTreeMap<Seq, OnUnknown>,
}

impl Engine {
    pub(super) fn start(saga: &Saga) -> Self {
        let (kind, now) = (saga.kind, Timestamp::default());
        let machine = Machine::new(Some(kind), SEED);
        let (history, flights, then) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut engine = Self { kind, machine, history, now, flights, then };
        let (input, deadline) = (saga.input.clone(), saga.deadline.map(|after| now.after(after)));
        engine.tell(Event::Started { input, code: None, deadline, parent: None, continued: None });
        engine
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.machine.ledger()
    }

    /// Delivers, commits, and only then hands out what was asked.
    pub(super) fn tell(&mut self, event: Event) {
        self.machine.deliver(event.clone(), self.now);
        let mut events = vec![event];
        events.extend(self.machine.take(self.now));
        self.history.push((self.now, events));
        self.hand_out();
    }

    fn hand_out(&mut self) {
        let news = self.machine.ledger_mut().take_news();
        for seq in news.dispatch {
            self.fly(seq);
        }
    }

    fn fly(&mut self, seq: Seq) {
        let ledger = self.machine.ledger();
        let Some(running) = ledger.running().get(&seq) else { return };
        if running.is_under_way() && ledger.status() != Status::Stuck {
            let Running { of, direction, attempt, ref call, .. } = *running;
            self.flights.push(Flight { seq, of, direction, attempt, call: call.clone() });
        }
    }

    /// An attempt was answered; false when nobody waited for it any more.
    pub(super) fn answer(
        &mut self,
        flight: &Flight,
        answer: Attempt,
        options: &ActivityOptions,
    ) -> bool {
        if !self.machine.awaits(flight.seq, flight.attempt) {
            return false;
        }
        let seq = flight.seq;
        let final_no = flight.direction == Direction::Do && !self.ledger().pivoted();
        match answer {
            Attempt::Done(verdict) if flight.direction == Direction::Verify => {
                self.find(flight, &verdict, options);
            }
            Attempt::Done(output) => self.tell_after(Event::Done { seq, output }),
            Attempt::Refused(error) if final_no => {
                self.tell_after(Event::Refused { seq, error });
            }
            Attempt::Refused(error) => {
                let reason = format!("refused, where that cannot be: {}", error.get());
                self.fail(flight, &reason, false, options);
            }
            Attempt::Failed { reason, .. } => self.fail(flight, &reason, false, options),
        }
        true
    }

    fn tell_after(&mut self, event: Event) {
        self.pass(TAKES);
        self.tell(event);
    }

    /// What a probe found.
    fn find(&mut self, flight: &Flight, verdict: &Payload, options: &ActivityOptions) {
        let (seq, (attempts, reason)) = (flight.seq, self.exhausted(flight.seq));
        match verdict.decode() {
            Ok(Verdict::Done(output)) => self.tell_after(Event::Done { seq, output }),
            Ok(Verdict::NotDone) => self.tell_after(Event::NotDone { seq, attempts, reason }),
            Err(error) => self.fail(flight, &format!("verdict: {error}"), false, options),
        }
    }

    /// How many attempts an action had before its probe was asked, and its last failure.
    fn exhausted(&self, seq: Seq) -> (u32, String) {
        let running = self.ledger().running().get(&seq);
        running.and_then(|running| running.exhausted.clone()).unwrap_or_default()
    }

    /// An attempt failed technically. One that is doomed has no third.
    pub(super) fn fail(
        &mut self,
        flight: &Flight,
        reason: &str,
        doomed: bool,
        options: &ActivityOptions,
    ) {
        self.pass(options.start_to_close);
        let Some(running) = self.ledger().running().get(&flight.seq) else { return };
        let &Flight { seq, attempt, .. } = flight;
        let doomed = doomed && running.counted() >= DOOMED_AT;
        let reason = reason.to_owned();
        match self.wait_after(flight, options) {
            Some(wait) if !doomed => {
                let retry_at = self.now.after(wait);
                self.tell(Event::AttemptFailed { seq, attempt, reason, retry_at });
            }
            _ => self.give_up(flight, attempt, reason, options.on_unknown),
        }
    }

    /// Attempts ran out, and nobody knows whether it happened.
    fn give_up(&mut self, flight: &Flight, attempts: u32, reason: String, then: OnUnknown) {
        let seq = flight.seq;
        if flight.direction == Direction::Undo || self.voids(flight.direction) {
            return self.tell(Event::Unknown { seq, attempts, reason });
        }
        let probe = self.ledger().running().get(&seq).and_then(|running| running.probe.as_ref());
        let asks = matches!(then, OnUnknown::Verify | OnUnknown::Park);
        if flight.direction == Direction::Do && asks && probe.is_some() {
            self.then.insert(seq, then);
            return self.tell(Event::Verifying { seq, attempts, reason });
        }
        let (then, (attempts, reason)) = match flight.direction {
            Direction::Verify => {
                (self.then.get(&seq).copied().unwrap_or_default(), self.exhausted(seq))
            }
            _ => (then, (attempts, reason)),
        };
        self.tell(match then {
            OnUnknown::Park => {
                Event::Stuck { reason: StuckReason::OutcomeUnknown, detail: reason, seq: Some(seq) }
            }
            _ => Event::Unknown { seq, attempts, reason },
        });
    }

    /// How long until the next attempt; `None` when this was the last.
    pub(super) fn wait_after(
        &self,
        flight: &Flight,
        options: &ActivityOptions,
    ) -> Option<Duration> {
        let running = self.ledger().running().get(&flight.seq)?;
        // While unwinding an action is not tried again: its undo voids it.
        if self.voids(flight.direction) {
            return None;
        }
        options.next(running.counted(), self.now.since(running.since), None, 1.0)
    }

    /// Whether what fails now is not tried again.
    pub(super) fn voids(&self, direction: Direction) -> bool {
        self.ledger().status() == Status::Compensating && direction != Direction::Undo
    }

    /// Time passes until an alarm rings.
    pub(super) fn ring(&mut self, seq: Seq, due: Timestamp) {
        self.now = self.now.max(due);
        match self.machine.ledger_mut().ring(seq) {
            Rang::Timer => self.tell(Event::Fired { seq }),
            Rang::Deadline => self.tell(Event::DeadlinePassed {}),
            Rang::Retry => self.hand_out(),
            Rang::Nothing => {}
        }
    }

    /// The worker is lost with all it had in memory; another goes on from history.
    pub(super) fn lose(&mut self, options: impl Fn(&Running, bool) -> ActivityOptions) {
        self.pass(Duration::from_secs(5));
        self.flights.clear();
        self.machine = Machine::replay(Some(self.kind), SEED, self.history.iter().cloned());
        self.catch_up();
        let under_way = |(_, running): &(&Seq, &Running)| running.is_under_way();
        let open: Vec<_> =
            self.ledger().running().iter().filter(under_way).map(|(seq, _)| *seq).collect();
        let asked = self.machine.take(self.now);
        if !asked.is_empty() {
            self.history.push((self.now, asked));
        }
        self.machine.ledger_mut().take_news();
        for seq in open {
            let Some(running) = self.ledger().running().get(&seq) else { continue };
            let attempt = running.attempt;
            let policy = options(running, self.ledger().pivoted()).retry;
            let event = if policy.maximum_attempts == 1 || self.voids(running.direction) {
                let reason = "its worker was lost".to_owned();
                Event::Unknown { seq, attempts: attempt, reason }
            } else {
                Event::AttemptLost { seq, attempt }
            };
            self.tell(event);
        }
    }

    /// A retry that was made before its worker was lost is under way, as far as
    /// its successor can tell.
    fn catch_up(&mut self) {
        let ledger = self.machine.ledger_mut();
        let due = |running: &Running, now| running.retry_at.is_some_and(|due| due <= now);
        let running = ledger.running().iter();
        let due: Vec<_> =
            running.filter(|(_, running)| due(running, self.now)).map(|(seq, _)| *seq).collect();
        for seq in due {
            ledger.ring(seq);
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Replays what is written, all of it or every beginning of it.
    ///
    /// # Errors
    ///
    /// Says where the replay asks for something else.
    pub(super) fn replays(&self, every_prefix: bool) -> Result<usize, String> {
        let from = if every_prefix { 1 } else { self.history.len() };
        for end in from..=self.history.len() {
            self.replay_agrees(end)?;
        }
        Ok(self.history.len() + 1 - from)
    }

    fn replay_agrees(&self, end: usize) -> Result<(), String> {
        let prefix = self.history[..end].iter().cloned();
        let mut machine = Machine::replay(Some(self.kind), SEED, prefix);
        if let Some((reason, detail)) = machine.fault() {
            let code = reason.code();
            return Err(format!("a replay does not agree with its history: {code}, {detail}"));
        }
        let more = machine.take(self.now);
        if !more.is_empty() {
            return Err(format!("a replay asks for more than its history has: {more:?}"));
        }
        let (there, here) = (machine.ledger().status(), self.ledger().status());
        if end == self.history.len() && there != here {
            return Err(format!("a replay ends {there:?}, where its history ended {here:?}"));
        }
        Ok(())
    }
}
