//! One run in memory: its machine, and what of it the database knows.
//!
//! `answers` says what an attempt's end means, `resume` what the last owner left; here is what
//! both write down; `views` what others see of it.

mod answers;
mod resume;
mod views;

pub(super) use resume::{is_poison, poison};
pub(super) use views::fold;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hansom_core::{
    Event, Fold, Machine, News, Payload, Seq, Status, StuckReason, Timestamp, UndoStatus,
};

use super::batch::{AlarmRow, Batch, Cached, Dispatch, HistoryRow, UpdateRow};
use crate::Registry;
use crate::address::Address;

/// A body that has panicked this often at one place is not polled again.
const PANICS: u32 = 5;
/// From here on a history is long.
const EVENTS_WARN: u32 = 10_000;

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
    /// How often its body had panicked where it is before it was replayed.
    pub(crate) panics: u32,
    /// When its body begins anew, if it is to.
    pub(super) begins_anew: Option<Timestamp>,
    next_event: u32,
    last_at: Timestamp,
    slots: Slots,
    /// What views say of it, when its type has any.
    fold: Option<Box<Fold>>,
}

/// Where its rows are in the batch being gathered.
#[derive(Default)]
struct Slots {
    batch: i64,
    history: Option<usize>,
    update: Option<usize>,
    /// Of each of its views, in order; shorter where none of the rest has changed.
    views: Vec<Option<usize>>,
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
    /// How many partitions there are.
    pub(crate) partitions: i32,
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
            fold: None,
            address,
            machine,
            cached,
            in_flight: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            idle_since: Timestamp::default(),
            panics: 0,
            begins_anew: None,
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

    /// Whether its body has to begin anew, from history: an operator let it try again, or it
    /// panicked, which may have been no fault of its history.
    pub(crate) fn wants_replay(&self) -> bool {
        self.machine.needs_replay() && (self.machine.fault().is_none() || self.holds_panic())
    }

    /// How often its body has panicked where it is. What an operator lets try again begins to
    /// count anew.
    pub(super) fn panics_by_now(&self) -> u32 {
        if self.machine.fault().is_some() { self.panics + 1 } else { 0 }
    }

    fn holds_panic(&self) -> bool {
        let panicked = |fault: &(StuckReason, String)| fault.0 == StuckReason::Panic;
        self.panics + 1 < PANICS && self.machine.fault().is_some_and(panicked)
    }

    /// It begins: what it is told with its start comes before anything that follows.
    pub(crate) fn begin(&mut self, events: Vec<Event>, scene: &mut Scene<'_>) {
        for event in events {
            self.hear(event, scene);
        }
        self.go_on(scene);
    }

    /// Something happened: written down with all that follows from it.
    pub(crate) fn tell(&mut self, event: Event, scene: &mut Scene<'_>) {
        let was_stuck = self.machine.ledger().status() == Status::Stuck;
        if matches!(event, Event::Retried { .. }) {
            self.panics = 0;
        }
        self.hear(event, scene);
        self.go_on(scene);
        if was_stuck {
            match self.machine.ledger().status() {
                Status::Compensating => self.give_up_on_lost(scene),
                Status::Running => self.take_up_again(scene),
                _ => {}
            }
        }
    }

    /// Writes down what follows from what has been delivered.
    pub(crate) fn go_on(&mut self, scene: &mut Scene<'_>) {
        let at = self.at(scene);
        if !self.holds_panic() {
            for event in self.take(at) {
                self.write(&event, scene);
            }
        }
        self.settle(scene);
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
        let bytes = history[slot].push(event);
        scene.batch.bytes += bytes;
        if bytes > Payload::LARGE {
            tracing::warn!(
                workflow_id = %self.address.workflow_id, run = %self.address.run,
                event = self.next_event, bytes, "payload_large"
            );
        }
        self.next_event += 1;
        if self.next_event == EVENTS_WARN {
            tracing::warn!(
                workflow_id = %self.address.workflow_id, run = %self.address.run,
                events = EVENTS_WARN, "history_long"
            );
        }
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

    /// What happens next takes a row of its own, if the one being written is of an earlier time.
    fn not_before(&mut self, time: Timestamp) {
        if self.last_at < time {
            self.slots.history = None;
        }
    }

    fn open_slots(&mut self, batch: &mut Batch) {
        if self.slots.batch != batch.number {
            self.slots = Slots { batch: batch.number, ..Slots::default() };
            batch.after.touched.push(self.address.run);
        }
    }

    /// Turns what changed into rows, messages and attempts.
    fn settle(&mut self, scene: &mut Scene<'_>) {
        let news = self.machine.ledger_mut().take_news();
        let News { dispatch, alarms_set, alarms_dropped, children, orders, labels } = news;
        let Address { part, run, .. } = *self.address;
        for (seq, due) in alarms_set {
            let address = Arc::clone(&self.address);
            scene.batch.alarms_set.push(AlarmRow { address, seq, due });
        }
        for (seq, due) in alarms_dropped {
            scene.batch.alarms_dropped.push((part, run, seq, due));
        }
        for seq in dispatch {
            self.dispatch(seq, scene);
        }
        for (seq, child) in children {
            let kind = scene.registry.workflow(&child.start.workflow_type);
            let code = kind.and_then(|kind| kind.code).map(|code| code.to_string());
            scene.batch.kin.start(&self.address, (seq, child), code, scene.partitions);
        }
        for order in orders {
            scene.batch.kin.order(&self.address, order, scene.partitions);
        }
        if !labels.is_empty() {
            self.label(labels, scene);
        }
        self.show(scene);
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
            origin: running.origin.clone(),
            direction: running.direction,
            because: running.because,
            attempt: running.attempt,
            call: running.call.clone(),
            first: running.attempt == 1 && running.since == self.at(scene),
            limit: options.attempt_limit(scene.now.since(running.since)),
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
        let mut cached = Cached {
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
            // Should this owner be lost before they are told, the next one tells them.
            cached.hot |= self.call_back(scene);
        }
        self.update(cached, scene);
        if let Some(outcome) = self.machine.ledger().outcome().filter(|_| was_open) {
            if !self.in_flight.is_empty() {
                // A step that nobody waits for any more may be due in this very batch.
                scene.batch.after.overtaken.insert(self.address.run);
            }
            scene.batch.after.closed.push((self.address.run, outcome));
            scene.batch.kin.report(&self.address, self.machine.ledger(), scene.partitions);
            let at = self.at(scene);
            scene.batch.kin.go_on(&self.address, &self.machine, at);
        }
    }

    fn update(&mut self, cached: Cached, scene: &mut Scene<'_>) {
        self.cached = cached;
        self.update_row(scene).cached = cached;
    }

    fn label(&mut self, labels: Vec<(String, String)>, scene: &mut Scene<'_>) {
        let row = self.update_row(scene);
        row.labels.get_or_insert_with(BTreeMap::new).extend(labels);
    }

    /// Its row among the updates of this batch.
    fn update_row<'a>(&mut self, scene: &'a mut Scene<'_>) -> &'a mut UpdateRow {
        self.open_slots(scene.batch);
        let updates = &mut scene.batch.updates;
        let slot = *self.slots.update.get_or_insert_with(|| {
            let (address, cached) = (Arc::clone(&self.address), self.cached);
            updates.push(UpdateRow { address, cached, labels: None });
            updates.len() - 1
        });
        &mut updates[slot]
    }
}
