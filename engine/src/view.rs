//! Workflows as a caller sees them: what it says, and what it hears.
//!
//! The JSON of these types is the REST API's.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hansom_core::{Because, Payload, PlannedUndo, Seq, Status, UndoStatus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What to start, under which name, with what.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// [`hansom_core::Workflow::NAME`].
    pub workflow_type: String,
    /// Unique per namespace: 1 to 255 of `[A-Za-z0-9._:-]`.
    pub workflow_id: String,
    /// The encoded input.
    pub input: Payload,
    /// For search; at most 32, each of at most 255 bytes.
    pub labels: BTreeMap<String, String>,
    /// What to do when a closed run has this id.
    pub id_reuse: IdReuse,
    /// It is cancelled if it is still open then, by the database's clock. Default none. A run
    /// that is there already keeps its own.
    pub deadline: Option<DateTime<Utc>>,
    /// A signal that comes with it: also a run that is there already hears it.
    pub signal: Option<SignalRequest>,
}

impl StartRequest {
    /// A start with nothing but an input.
    pub fn new(workflow_type: &str, workflow_id: &str, input: Payload) -> Self {
        Self {
            workflow_type: workflow_type.to_owned(),
            workflow_id: workflow_id.to_owned(),
            input,
            labels: BTreeMap::new(),
            id_reuse: IdReuse::default(),
            deadline: None,
            signal: None,
        }
    }
}

/// A signal to send.
#[derive(Clone, Debug)]
pub struct SignalRequest {
    /// [`hansom_core::Signal::NAME`].
    pub name: String,
    /// The sender's id of it; without one it is a new one.
    pub id: Option<String>,
    /// The encoded signal.
    pub payload: Payload,
}

/// What to do when a *closed* run has the id. An open one is always returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdReuse {
    /// Return the closed run.
    #[default]
    Reject,
    /// Start anew unless it completed.
    AllowFailed,
    /// Start anew.
    Allow,
}

/// Answer to a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    /// One execution of the workflow id.
    pub run: Uuid,
    /// Whether it was there already, with the same input.
    pub existing: bool,
}

/// A workflow as it stands now.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// As its starter named it.
    pub workflow_id: String,
    /// The run described: the latest of that id.
    pub run: Uuid,
    /// [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Where it is in its life.
    pub status: Status,
    /// Where its undos are.
    pub undo: UndoStatus,
    /// Whether it passed its point of no return.
    pub pivoted: bool,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// For search.
    pub labels: BTreeMap<String, String>,
    /// When it is cancelled if it is still open.
    pub deadline: Option<DateTime<Utc>>,
    /// The fingerprint of the body it was started with.
    pub code: Option<String>,
    /// What its body published last.
    pub state: Option<Payload>,
    /// What it waits for and what it owes.
    #[serde(flatten)]
    pub now: Now,
}

/// What a workflow waits for and what it owes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Now {
    /// Activities that have not answered yet.
    pub activities: Vec<PendingActivity>,
    /// Pending timers.
    pub timers: Vec<PendingTimer>,
    /// Children that have not closed yet.
    pub children: Vec<PendingChild>,
    /// Undos that would have to run if it unwound now, in order.
    pub owed_undos: Vec<PlannedUndo>,
    /// Why it will not move without an operator.
    pub stuck: Option<Stuck>,
    /// How many events its history has.
    pub events: u32,
}

/// An activity that has not answered yet.
#[derive(Clone, Debug, Serialize)]
pub struct PendingActivity {
    /// The command.
    pub seq: Seq,
    /// [`hansom_core::Activity::NAME`].
    pub activity: String,
    /// For an undo: the action it undoes.
    pub undo_of: Option<Seq>,
    /// The attempt under way or next, from 1.
    pub attempt: u32,
    /// When the next attempt is due; none while one is under way.
    pub retry_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
    /// The next attempt could not be sent yet, and is held back: until then, or until its
    /// service takes requests again; `last_failure` says why.
    pub held_back: bool,
    /// It is a probe: attempts of the step have run out, and it looks what became of it.
    pub verifying: bool,
    /// It waits for an operator.
    pub parked: bool,
}

/// A child that has not closed.
#[derive(Clone, Debug, Serialize)]
pub struct PendingChild {
    /// The command.
    pub seq: Seq,
    /// [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// The child, as this workflow named it.
    pub workflow_id: String,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// Whether it has been asked to cancel.
    pub cancelling: bool,
}

/// What a workflow shows of itself.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// As its starter named it.
    pub workflow_id: String,
    /// The run.
    pub run: Uuid,
    /// What its body published last; none while it has published nothing.
    pub state: Option<Payload>,
}

/// A timer that has not fired.
#[derive(Clone, Debug, Serialize)]
pub struct PendingTimer {
    /// The command.
    pub seq: Seq,
    /// When it fires.
    pub fires_at: DateTime<Utc>,
}

/// Why a workflow will not move without an operator.
#[derive(Clone, Debug, Serialize)]
pub struct Stuck {
    /// Stable code: [`hansom_core::StuckReason::code`].
    pub reason: &'static str,
    /// What a person needs to know.
    pub detail: String,
}

/// A line of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// As its starter named it.
    pub workflow_id: String,
    /// The run.
    pub run: Uuid,
    /// [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Where it is in its life.
    pub status: Status,
    /// Where its undos are; none while it runs: describe it to see what it owes then.
    pub undo: Option<UndoStatus>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// For search.
    pub labels: BTreeMap<String, String>,
}

/// Which workflows to list: all that fit every condition, newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this type.
    pub workflow_type: Option<String>,
    /// In this state.
    pub status: Option<Status>,
    /// With their undos there; none that is running.
    pub undo: Option<UndoStatus>,
    /// With all these labels.
    pub labels: BTreeMap<String, String>,
    /// Started at or after this.
    pub started_after: Option<DateTime<Utc>>,
    /// Started before this.
    pub started_before: Option<DateTime<Utc>>,
    /// After this run of the page before.
    pub cursor: Option<Uuid>,
    /// At most so many: 1 to 200.
    pub limit: u32,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// Its lines.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the page after; none on the last.
    pub next: Option<String>,
}

/// One event of a history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEvent {
    /// Its position, from 0, without gaps.
    pub event: u32,
    /// When it was committed, by the database's clock.
    pub at: DateTime<Utc>,
    /// What happened, as stored: one key that names it, and its details.
    #[serde(flatten)]
    pub what: hansom_core::Event,
}

/// What would be undone if a workflow unwound now.
#[derive(Clone, Debug, Serialize)]
pub struct UndoPlan {
    /// As its starter named it.
    pub workflow_id: String,
    /// The run.
    pub run: Uuid,
    /// In order.
    pub undos: Vec<PlannedUndo>,
}

impl UndoPlan {
    /// Whether the first undo has to wait for an action in flight.
    pub fn waits(&self) -> bool {
        self.undos.first().is_some_and(|undo| undo.because == Because::InFlight)
    }
}
