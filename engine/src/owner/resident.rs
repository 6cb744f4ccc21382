//! One run in memory: its machine, and what of it the database knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use hansom_core::{
    Attempt, Direction, Event, Machine, Rang, Running, Seq, Status, StuckReason, Timestamp,
    UndoStatus,
};

use super::batch::{AlarmRow, Batch, Cached, Dispatch, HistoryRow, UpdateRow};
use crate::Registry;
use crate::address::Address;

/// A run that has lost its worker this often in one step is not tried again.
const POISON: u32 = 5;

/// A run in memory.
pub(crate) struct Resident {
    pub(crate) address: Arc<Address>,
    pub(crate) machine: Machine,
    pub(crate) cached: Cached,
    /// Steps with an attempt handed out here that has not been answered.
    pub(crate) in_flight: BTreeSet<Seq>,
    /// Steps with an attempt that is offered elsewhere, and waits there without this run.
    pub(super) elsewhere: BTreeSet<Seq>,
    /// Since when nothing happened to it.
    pub(crate) idle_since: Timestamp,
    next_event: u32,
    last_at: Timestamp,
    slots: Slots,
}

/// Where its rows are in the batch being gathered.
#[derive(Default)]
struct Slots {
    batch: i64,
    history: Option<usize>,
    update: Option<usize>,
}

/// What a run needs while something is told to it.
pub(crate) struct Scene<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) batch: &'a mut Batch,
    pub(crate) now: Timestamp,
    /// Whether attempts may be made; not while the partition is handed over.
    pub(crate) dispatch: bool,
    /// From 0 to 1, to spread retries.
    pub(crate) jitter: f64,
}

impl Resident {
    /// A run whose history, if any, ends at `last_at`.
    pub(crate) fn new(
        address: Arc<Address>,
        machine: Machine,
        cached: Cached,
        last_at: Timestamp,
    ) -> Self {
        let next_event = machine.ledger().events();
        Self {
            address,
            machine,
            cached,
            in_flight: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            idle_since: Timestamp::default(),
            next_event,
            last_at,
            slots: Slots::default(),
        }
    }

    /// The last batch that has something of it.
    pub(crate) fn written_in(&self) -> i64 {
        self.slots.batch
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.machine.ledger().status().is_closed()
    }

    /// Something happened: written down with all that follows from it.
    pub(crate) fn tell(&mut self, event: Event, scene: &mut Scene<'_>) {
        let was_stuck = self.machine.ledger().status() == Status::Stuck;
        let at = self.write(&event, scene);
        self.machine.deliver(event, at);
        self.go_on(scene);
        if was_stuck && self.machine.ledger().status() == Status::Compensating {
            self.give_up_on_lost(scene);
        }
    }

    /// A stuck run unwinds: what was under way when its worker was lost is not
    /// made again, and will not answer.
    fn give_up_on_lost(&mut self, scene: &mut Scene<'_>) {
        self.offer_again(scene);
        let running = self.machine.ledger().running().iter();
        let lost = running.filter(|(seq, running)| {
            running.direction != Direction::Undo
                && !self.in_flight.contains(seq)
                && !scene.performs_elsewhere(running)
        });
        let lost: Vec<_> = lost.map(|(seq, running)| (*seq, running.attempt)).collect();
        for (seq, attempts) in lost {
            let reason = "its worker was lost".to_owned();
            self.tell(Event::Unknown { seq, attempts, reason }, scene);
        }
    }

    /// Writes down what follows from what has been delivered.
    pub(crate) fn go_on(&mut self, scene: &mut Scene<'_>) {
        let at = self.at(scene);
        for event in self.machine.take(at) {
            self.write(&event, scene);
        }
        self.settle(scene);
    }

    /// An attempt was answered.
    pub(crate) fn answer(
        &mut self,
        seq: Seq,
        attempt: u32,
        answer: Attempt,
        scene: &mut Scene<'_>,
    ) {
        // A late one, of an attempt that another has followed.
        if !self.machine.awaits(seq, attempt) {
            return;
        }
        self.in_flight.remove(&seq);
        self.elsewhere.remove(&seq);
        let event = match answer {
            Attempt::Done(output) => Event::Done { seq, output },
            Attempt::Refused(error) if self.may_refuse(seq) => Event::Refused { seq, error },
            Attempt::Refused(error) => {
                let reason = format!("refused, where that cannot be: {}", error.get());
                self.after_failure(seq, &reason, None, scene)
            }
            Attempt::Failed { reason, retry_after } => {
                self.after_failure(seq, &reason, retry_after, scene)
            }
        };
        self.tell(event, scene);
    }

