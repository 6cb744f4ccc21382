//! What answers look like, for the OpenAPI document.
//!
//! The engine writes the answers and does not know OpenAPI; a test holds these against what it
//! writes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a workflow is in its life.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Status {
    /// On its way.
    Running,
    /// Undoing what it did.
    Compensating,
    /// Open, and will not move without an operator.
    Stuck,
    /// Closed: it did what it should.
    Completed,
    /// Closed: it failed, and what it did is undone.
    Failed,
    /// Closed: cancelled, and what it did is undone.
    Cancelled,
    /// Closed by an operator where it was: what it owed stays owed.
    Terminated,
    /// Closed: it goes on in the next run of its id.
    Continued,
}

/// Where a workflow's undos are.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum UndoStatus {
    /// Nothing to undo.
    None,
    /// Undos would have to run if it unwound now.
    Owed,
    /// All that was owed has been undone.
    Done,
    /// Some undos are done, and some that were tried are still owed.
    Partial,
}

/// What to start.
#[derive(ToSchema)]
pub struct StartWorkflow {
    /// One of the workflow types of this server.
    pub r#type: String,
    /// Unique: 1 to 255 of `[A-Za-z0-9._:-]`.
    pub id: String,
    /// In the shape that the type is started with.
    pub input: Value,
    /// For search; at most 32, key and value each 1 to 255 bytes.
    pub labels: Option<BTreeMap<String, String>>,
    /// What to do when a closed run has this id.
    pub id_reuse: Option<IdReuse>,
    /// It is cancelled, and undone, if it is still open then: a time (RFC 3339), or so long from
    /// now (`90s`, `2h`, `7d`). A run that is there already keeps its own.
    pub deadline: Option<String>,
    /// A signal that comes with it.
    pub signal: Option<StartSignal>,
}

/// A signal that comes with a start.
#[derive(ToSchema)]
pub struct StartSignal {
    /// Its name.
    pub name: String,
    /// In the shape that the signal has; null when it is left out.
    pub payload: Option<Value>,
    /// A second signal of the same id is dropped; 1 to 255 of `[A-Za-z0-9._:-]`. The header
    /// `Idempotency-Key` serves when this is left out.
    pub signal_id: Option<String>,
}

/// What to do when a closed run has the id. An open one is always returned.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum IdReuse {
    /// Return the closed run (the default).
    Reject,
    /// Start anew unless it completed.
    AllowFailed,
    /// Start anew.
    Allow,
}

/// Answer to a start.
#[derive(ToSchema)]
pub struct Started {
    /// As it was named.
    pub workflow_id: String,
    /// One execution of it.
    pub run: Uuid,
    /// Whether it was there already, with the same input.
    pub existing: bool,
    /// How it ended, when `wait` was given and it did.
    pub outcome: Option<Outcome>,
}

/// How a workflow ended, or that it did not yet.
#[derive(ToSchema)]
pub struct Outcome {
    /// Where it is in its life.
    pub status: Status,
    /// What it returned, when it completed.
    pub output: Option<Value>,
    /// Why it failed, when it did.
    pub error: Option<Value>,
}

/// A line of a list.
#[derive(ToSchema)]
pub struct Summary {
    /// As its starter named it.
    pub workflow_id: String,
    /// One execution of it.
    pub run: Uuid,
    /// Its type.
    pub r#type: String,
    /// Where it is in its life.
    pub status: Status,
    /// Where its undos are; null while it runs: describe it to see what it owes then.
    pub undo: Option<UndoStatus>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// For search.
    pub labels: BTreeMap<String, String>,
}

/// A page of a list of workflows.
#[derive(ToSchema)]
pub struct SummaryPage {
    /// Its lines, newest first.
    pub items: Vec<Summary>,
    /// The `cursor` of the page after; null on the last.
    pub next: Option<String>,
}

