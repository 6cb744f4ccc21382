//! What one commit carries, and what may happen only after it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{
    ActivityContext, Because, Call, Direction, Event, Origin, Outcome, Seq, Status, Timestamp,
    UndoStatus,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::held::Alarm;
use super::kin::{Heir, Kin};
use crate::address::{Address, Part};

/// So much history in one commit, about; then nothing is taken in until it is committed.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// So many rows of history and of what is said to others in one commit, about.
const ROWS_MAX: usize = 20_000;

/// Rows of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) number: i64,
    pub(crate) starts: Vec<NewRow>,
    pub(crate) history: Vec<HistoryRow>,
    pub(crate) updates: Vec<UpdateRow>,
    pub(crate) alarms_set: Vec<AlarmRow>,
    pub(crate) alarms_dropped: Vec<(Part, Uuid, Seq, Timestamp)>,
    pub(crate) consumed: Vec<(Part, Uuid, String)>,
    pub(crate) kin: Kin,
    /// What views say from now on, each as `hansom.write_views` reads it.
    pub(crate) views: Vec<String>,
    pub(crate) after: After,
    /// Of history and views, about.
    pub(crate) bytes: usize,
}

/// What waits for the commit.
#[derive(Debug, Default)]
pub(crate) struct After {
    pub(crate) replies: Vec<(Uuid, StartReply, Option<OwnedSemaphorePermit>)>,
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) closed: Vec<(Uuid, Outcome)>,
    pub(crate) consumed: Vec<(Part, Uuid, String)>,
    /// Alarms that ring from now on: when, which, and whose.
    pub(crate) alarms: Vec<(Timestamp, Seq, Arc<Address>)>,
    /// Steps that are held back from now on.
    pub(super) held: Vec<HeldStep>,
    pub(crate) touched: Vec<Uuid>,
    /// Steps that have ended, of which heartbeats are kept.
    pub(crate) silent: Vec<(Part, Uuid, Seq)>,
    /// Runs that begin, because others went on in them.
    pub(crate) heirs: Vec<Heir>,
    /// Runs that unwind, and have actions under way elsewhere.
    pub(crate) recalled: Vec<(Part, Uuid)>,
    /// Runs that closed, and had attempts under way elsewhere.
    pub(crate) abandoned: Vec<(Part, Uuid)>,
    /// Runs that closed, and had attempts under way or due.
    pub(super) overtaken: HashSet<Uuid>,
}

/// A new workflow.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) address: Arc<Address>,
    pub(crate) workflow_type: String,
    pub(crate) started_at: Timestamp,
    pub(crate) labels: Option<String>,
}

/// The events of one run in one commit, as JSON.
#[derive(Debug)]
pub(crate) struct HistoryRow {
    pub(crate) part: Part,
    pub(crate) run: Uuid,
    pub(crate) event: u32,
    pub(crate) at: Timestamp,
    events: Vec<u8>,
}

/// What the row of a workflow says from now on.
#[derive(Debug)]
pub(crate) struct UpdateRow {
    pub(crate) address: Arc<Address>,
    pub(crate) cached: Cached,
    /// To be merged into those it has.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// The part of a workflow's row that changes: a cache of its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) status: Status,
    pub(crate) undo: UndoStatus,
    /// Whether a new owner has to load it.
    pub(crate) hot: bool,
    pub(crate) closed_at: Option<Timestamp>,
}

/// A timer or a retry.
#[derive(Debug)]
pub(crate) struct AlarmRow {
    pub(crate) address: Arc<Address>,
    pub(crate) seq: Seq,
    pub(crate) due: Timestamp,
}

/// A step that is held back until an alarm, if it cannot be sent before.
#[derive(Debug)]
pub(super) struct HeldStep {
    pub(super) activity: String,
    pub(super) alarm: Alarm,
    pub(super) address: Arc<Address>,
    /// So long its service takes no requests, as it says.
    pub(super) after: Option<Duration>,
}