    fn may_refuse(&self, seq: Seq) -> bool {
        let running = self.machine.ledger().running().get(&seq);
        running.is_some_and(|running| running.direction == Direction::Do)
            && !self.machine.ledger().pivoted()
    }

    fn after_failure(
        &self,
        seq: Seq,
        reason: &str,
        retry_after: Option<std::time::Duration>,
        scene: &Scene<'_>,
    ) -> Event {
        let ledger = self.machine.ledger();
        let running = &ledger.running()[&seq];
        let reason = storable(reason);
        let attempts = running.attempt;
        // While unwinding an action is not tried again: its undo voids it.
        let given_up =
            ledger.status() == Status::Compensating && running.direction != Direction::Undo;
        let options = scene.registry.options(running, ledger.pivoted());
        let elapsed = scene.now.since(running.since);
        match options.next(running.counted(), elapsed, retry_after, scene.jitter) {
            Some(wait) if !given_up => {
                let retry_at = self.at(scene).max(scene.now).after(wait);
                Event::AttemptFailed { seq, attempt: attempts, reason, retry_at }
            }
            _ => Event::Unknown { seq, attempts, reason },
        }
    }

    /// An alarm rang; false when it meant nothing any more.
    pub(crate) fn ring(&mut self, seq: Seq, due: Timestamp, scene: &mut Scene<'_>) -> bool {
        // One of a retry that another has followed would be too early for that.
        if self.machine.ledger().alarms().get(&seq) != Some(&due) {
            return false;
        }
        match self.machine.ledger_mut().ring(seq) {
            Rang::Nothing => return false,
            Rang::Timer => self.tell(Event::Fired { seq }, scene),
            Rang::Deadline => self.tell(Event::DeadlinePassed {}, scene),
            Rang::Retry => self.settle(scene),
        }
        true
    }

    /// Takes up what the last owner left: attempts that it did not see the end of.
    /// `charge` says that it was lost, so that they count.
    pub(crate) fn resume(&mut self, charge: bool, scene: &mut Scene<'_>) {
        self.find_elsewhere(scene);
        self.catch_up(scene);
        let running = self.machine.ledger().running().iter();
        let open: Vec<_> =
            running.filter(|(_, running)| running.is_under_way()).map(|(seq, _)| *seq).collect();
        // What it asks for only now was not under way.
        self.go_on(scene);
        self.offer_again(scene);
        for seq in open {
            let ledger = self.machine.ledger();
            let moves = !ledger.status().is_closed() && ledger.status() != Status::Stuck;
            match ledger.running().get(&seq) {
                Some(_) if !moves => break,
                Some(running) if scene.performs_elsewhere(running) => {}
                Some(running) if charge || ledger.status() == Status::Compensating => {
                    match self.after_loss(seq, running, charge, scene) {
                        Some(event) => self.tell(event, scene),
                        None => self.dispatch(seq, scene),
                    }
                }
                Some(_) => self.dispatch(seq, scene),
                None => {}
            }
        }
        self.cache(scene);
    }

    /// What an attempt comes to whose end nobody saw; `None`: it is made again
    /// under its own number.
    fn after_loss(
        &self,
        seq: Seq,
        running: &Running,
        charge: bool,
        scene: &Scene<'_>,
    ) -> Option<Event> {
        let ledger = self.machine.ledger();
        let attempt = running.attempt;
        if charge && running.lost + 1 >= POISON {
            let detail = format!("{} lost its worker {POISON} times", running.call.activity);
            return Some(Event::Stuck { reason: StuckReason::Poison, detail, seq: Some(seq) });
        }
        // A loss says nothing about the service: only a step that may be tried no more than
        // once is given up for it. It counts all the same when an attempt fails later.
        let policy = scene.registry.options(running, ledger.pivoted()).retry;
        let was_last = charge && policy.maximum_attempts == 1;
        // While unwinding an action is not made again: its undo voids it.
        let voided =
            ledger.status() == Status::Compensating && running.direction != Direction::Undo;
        if was_last || voided {
            let reason = "its worker was lost".to_owned();
            return Some(Event::Unknown { seq, attempts: attempt, reason });
        }
        charge.then_some(Event::AttemptLost { seq, attempt })
    }

    /// A retry that is due counts as made: history does not say that it was, and
    /// its alarm is gone if so.
    fn catch_up(&mut self, scene: &mut Scene<'_>) {
        let ledger = self.machine.ledger_mut();
        let is_due = |running: &Running| running.retry_at.is_some_and(|due| due <= scene.now);
        let running = ledger.running().iter();
        let due: Vec<_> =
            running.filter(|(_, running)| is_due(running)).map(|(seq, _)| *seq).collect();
        for seq in due {
            ledger.ring(seq);
        }
        let Address { part, run, .. } = *self.address;
        for (seq, due) in ledger.take_news().alarms_dropped {
            scene.batch.alarms_dropped.push((part, run, seq, due));
        }
    }

