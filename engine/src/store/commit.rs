//! One commit of one lane: one round trip, whatever it carries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hansom_core::{Status, Timestamp, UndoStatus};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{int, status_code, to_time, undo_code};
use crate::address::Address;
use crate::owner::{Batch, Cached, Heir, Kin, Message, NewChild, NewRow, Sent};

/// A lane of a worker, as its fence knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) worker: Uuid,
    pub(crate) lane: i32,
}

/// Why a batch was not committed, or not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// The worker has been buried: nothing it writes counts any more.
    #[error("fenced")]
    Fenced,
    /// Repeating the same call is safe, and tells.
    #[error("outcome unknown: {0}")]
    Unknown(sqlx::Error),
    /// The database refuses this batch for what is in it.
    #[error("refused: {0}")]
    Refused(sqlx::Error),
}

/// The rows of a batch as columns, ready to be sent more than once.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    number: i64,
    started: Started,
    history: History,
    updated: Updated,
    alarms_set: AlarmsSet,
    alarms_dropped: AlarmsDropped,
    consumed: Consumed,
    kin: Option<String>,
    views: Option<String>,
    hint: Option<String>,
}

/// What every table calls a run by.
#[derive(Debug, Default)]
struct Keys {
    part: Vec<i32>,
    namespace: Vec<String>,
    workflow_id: Vec<String>,
    run_no: Vec<i32>,
    run: Vec<Uuid>,
}

#[derive(Debug, Default)]
struct Started {
    keys: Keys,
    workflow_type: Vec<String>,
    hot: Vec<bool>,
    at: Vec<DateTime<Utc>>,
    labels: Vec<Option<String>>,
}

#[derive(Debug, Default)]
struct History {
    part: Vec<i32>,
    run: Vec<Uuid>,
    event: Vec<i32>,
    at: Vec<DateTime<Utc>>,
    events: Vec<String>,
}

#[derive(Debug, Default)]
struct Updated {
    keys: Keys,
    status: Vec<i16>,
    undo: Vec<i16>,
    hot: Vec<bool>,
    closed_at: Vec<Option<DateTime<Utc>>>,
    labels: Vec<Option<String>>,
}

#[derive(Debug, Default)]
struct AlarmsSet {
    keys: Keys,
    due: Vec<DateTime<Utc>>,
    seq: Vec<i32>,
}

#[derive(Debug, Default)]
struct AlarmsDropped {
    part: Vec<i32>,
    due: Vec<DateTime<Utc>>,
    run: Vec<Uuid>,
    seq: Vec<i32>,
}

#[derive(Debug, Default)]
struct Consumed {
    part: Vec<i32>,
    run: Vec<Uuid>,
    message: Vec<String>,
}

impl Keys {
    fn push(&mut self, address: &Address) {
        self.part.push(address.part);
        self.namespace.push(address.namespace.to_string());
        self.workflow_id.push(address.workflow_id.to_string());
        self.run_no.push(address.run_no);
        self.run.push(address.run);
    }
}

impl From<Batch> for Columns {
    fn from(batch: Batch) -> Self {
        let mut columns = Self { number: batch.number, ..Self::default() };
        for row in batch.starts {
            columns.started.push(row);
        }
        for row in batch.history {
            let history = &mut columns.history;
            history.push((row.part, row.run), int(row.event), to_time(row.at), row.into_json());
        }
        for row in batch.updates {
            let labels = row.labels.map(|labels| json!(labels).to_string());
            columns.updated.push(&row.address, row.cached, labels);
        }
        for row in batch.alarms_set {
            columns.alarms_set.keys.push(&row.address);
            columns.alarms_set.due.push(to_time(row.due));
            columns.alarms_set.seq.push(int(row.seq.0));
        }
        for (part, run, seq, due) in batch.alarms_dropped {
            columns.alarms_dropped.part.push(part);
            columns.alarms_dropped.due.push(to_time(due));
            columns.alarms_dropped.run.push(run);
            columns.alarms_dropped.seq.push(int(seq.0));
        }
        for (part, run, message) in batch.consumed {
            columns.consumed.part.push(part);
            columns.consumed.run.push(run);
            columns.consumed.message.push(message);
        }
        columns.views = (!batch.views.is_empty()).then(|| format!("[{}]", batch.views.join(",")));
        columns.kin = (!batch.kin.is_empty()).then(|| told(batch.kin).to_string());
        columns
    }
}

impl Started {
    fn push(&mut self, row: NewRow) {
        self.keys.push(&row.address);
        self.workflow_type.push(row.workflow_type);
        self.hot.push(true);
        self.at.push(to_time(row.started_at));
        self.labels.push(row.labels);
    }
}

impl History {
    fn push(&mut self, (part, run): (i32, Uuid), event: i32, at: DateTime<Utc>, events: String) {
        self.part.push(part);
        self.run.push(run);
        self.event.push(event);
        self.at.push(at);
        self.events.push(events);
    }
}

impl Updated {
    fn push(&mut self, address: &Address, cached: Cached, labels: Option<String>) {
        self.labels.push(labels);
        self.keys.push(address);
        self.status.push(status_code(cached.status));
        self.undo.push(undo_code(cached.undo));
        self.hot.push(cached.hot);
        self.closed_at.push(cached.closed_at.map(to_time));
    }
}

