//! A model of the database: the rows, and the SQL functions over them. What
//! Postgres would take and we must never ask for is refused with a panic.

mod kin;
mod letters;
mod tasks;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Event, Ledger, Seq, Status, Timestamp, UndoStatus};
use uuid::Uuid;

use super::super::{AlarmRow, Batch, Cached, Dispatch, Kin, Stored};
use crate::address::{Address, Part};
use kin::Late;
use letters::Waiting;
pub(super) use tasks::Claim;
use tasks::Task;
use views::Views;

pub(super) type WorkerId = u64;
pub(super) type Labels = BTreeMap<String, String>;
type Alarm = (Part, Timestamp, Uuid, Seq);

/// A batch as it goes over the wire: as often as it takes.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) number: i64,
    starts: Vec<(Arc<Address>, String)>,
    history: Vec<(Part, Uuid, u32, Timestamp, String)>,
    updates: Vec<(Arc<Address>, Cached, Labels)>,
    set: Vec<(Arc<Address>, Seq, Timestamp)>,
    dropped: Vec<Alarm>,
    consumed: Vec<(Part, Uuid, String)>,
    views: Vec<String>,
    kin: Rc<Kin>,
}

impl From<Batch> for Packet {
    fn from(batch: Batch) -> Self {
        let starts = batch.starts.into_iter().map(|row| (row.address, row.workflow_type));
        let history = batch.history.into_iter();
        let history = history.map(|h| (h.part, h.run, h.event, h.at, h.into_json()));
        let updates = batch.updates.into_iter();
        let updates = updates.map(|u| (u.address, u.cached, u.labels.unwrap_or_default()));
        let set = batch.alarms_set.into_iter().map(|row| (row.address, row.seq, row.due));
        let dropped = batch.alarms_dropped.into_iter();
        Self {
            number: batch.number,
            starts: starts.collect(),
            history: history.collect(),
            updates: updates.collect(),
            set: set.collect(),
            dropped: dropped.map(|(part, run, seq, due)| (part, due, run, seq)).collect(),
            consumed: batch.consumed,
            views: batch.views,
            kin: Rc::new(batch.kin),
        }
    }
}

pub(super) struct Row {
    pub(super) address: Arc<Address>,
    pub(super) workflow_type: String,
    pub(super) cached: Cached,
    pub(super) labels: Labels,
}

pub(super) struct Partition {
    pub(super) owner: Option<WorkerId>,
    pub(super) clean: bool,
}

/// The worker has been buried.
#[derive(Debug)]
pub(super) struct Fenced;

#[derive(Default)]
pub(super) struct Database {
    now: Timestamp,
    pub(super) partitions: BTreeMap<Part, Partition>,
    /// The last batch of each worker, and the starts in it that came too late.
    fences: BTreeMap<WorkerId, (i64, Vec<Uuid>)>,
    workflows: BTreeMap<(Part, Arc<str>, i32), Row>,
    by_run: HashMap<Uuid, (Part, Arc<str>, i32)>,
    history: HashMap<Uuid, Vec<(Timestamp, Vec<Event>)>>,
    alarms: BTreeMap<Alarm, Arc<Address>>,
    inbox: BTreeMap<(Part, Uuid, String), Waiting>,
    arrivals: u64,
    /// The latest arrival that each run, or one that follows it, has heard of.
    heard: HashMap<Uuid, u64>,
    /// Whether ids that are wanted now are in somebody's open transaction.
    pub(super) crowded: bool,
    late: Vec<Late>,
    pub(super) views: Views,
    tasks: BTreeMap<(Part, Uuid, Seq), Task>,
    claims: u64,
}

impl Database {
    pub(super) fn new(partitions: Part) -> Self {
        let unowned = |part| (part, Partition { owner: None, clean: true });
        let partitions = (0..partitions).map(unowned).collect();
        Self { now: Timestamp(1_000_000_000), partitions, ..Self::default() }
    }

