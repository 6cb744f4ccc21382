//! The engine around one machine, made small: what an owner does, and no more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::{
    ActivityContext, ActivityOptions, Call, Child, Direction, Event, Ledger, Machine, Order,
    Origin, Rang, Running, Seq, Status, Timestamp, WorkflowType,
};

/// What one commit after the other wrote.
pub(super) type History = Vec<(Timestamp, Vec<Event>)>;

/// The time of all runs, and how many attempts were handed out by then.
#[derive(Clone, Default)]
pub(super) struct Clock(Rc<(Cell<Timestamp>, Cell<u64>)>);

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        self.0.0.get()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.0.0.set(self.now().after(time));
    }

    fn pass_until(&self, due: Timestamp) {
        self.0.0.set(self.now().max(due));
    }

    fn next(&self) -> u64 {
        let next = self.0.1.get() + 1;
        self.0.1.set(next);
        next
    }
}

/// An attempt that was handed out.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    /// The run that waits for it.
    pub(super) run: usize,
    /// In the order in which attempts were handed out.
    pub(super) number: u64,
    pub(super) seq: Seq,
    /// The run that acted or acts, and where.
    pub(super) actor: Rc<Origin>,
    pub(super) of: Seq,
    pub(super) direction: Direction,
    pub(super) attempt: u32,
    pub(super) call: Call,
}

impl Flight {
    pub(super) fn context(&self) -> ActivityContext {
        let Origin { workflow_id, run } = &*self.actor;
        ActivityContext::new(workflow_id, run, self.of, self.direction, self.attempt)
    }

    /// Whether both are attempts of one request of one run.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.run, self.seq, self.direction) == (other.run, other.seq, other.direction)
    }

    /// Whether both serve one step, in one direction.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.direction == other.direction && self.concerns(other)
    }

    /// Whether both serve one step, if in different directions.
    pub(super) fn concerns(&self, other: &Self) -> bool {
        self.of == other.of && self.actor == other.actor
    }
}

/// What a commit brings about besides attempts.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) children: Vec<(Seq, Child)>,
    pub(super) orders: Vec<(Seq, Order)>,
}

/// One run, its history, and what is out for an answer.
pub(super) struct Engine {
    pub(super) kind: WorkflowType,
    pub(super) who: Rc<Origin>,
    pub(super) history: History,
    pub(super) flights: Vec<Flight>,
    pub(super) outbox: Outbox,
    pub(super) machine: Machine,
    pub(super) clock: Clock,
    /// Which of the runs it is.
    pub(super) number: usize,
    /// Whether those who wait for its end have been told.
    pub(super) reported: bool,
}

impl Engine {
    /// The `number`-th run, of which nothing is known yet.
    pub(super) fn new(number: usize, workflow_id: &str, kind: WorkflowType, clock: &Clock) -> Self {
        let run = format!("00000000-0000-0000-0000-{:012}", number + 1);
        Self {
            kind,
            who: Rc::new(Origin { workflow_id: workflow_id.to_owned(), run }),
            history: Vec::new(),
            flights: Vec::new(),
            outbox: Outbox::default(),
            machine: Machine::new(Some(kind), seed(number)),
            clock: clock.clone(),
            number,
            reported: false,
        }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.machine.ledger()
    }

    /// Delivers, commits, and only then hands out what was asked.
    pub(super) fn tell(&mut self, event: Event) {
        self.tell_all(vec![event]);
    }

    /// Delivers all of them in one commit.
    pub(super) fn tell_all(&mut self, mut events: Vec<Event>) {
        let (was_stuck, now) = (self.ledger().status() == Status::Stuck, self.clock.now());
        for event in &events {
            self.machine.deliver(event.clone(), now);
        }
        events.extend(self.machine.take(now));
        self.history.push((now, events));
        self.hand_out();
        if was_stuck && self.ledger().status() != Status::Stuck {
            self.take_up_again();
        }
    }

