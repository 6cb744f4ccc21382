//! One transaction of many schedules: what was decided of them is written together, or not at all.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Pool;
use crate::address::Part;

/// What a look decided, by column.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    pub(crate) part: Vec<Part>,
    pub(crate) namespace: Vec<String>,
    pub(crate) id: Vec<String>,
    pub(crate) revision: Vec<i64>,
    pub(crate) paused: Vec<bool>,
    pub(crate) note: Vec<Option<String>>,
    pub(crate) next_at: Vec<Option<DateTime<Utc>>>,
    pub(crate) look_at: Vec<Option<DateTime<Utc>>>,
    pub(crate) waiting: Vec<bool>,
    pub(crate) remaining: Vec<Option<i64>>,
    pub(crate) fires: Fires,
    pub(crate) ended: (Vec<i32>, Vec<DateTime<Utc>>),
    pub(crate) ends: Ends,
}

/// Fires, by column.
#[derive(Debug, Default)]
pub(crate) struct Fires {
    /// Its place among the schedules, from 1.
    pub(crate) schedule: Vec<i32>,
    pub(crate) nominal: Vec<DateTime<Utc>>,
    pub(crate) cause: Vec<i16>,
    pub(crate) outcome: Vec<i16>,
    pub(crate) detail: Vec<Option<String>>,
    pub(crate) part: Vec<Option<Part>>,
    pub(crate) workflow_id: Vec<Option<String>>,
    pub(crate) run: Vec<Option<Uuid>>,
    pub(crate) workflow_type: Vec<Option<String>>,
    pub(crate) events: Vec<Option<String>>,
    pub(crate) labels: Vec<Option<String>>,
}

/// Runs that are told to end, by column.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) schedule: Vec<i32>,
    pub(crate) part: Vec<Part>,
    pub(crate) run: Vec<Uuid>,
    pub(crate) workflow_id: Vec<String>,
    pub(crate) run_no: Vec<i32>,
    pub(crate) message: Vec<String>,
    pub(crate) reason: Vec<String>,
}

/// Writes what was decided, in one transaction. Answers which schedules were taken, by their
/// place from 1, and which of their fires found the workflow's id taken.
pub(crate) async fn fire(
    pool: &Pool,
    decided: &Decided,
) -> Result<(Vec<i32>, Vec<i32>), sqlx::Error> {
    let Decided { fires, ended, ends, .. } = decided;
    sqlx::query!(
        "select mine, taken from hansom.fire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
             $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)",
        &decided.part,
        &decided.namespace,
        &decided.id,
        &decided.revision,
        &decided.paused,
        &decided.note as _,
        &decided.next_at as _,
        &decided.look_at as _,
        &decided.waiting,
        &decided.remaining as _,
        &fires.schedule,
        &fires.nominal,
        &fires.cause,
        &fires.outcome,
        &fires.detail as _,
        &fires.part as _,
        &fires.workflow_id as _,
        &fires.run as _,
        &fires.workflow_type as _,
        &fires.events as _,
        &fires.labels as _,
        &ended.0,
        &ended.1,
        &ends.schedule,
        &ends.part,
        &ends.run,
        &ends.workflow_id,
        &ends.run_no,
        &ends.message,
        &ends.reason,
    )
    .map(|row| (row.mine.unwrap_or_default(), row.taken.unwrap_or_default()))
    .fetch_one(pool)
    .await
}