/// Whom to tell that a workflow is started.
pub(crate) type StartReply = oneshot::Sender<StartAnswer>;

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartAnswer {
    /// It is committed.
    Started,
    /// Another start has the id.
    Taken,
    /// This lane does not own the partition, or not any more.
    NotMine,
}

/// One attempt, to be made once its intent is committed.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) address: Arc<Address>,
    pub(crate) seq: Seq,
    /// The action this serves: `seq` itself, or what it undoes.
    pub(crate) of: Seq,
    /// The run that acted, when it is another one.
    pub(crate) origin: Option<Origin>,
    pub(crate) direction: Direction,
    /// Of an undo: why it is owed.
    pub(crate) because: Option<Because>,
    pub(crate) attempt: u32,
    pub(crate) call: Call,
    /// Nobody has attempted this step before.
    pub(crate) first: bool,
    pub(crate) limit: Duration,
    pub(crate) heartbeat: Option<Duration>,
    /// When all attempts of the step have to be over.
    pub(crate) close_by: Option<Timestamp>,
    /// Where it is performed, if not here.
    pub(crate) queue: Option<Arc<str>>,
}

impl Dispatch {
    /// What its handler may know of it.
    pub(crate) fn context(&self) -> ActivityContext {
        // What another run did is undone under that run's name.
        let (id, run) = match &self.origin {
            Some(Origin { workflow_id, run }) => (workflow_id.as_str(), run.clone()),
            None => (&*self.address.workflow_id, self.address.run.to_string()),
        };
        ActivityContext::new(id, run, self.of, self.direction, self.attempt)
    }
}

impl Batch {
    /// An empty one that follows `number`.
    pub(crate) fn following(number: i64) -> Self {
        Self { number: number + 1, ..Self::default() }
    }

    /// Whether one statement should not carry more.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes + self.kin.bytes > BYTES_MAX || self.history.len() + self.kin.rows() > ROWS_MAX
    }

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.starts.is_empty()
            && self.history.is_empty()
            && self.updates.is_empty()
            && self.alarms_set.is_empty()
            && self.alarms_dropped.is_empty()
            && self.consumed.is_empty()
            && self.kin.is_empty()
            && self.views.is_empty()
            && self.after.dispatches.is_empty()
    }

    /// What a view says of a run from now on, in place of what this batch had before at `slot`.
    /// Answers where it stands.
    pub(crate) fn view(&mut self, row: String, slot: Option<usize>) -> usize {
        self.bytes += row.len();
        let Some(slot) = slot else {
            self.views.push(row);
            return self.views.len() - 1;
        };
        self.bytes -= std::mem::replace(&mut self.views[slot], row).len();
        slot
    }

    /// Notes that a message has been dealt with, once this is committed.
    pub(crate) fn consume(&mut self, address: &Address, message: String) {
        self.after.consumed.push((address.part, address.run, message.clone()));
        self.consumed.push((address.part, address.run, message));
    }
}

impl After {
    /// Nobody waits any more for attempts of runs that closed in the same commit.
    pub(super) fn forget_overtaken(&mut self) {
        let overtaken = std::mem::take(&mut self.overtaken);
        if !overtaken.is_empty() {
            self.dispatches.retain(|due| !overtaken.contains(&due.address.run));
        }
    }
}

impl HistoryRow {
    /// A row whose first event will be number `event`.
    pub(crate) fn new(address: &Address, event: u32, at: Timestamp) -> Self {
        Self { part: address.part, run: address.run, event, at, events: b"[".to_vec() }
    }

    /// Adds an event, and says by how many bytes it grew.
    pub(crate) fn push(&mut self, event: &Event) -> usize {
        let before = self.events.len();
        if self.events.len() > 1 {
            self.events.push(b',');
        }
        serde_json::to_writer(&mut self.events, event).expect("events are plain data");
        self.events.len() - before
    }

    /// The JSON array of its events.
    pub(crate) fn into_json(mut self) -> String {
        self.events.push(b']');
        String::from_utf8(self.events).expect("JSON is UTF-8")
    }
}

/// The JSON of a first history row.
pub(crate) fn first_row(events: &[Event]) -> String {
    serde_json::to_string(events).expect("events are plain data")
}