    /// Lets a new owner leave it where it is, until something wakes it.
    pub(crate) fn park(&mut self, scene: &mut Scene<'_>) {
        let cached = Cached { hot: false, ..self.cached };
        self.update(cached, scene);
    }

    fn write(&mut self, event: &Event, scene: &mut Scene<'_>) -> Timestamp {
        let at = self.at(scene);
        self.open_slots(scene.batch);
        let history = &mut scene.batch.history;
        let slot = *self.slots.history.get_or_insert_with(|| {
            history.push(HistoryRow::new(&self.address, self.next_event, at));
            history.len() - 1
        });
        scene.batch.bytes += history[slot].push(event);
        self.next_event += 1;
        self.last_at = at;
        at
    }

    /// All events of one row have one time, and time never goes back.
    fn at(&self, scene: &Scene<'_>) -> Timestamp {
        match self.slots.history {
            Some(_) if self.slots.batch == scene.batch.number => self.last_at,
            _ => self.last_at.max(scene.now),
        }
    }

    fn open_slots(&mut self, batch: &mut Batch) {
        if self.slots.batch != batch.number {
            self.slots = Slots { batch: batch.number, ..Slots::default() };
            batch.after.touched.push(self.address.run);
        }
    }

    /// Turns what changed into rows and attempts.
    fn settle(&mut self, scene: &mut Scene<'_>) {
        let news = self.machine.ledger_mut().take_news();
        let Address { part, run, .. } = *self.address;
        for (seq, due) in news.alarms_set {
            let address = Arc::clone(&self.address);
            scene.batch.alarms_set.push(AlarmRow { address, seq, due });
        }
        for (seq, due) in news.alarms_dropped {
            scene.batch.alarms_dropped.push((part, run, seq, due));
        }
        for seq in news.dispatch {
            self.dispatch(seq, scene);
        }
        self.cache(scene);
    }

    pub(super) fn dispatch(&mut self, seq: Seq, scene: &mut Scene<'_>) {
        let ledger = self.machine.ledger();
        let Some(running) = ledger.running().get(&seq) else { return };
        if !scene.dispatch || !running.is_under_way() || ledger.status() == Status::Stuck {
            return;
        }
        let options = scene.registry.options(running, ledger.pivoted());
        scene.batch.after.dispatches.push(Dispatch {
            address: Arc::clone(&self.address),
            seq,
            of: running.of,
            direction: running.direction,
            attempt: running.attempt,
            call: running.call.clone(),
            first: running.attempt == 1 && running.since == self.at(scene),
            limit: options.start_to_close,
            heartbeat: options.heartbeat,
            close_by: options.schedule_to_close.map(|limit| running.since.after(limit)),
            queue: scene.registry.queue(&running.call.activity).cloned(),
        });
        self.in_flight.insert(seq);
    }

    /// Keeps the row in step with history, where it has to be.
    fn cache(&mut self, scene: &mut Scene<'_>) {
        let status = self.machine.ledger().status();
        let idle = status.is_closed() || status == Status::Stuck;
        let cached = Cached {
            status,
            undo: match status {
                Status::Running => UndoStatus::None,
                _ => self.machine.ledger().undo_status(),
            },
            hot: self.is_busy() || (self.cached.hot && !idle),
            closed_at: status
                .is_closed()
                .then(|| self.cached.closed_at.unwrap_or_else(|| self.at(scene))),
        };
        if cached == self.cached {
            return;
        }
        let was_open = !self.cached.status.is_closed();
        if cached.status != self.cached.status {
            self.call_back(scene);
        }
        self.update(cached, scene);
        if let Some(outcome) = self.machine.ledger().outcome().filter(|_| was_open) {
            if !self.in_flight.is_empty() {
                // A step that nobody waits for any more, and is due in this very batch.
                scene.batch.after.dispatches.retain(|due| due.address.run != self.address.run);
            }
            scene.batch.after.closed.push((self.address.run, outcome));
        }
    }

    fn update(&mut self, cached: Cached, scene: &mut Scene<'_>) {
        self.open_slots(scene.batch);
        self.cached = cached;
        let updates = &mut scene.batch.updates;
        if let Some(slot) = self.slots.update {
            updates[slot].cached = cached;
        } else {
            self.slots.update = Some(updates.len());
            updates.push(UpdateRow { address: Arc::clone(&self.address), cached });
        }
    }
}

/// Storing a failure must never fail: no NUL, and no end of text.
fn storable(reason: &str) -> String {
    const LIMIT: usize = 2_000;
    reason.replace('\0', "\u{fffd}").chars().take(LIMIT).collect()
}