/// A workflow as it stands now.
#[derive(ToSchema)]
pub struct Description {
    /// What a list tells of it.
    #[schema(inline)]
    #[serde(flatten)]
    pub summary: Summary,
    /// Whether it passed its point of no return.
    pub pivoted: bool,
    /// When it is cancelled if it is still open.
    pub deadline: Option<DateTime<Utc>>,
    /// The fingerprint of the body it was started with.
    pub code: Option<String>,
    /// What its body published last.
    pub state: Option<Value>,
    /// Activities that have not answered yet.
    pub activities: Vec<PendingActivity>,
    /// Timers that have not fired.
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
#[derive(ToSchema)]
pub struct PendingActivity {
    /// The command.
    pub seq: u32,
    /// Its name.
    pub activity: String,
    /// For an undo: the action it undoes.
    pub undo_of: Option<u32>,
    /// The attempt under way or next, from 1.
    pub attempt: u32,
    /// When the next attempt is due; null while one is under way.
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

/// A child workflow that has not closed.
#[derive(ToSchema)]
pub struct PendingChild {
    /// The command.
    pub seq: u32,
    /// Its type.
    pub r#type: String,
    /// Its id, as its parent named it.
    pub workflow_id: String,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// Whether it has been asked to cancel.
    pub cancelling: bool,
}

/// A timer that has not fired.
#[derive(ToSchema)]
pub struct PendingTimer {
    /// The command.
    pub seq: u32,
    /// When it fires.
    pub fires_at: DateTime<Utc>,
}

/// An undo that would run.
#[derive(ToSchema)]
pub struct PlannedUndo {
    /// The action to be undone, as the run that did it numbers it.
    pub of: u32,
    /// Of undos that came from another run (a child, or the run before), in order of arrival from
    /// 0: which.
    pub inherited: Option<u32>,
    /// The run that acted, when it is another one.
    pub origin: Option<Origin>,
    /// The activity that undoes it.
    pub activity: String,
    /// What that activity will be asked.
    pub request: Value,
    /// Why it is owed.
    pub because: Because,
    /// Whether it was tried until its attempts ran out.
    pub exhausted: bool,
}

/// A run that did what another one undoes.
#[derive(ToSchema)]
pub struct Origin {
    /// The workflow, as its starter named it.
    pub workflow_id: String,
    /// The run.
    pub run: Uuid,
}

/// Why an undo is owed.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Because {
    /// The action was done.
    Done,
    /// Nobody knows whether the action was done.
    Unknown,
    /// The action has not answered yet; it is waited for first.
    InFlight,
}

/// Why a workflow will not move without an operator.
#[derive(ToSchema)]
pub struct Stuck {
    /// Stable code.
    pub reason: String,
    /// What a person needs to know.
    pub detail: String,
}

/// What a workflow shows of itself.
#[derive(ToSchema)]
pub struct State {
    /// As its starter named it.
    pub workflow_id: String,
    /// One execution of it.
    pub run: Uuid,
    /// What its body published last; null while it has published nothing.
    pub state: Option<Value>,
}

/// What would be undone if a workflow unwound now; of a terminated one, what stays owed.
#[derive(ToSchema)]
pub struct UndoPlan {
    /// As its starter named it.
    pub workflow_id: String,
    /// One execution of it.
    pub run: Uuid,
    /// In order.
    pub undos: Vec<PlannedUndo>,
}

/// One event of a history: besides these, one field that names it and holds its details.
#[derive(ToSchema)]
pub struct HistoryEvent {
    /// Its position, from 0, without gaps.
    pub event: u32,
    /// When it was committed, by the database's clock.
    pub at: DateTime<Utc>,
}

/// A page of a history.
#[derive(ToSchema)]
pub struct HistoryPage {
    /// In order.
    pub items: Vec<HistoryEvent>,
    /// The `cursor` of the page after; null on the last.
    pub next: Option<String>,
}

/// A message into a workflow.
#[derive(ToSchema)]
pub struct SendSignal {
    /// In the shape that the signal has; null when it is left out.
    pub payload: Option<Value>,
    /// A second signal of the same id is dropped; 1 to 255 of `[A-Za-z0-9._:-]`. The header
    /// `Idempotency-Key` serves when this is left out.
    pub signal_id: Option<String>,
}

/// A message into a workflow that answers it.
#[derive(ToSchema)]
pub struct SendUpdate {
    /// In the shape that the update has; null when it is left out.
    pub payload: Option<Value>,
    /// A second update of the same id hears the same answer; 1 to 255 of `[A-Za-z0-9._:-]`. The
    /// header `Idempotency-Key` serves when this is left out.
    pub update_id: Option<String>,
}

/// A workflow's answer to an update, or that there is none yet.
#[derive(ToSchema)]
pub struct Answered {
    /// The workflow that was asked.
    pub workflow_id: String,
    /// The update's id, to ask again with.
    pub update_id: String,
    /// What the body answered; left out while it has not.
    pub done: Option<Value>,
}

/// Why it is asked.
#[derive(ToSchema)]
pub struct Reason {
    /// For its history; 1 to 1000 bytes.
    pub reason: Option<String>,
}

/// Why it is asked, which has to be said.
#[derive(ToSchema)]
pub struct RequiredReason {
    /// For its history; 1 to 1000 bytes.
    pub reason: String,
}

/// What was asked for is recorded and will be done.
#[derive(ToSchema, serde::Serialize)]
pub struct Accepted {
    /// The workflow that was asked.
    pub workflow_id: String,
    /// Always true.
    pub accepted: bool,
}