    /// Nobody's clock is ahead of this one.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    pub(super) fn register(&mut self, worker: WorkerId) {
        self.fences.insert(worker, (0, Vec::new()));
    }

    pub(super) fn is_buried(&self, worker: WorkerId) -> bool {
        !self.fences.contains_key(&worker)
    }

    /// A burial (unclean), or a leave in peace.
    pub(super) fn bury(&mut self, worker: WorkerId, clean: bool) {
        self.fences.remove(&worker);
        for partition in self.partitions.values_mut().filter(|p| p.owner == Some(worker)) {
            *partition = Partition { owner: None, clean };
        }
    }

    pub(super) fn claim(&mut self, worker: WorkerId, wanted: usize) -> Vec<(Part, bool)> {
        let free = self.partitions.iter_mut().filter(|(_, p)| p.owner.is_none());
        let claim = |(part, partition): (&Part, &mut Partition)| {
            partition.owner = Some(worker);
            (*part, partition.clean)
        };
        free.take(wanted).map(claim).collect()
    }

    pub(super) fn release(&mut self, worker: WorkerId, parts: &[Part]) {
        for part in parts {
            let partition = self.partitions.get_mut(part).unwrap();
            assert_eq!(partition.owner, Some(worker), "only the owner releases");
            *partition = Partition { owner: None, clean: true };
        }
    }

    pub(super) fn commit(&mut self, worker: WorkerId, p: &Packet) -> Result<Vec<Uuid>, Fenced> {
        let fence = self.fences.get_mut(&worker).ok_or(Fenced)?;
        if fence.0 == p.number {
            return Ok(fence.1.clone());
        }
        assert_eq!(fence.0, p.number - 1, "batches are committed one after the other");
        let mut lost = Vec::new();
        for (address, workflow_type) in &p.starts {
            if self.crowded || !self.insert(address, workflow_type, Labels::new()) {
                lost.push(address.run);
            }
        }
        for (part, run, event, at, events) in &p.history {
            if !lost.contains(run) {
                self.append(worker, (*part, *run), *event, *at, events);
            }
        }
        for (address, cached, labels) in &p.updates {
            let row = self.workflows.get_mut(&key(address));
            if let Some(row) = row.filter(|row| row.address.run == address.run) {
                row.cached = *cached;
                row.labels.extend(labels.clone());
            }
        }
        for (address, seq, due) in p.set.iter().filter(|(to, ..)| !lost.contains(&to.run)) {
            assert!(self.by_run.contains_key(&address.run), "an alarm for nobody");
            let alarm = (address.part, *due, address.run, *seq);
            let twice = self.alarms.insert(alarm, Arc::clone(address)).is_some();
            assert!(!twice, "an alarm is set twice: {alarm:?}");
        }
        p.views.iter().for_each(|row| self.write_view(worker, row, &lost));
        for (_, run, ..) in p.history.iter().filter(|(_, run, ..)| !lost.contains(run)) {
            let (status, row) = (self.ledger(*run).status(), &self.workflows[&self.by_run[run]]);
            assert_eq!(row.cached.status, status, "{run}: the row is its history");
            self.is_shown(&row.address);
        }
        p.dropped.iter().for_each(|alarm| drop(self.alarms.remove(alarm)));
        p.consumed.iter().for_each(|message| drop(self.inbox.remove(message)));
        self.tell_kin(&p.kin, &lost);
        p.consumed.iter().for_each(|message| self.has_been_heard(message));
        self.fences.insert(worker, (p.number, lost.clone()));
        Ok(lost)
    }

    fn insert(&mut self, address: &Arc<Address>, workflow_type: &str, labels: Labels) -> bool {
        let key = key(address);
        if self.workflows.contains_key(&key) {
            return false;
        }
        let cached =
            Cached { status: Status::Running, undo: UndoStatus::None, hot: true, closed_at: None };
        let (address, workflow_type) = (Arc::clone(address), workflow_type.to_owned());
        self.by_run.insert(address.run, key.clone());
        self.workflows.insert(key, Row { address, workflow_type, cached, labels });
        true
    }

    fn append(
        &mut self,
        worker: WorkerId,
        (part, run): (Part, Uuid),
        event: u32,
        at: Timestamp,
        json: &str,
    ) {
        assert!(self.by_run.contains_key(&run), "history of a run that does not exist: {json}");
        assert_eq!(self.partitions[&part].owner, Some(worker), "written by another: {json}");
        let rows = self.history.entry(run).or_default();
        let events: usize = rows.iter().map(|(_, events)| events.len()).sum();
        assert_eq!(usize::try_from(event).unwrap(), events, "history is gapless: {json}");
        assert!(rows.last().is_none_or(|(last, _)| *last <= at), "time goes back: {json}");
        let events: Vec<Event> = serde_json::from_str(json).unwrap();
        rows.push((at, events.clone()));
        self.in_order((part, run), &events);
    }

    pub(super) fn due(&self, parts: &[Part], until: Timestamp) -> Vec<AlarmRow> {
        let due = self.alarms.iter();
        let due = due.filter(|((part, due, ..), _)| parts.contains(part) && *due <= until);
        due.map(|((_, due, _, seq), address)| AlarmRow {
            address: Arc::clone(address),
            seq: *seq,
            due: *due,
        })
        .collect()
    }

    /// How many are set.
    pub(super) fn alarms(&self) -> usize {
        self.alarms.len()
    }

    pub(super) fn load(&self, addresses: &[Arc<Address>]) -> Vec<Stored> {
        let rows = addresses.iter().filter_map(|address| self.workflows.get(&key(address)));
        rows.map(|row| self.stored(row)).collect()
    }

    /// A page of what a new owner has to load.
    pub(super) fn hot(
        &self,
        parts: &[Part],
        after: Option<Uuid>,
        limit: usize,
    ) -> (Vec<Stored>, Option<Uuid>) {
        let hot = |row: &&Row| row.cached.hot && parts.contains(&row.address.part);
        let mut rows: Vec<_> = self.workflows.values().filter(hot).collect();
        rows.retain(|row| after.is_none_or(|after| row.address.run > after));
        rows.sort_by_key(|row| row.address.run);
        rows.truncate(limit);
        let next = rows.last().map(|row| row.address.run).filter(|_| rows.len() == limit);
        (rows.into_iter().map(|row| self.stored(row)).collect(), next)
    }

    fn stored(&self, row: &Row) -> Stored {
        Stored {
            address: Arc::clone(&row.address),
            workflow_type: row.workflow_type.clone(),
            cached: row.cached,
            history: self.history[&row.address.run].clone(),
            // Its bodies return.
            lost: 0,
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.workflows.values()
    }

    /// A run, by its own id.
    pub(super) fn row(&self, run: Uuid) -> Option<&Row> {
        self.by_run.get(&run).map(|key| &self.workflows[key])
    }

    /// An execution of a workflow.
    pub(super) fn execution(&self, of: &Address, run_no: i32) -> Option<&Row> {
        self.workflows.get(&(of.part, Arc::clone(&of.workflow_id), run_no))
    }

    pub(super) fn latest(&self, part: Part, workflow_id: &str) -> Option<&Row> {
        let of_id =
            |row: &&Row| row.address.part == part && &*row.address.workflow_id == workflow_id;
        self.workflows.values().filter(of_id).max_by_key(|row| row.address.run_no)
    }

    pub(super) fn history(&self, run: Uuid) -> &[(Timestamp, Vec<Event>)] {
        self.history.get(&run).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn events(&self, run: Uuid) -> impl Iterator<Item = &Event> {
        self.history(run).iter().flat_map(|(_, events)| events)
    }

    /// No effect without a committed intent, and none before it is due; what is held back may be
    /// tried at any time.
    pub(super) fn intends(&self, dispatch: &Dispatch, now: Timestamp) -> bool {
        let ledger = self.ledger(dispatch.address.run);
        let Some(running) = ledger.running().get(&dispatch.seq) else {
            // Another attempt was answered meanwhile: this one has the same key.
            return self.answered(dispatch);
        };
        let due = running.held > 0 || running.retry_at.is_none_or(|due| due <= now);
        let last = running.attempt == dispatch.attempt && due;
        let call = running.call == dispatch.call || running.probe.is_none();
        call && (last || running.attempt > dispatch.attempt)
    }

    /// Whether it is held back until later than `now`.
    pub(super) fn is_held(&self, dispatch: &Dispatch, now: Timestamp) -> bool {
        let ledger = self.ledger(dispatch.address.run);
        let running = ledger.running().get(&dispatch.seq);
        running.is_some_and(|running| running.held > 0 && running.retry_at > Some(now))
    }

    fn answered(&self, dispatch: &Dispatch) -> bool {
        self.events(dispatch.address.run).any(|event| match event {
            Event::Done { seq, .. }
            | Event::Refused { seq, .. }
            | Event::NotDone { seq, attempts: 1.., .. }
            | Event::Unknown { seq, .. } => *seq == dispatch.seq,
            // By the one that a new owner found, while it was about to make it again.
            Event::AttemptFailed { seq, attempt, .. } => {
                (*seq, *attempt) == (dispatch.seq, dispatch.attempt)
            }
            Event::Terminated { .. } => true,
            _ => false,
        })
    }

    pub(super) fn ledger(&self, run: Uuid) -> Ledger {
        let mut ledger = Ledger::default();
        for (at, events) in self.history(run) {
            for event in events {
                ledger.apply(event, *at);
            }
        }
        ledger
    }
}

fn key(address: &Address) -> (Part, Arc<str>, i32) {
    (address.part, Arc::clone(&address.workflow_id), address.run_no)
}