    pub(super) fn hand_out(&mut self) {
        let news = self.machine.ledger_mut().take_news();
        self.outbox.children.extend(news.children);
        self.outbox.orders.extend(news.orders.into_iter().map(|(seq, _, order)| (seq, order)));
        for seq in news.dispatch {
            self.fly(seq);
        }
    }

    fn fly(&mut self, seq: Seq) {
        let ledger = self.machine.ledger();
        let Some(running) = ledger.running().get(&seq) else { return };
        if running.is_under_way() && ledger.status() != Status::Stuck {
            let Running { of, direction, attempt, .. } = **running;
            let actor = running.origin.clone().map_or_else(|| Rc::clone(&self.who), Rc::new);
            let (run, number, call) = (self.number, self.clock.next(), running.call.clone());
            let flight = Flight { run, number, seq, actor, of, direction, attempt, call };
            self.flights.push(flight);
        }
    }

    /// It was stuck, and goes on or unwinds: what was lost with a worker meanwhile
    /// is made again, or will not answer.
    fn take_up_again(&mut self) {
        let flies = |seq: &Seq| self.flights.iter().any(|flight| flight.seq == *seq);
        let under_way =
            self.ledger().running().iter().filter(|(_, running)| running.is_under_way());
        let lost: Vec<_> =
            under_way.filter(|(seq, _)| !flies(seq)).map(|(seq, r)| (*seq, r.direction)).collect();
        for (seq, direction) in lost {
            if self.voids(direction) {
                let event = self.unknown(seq, "its worker was lost");
                self.tell(event);
            } else {
                self.fly(seq);
            }
        }
    }

    /// Time passes until an alarm rings.
    pub(super) fn ring(&mut self, seq: Seq, due: Timestamp) {
        self.clock.pass_until(due);
        match self.machine.ledger_mut().ring(seq) {
            Rang::Timer => self.tell(Event::Fired { seq }),
            Rang::Deadline => self.tell(Event::DeadlinePassed {}),
            Rang::Retry => self.hand_out(),
            Rang::Nothing => {}
        }
    }

    /// The worker is lost with all it had in memory; another goes on from history.
    pub(super) fn lose(&mut self, options: impl Fn(&Running, bool) -> ActivityOptions) {
        self.flights.clear();
        let history = self.history.iter().cloned();
        self.machine = Machine::replay(Some(self.kind), seed(self.number), history);
        self.catch_up();
        let running = self.ledger().running().iter();
        let open: Vec<_> =
            running.filter(|(_, running)| running.is_under_way()).map(|(seq, _)| *seq).collect();
        // It was written with what it follows from: there is nothing left to ask.
        let asked = self.machine.take(self.clock.now());
        if !asked.is_empty() {
            self.history.push((self.clock.now(), asked));
        }
        self.machine.ledger_mut().take_news();
        for seq in open {
            if self.ledger().status() == Status::Stuck {
                break;
            }
            let Some(running) = self.ledger().running().get(&seq) else { continue };
            let options = options(running, self.ledger().pivoted());
            let reason = "its worker was lost";
            let event = if self.voids(running.direction) {
                self.unknown(seq, reason)
            } else if options.retry.maximum_attempts == 1 {
                self.exhausted(seq, reason, options.on_unknown)
            } else {
                Event::AttemptLost { seq, attempt: running.attempt }
            };
            self.tell(event);
        }
    }

    /// A retry that was made before its worker was lost is under way, as far as
    /// its successor can tell.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        let ledger = self.machine.ledger_mut();
        let is_due = |running: &Running| running.retry_at.is_some_and(|due| due <= now);
        let running = ledger.running().iter();
        let due: Vec<_> =
            running.filter(|(_, running)| is_due(running)).map(|(seq, _)| *seq).collect();
        for seq in due {
            ledger.ring(seq);
        }
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
        let mut machine = Machine::replay(Some(self.kind), seed(self.number), prefix);
        if let Some((reason, detail)) = machine.fault() {
            let code = reason.code();
            return Err(format!("a replay does not agree with its history: {code}, {detail}"));
        }
        let more = machine.take(self.clock.now());
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

fn seed(number: usize) -> u128 {
    number as u128 + 1
}