/// What runs say to others, as `hansom.tell_kin` reads it.
fn told(kin: Kin) -> Value {
    let children = kin.children.into_iter().map(|child| {
        let NewChild { parent, address, workflow_type, events, taken } = child;
        json!({
            "part": address.part, "namespace": &*address.namespace,
            "workflow_id": &*address.workflow_id, "run": address.run, "type": workflow_type,
            "events": events, "parent_part": parent.part,
            "parent_workflow_id": &*parent.workflow_id, "parent_run_no": parent.run_no,
            "parent_run": parent.run, "message": taken.0, "taken": taken.1,
        })
    });
    let heirs = kin.heirs.into_iter().map(|heir| {
        let Heir { before, address, workflow_type, row, deadline, at, .. } = heir;
        json!({
            "part": address.part, "namespace": &*address.namespace,
            "workflow_id": &*address.workflow_id, "run_no": address.run_no, "run": address.run,
            "type": workflow_type, "events": &*row, "at": to_time(at),
            "deadline": deadline.map(to_time), "before": before,
        })
    });
    let messages = kin.messages.into_iter().map(|Sent { sender, message }| {
        let Message { address, key, name, payload } = message;
        json!({
            "part": address.part, "run": address.run, "message": key,
            "namespace": &*address.namespace, "workflow_id": &*address.workflow_id,
            "run_no": address.run_no, "name": name, "payload": payload, "sender": sender,
        })
    });
    let [children, heirs, messages]: [Vec<_>; 3] =
        [children.collect(), heirs.collect(), messages.collect()];
    json!({ "children": children, "heirs": heirs, "messages": messages })
}

impl Columns {
    /// Whom to wake once it is committed: other workers that own what it speaks to.
    pub(crate) fn wakes(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// The rows of one of the four commits of many short sagas, for measuring.
    pub(crate) fn of_ceiling(
        number: i64,
        step: i32,
        runs: &[Arc<Address>],
        events: &str,
        at: Timestamp,
    ) -> Self {
        let mut columns = Self { number, ..Self::default() };
        for address in runs {
            let key = (address.part, address.run);
            columns.history.push(key, step * 2, to_time(at), events.to_owned());
            match step {
                0 => columns.started.push(NewRow {
                    address: Arc::clone(address),
                    workflow_type: "bench".to_owned(),
                    started_at: at,
                    labels: None,
                }),
                3 => {
                    let (status, undo) = (Status::Completed, UndoStatus::None);
                    let cached = Cached { status, undo, hot: false, closed_at: Some(at) };
                    columns.updated.push(address, cached, None);
                }
                _ => {}
            }
        }
        columns
    }
}

/// Commits a batch, and answers which of its starts came too late.
///
/// After [`CommitError::Unknown`] the same call, on any connection, is safe.
pub(crate) async fn commit(
    connection: &mut PgConnection,
    lane: Lane,
    columns: &Columns,
) -> Result<Vec<Uuid>, CommitError> {
    let Columns { number, started, history, updated, alarms_set, alarms_dropped, .. } = columns;
    let Columns { consumed, kin, hint, views, .. } = columns;
    let lost = sqlx::query_scalar!(
        "select hansom.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
             $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32,
             $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44)",
        lane.worker,
        lane.lane,
        number,
        &started.keys.part,
        &started.keys.namespace,
        &started.keys.workflow_id,
        &started.keys.run_no,
        &started.keys.run,
        &started.workflow_type,
        &started.hot,
        &started.at,
        &started.labels as _,
        &history.part,
        &history.run,
        &history.event,
        &history.at,
        &history.events,
        &updated.keys.part,
        &updated.keys.namespace,
        &updated.keys.workflow_id,
        &updated.keys.run_no,
        &updated.keys.run,
        &updated.status,
        &updated.undo,
        &updated.hot,
        &updated.closed_at as _,
        &updated.labels as _,
        &alarms_set.keys.part,
        &alarms_set.due,
        &alarms_set.keys.run,
        &alarms_set.seq,
        &alarms_set.keys.namespace,
        &alarms_set.keys.workflow_id,
        &alarms_set.keys.run_no,
        &alarms_dropped.part,
        &alarms_dropped.due,
        &alarms_dropped.run,
        &alarms_dropped.seq,
        &consumed.part,
        &consumed.run,
        &consumed.message,
        kin.as_deref(),
        hint.as_deref(),
        views.as_deref(),
    )
    .fetch_one(connection)
    .await
    .map_err(classify)?;
    Ok(lost.unwrap_or_default())
}

fn classify(error: sqlx::Error) -> CommitError {
    let state = match &error {
        sqlx::Error::Database(database) => database.code().map(std::borrow::Cow::into_owned),
        _ => None,
    };
    match state.as_deref() {
        Some("HS001") => CommitError::Fenced,
        // Data, integrity, and what is too large: the same batch will never be taken.
        Some(state) if ["22", "23", "54"].iter().any(|class| state.starts_with(class)) => {
            CommitError::Refused(error)
        }
        _ => CommitError::Unknown(error),
    }
}
