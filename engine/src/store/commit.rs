//! One commit of one lane: one round trip, whatever it carries.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{status_code, to_time, undo_code};
use crate::owner::Batch;

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
    w: (Vec<i32>, Vec<String>, Vec<String>, Vec<i32>, Vec<Uuid>),
    w_rest: (Vec<String>, Vec<bool>, Vec<DateTime<Utc>>, Vec<Option<String>>),
    h: (Vec<i32>, Vec<Uuid>, Vec<i32>, Vec<DateTime<Utc>>, Vec<String>),
    u: (Vec<i32>, Vec<String>, Vec<String>, Vec<i32>, Vec<Uuid>),
    u_rest: (Vec<i16>, Vec<i16>, Vec<bool>, Vec<Option<DateTime<Utc>>>),
    s: (Vec<i32>, Vec<DateTime<Utc>>, Vec<Uuid>, Vec<i32>),
    s_rest: (Vec<String>, Vec<String>, Vec<i32>),
    d: (Vec<i32>, Vec<DateTime<Utc>>, Vec<Uuid>, Vec<i32>),
    i: (Vec<i32>, Vec<Uuid>, Vec<String>),
}

fn int(number: u32) -> i32 {
    i32::try_from(number).expect("a history is bounded far below this")
}

impl From<Batch> for Columns {
    fn from(batch: Batch) -> Self {
        let mut columns = Self { number: batch.number, ..Self::default() };
        for row in batch.starts {
            columns.w.0.push(row.address.part);
            columns.w.1.push(row.address.namespace.to_string());
            columns.w.2.push(row.address.workflow_id.to_string());
            columns.w.3.push(row.address.run_no);
            columns.w.4.push(row.address.run);
            columns.w_rest.0.push(row.workflow_type);
            columns.w_rest.1.push(true);
            columns.w_rest.2.push(to_time(row.started_at));
            columns.w_rest.3.push(row.labels);
        }
        for row in batch.history {
            columns.h.0.push(row.part);
            columns.h.1.push(row.run);
            columns.h.2.push(int(row.event));
            columns.h.3.push(to_time(row.at));
            columns.h.4.push(row.into_json());
        }
        for row in batch.updates {
            columns.u.0.push(row.address.part);
            columns.u.1.push(row.address.namespace.to_string());
            columns.u.2.push(row.address.workflow_id.to_string());
            columns.u.3.push(row.address.run_no);
            columns.u.4.push(row.address.run);
            columns.u_rest.0.push(status_code(row.cached.status));
            columns.u_rest.1.push(undo_code(row.cached.undo));
            columns.u_rest.2.push(row.cached.hot);
            columns.u_rest.3.push(row.cached.closed_at.map(to_time));
        }
        for row in batch.alarms_set {
            columns.s.0.push(row.address.part);
            columns.s.1.push(to_time(row.due));
            columns.s.2.push(row.address.run);
            columns.s.3.push(int(row.seq.0));
            columns.s_rest.0.push(row.address.namespace.to_string());
            columns.s_rest.1.push(row.address.workflow_id.to_string());
            columns.s_rest.2.push(row.address.run_no);
        }
        for (part, run, seq, due) in batch.alarms_dropped {
            columns.d.0.push(part);
            columns.d.1.push(to_time(due));
            columns.d.2.push(run);
            columns.d.3.push(int(seq.0));
        }
        for (part, run, message) in batch.consumed {
            columns.i.0.push(part);
            columns.i.1.push(run);
            columns.i.2.push(message);
        }
        columns
    }
}

impl Columns {
    /// The rows of one of the four commits of many short sagas, for measuring.
    pub(crate) fn of_ceiling(
        number: i64,
        step: usize,
        runs: &[Uuid],
        events: &str,
        at: DateTime<Utc>,
    ) -> Self {
        let mut columns = Self { number, ..Self::default() };
        for run in runs {
            let part = i32::from(run.as_bytes()[15]);
            columns.h.0.push(part);
            columns.h.1.push(*run);
            columns.h.2.push(i32::try_from(step).unwrap_or_default() * 2);
            columns.h.3.push(at);
            columns.h.4.push(events.to_owned());
            let keys = match step {
                0 => &mut columns.w,
                3 => &mut columns.u,
                _ => continue,
            };
            keys.0.push(part);
            keys.1.push("default".to_owned());
            keys.2.push(run.simple().to_string());
            keys.3.push(1);
            keys.4.push(*run);
            if step == 0 {
                columns.w_rest.0.push("bench".to_owned());
                columns.w_rest.1.push(true);
                columns.w_rest.2.push(at);
                columns.w_rest.3.push(None);
            } else {
                columns.u_rest.0.push(status_code(hansom_core::Status::Completed));
                columns.u_rest.1.push(0);
                columns.u_rest.2.push(false);
                columns.u_rest.3.push(Some(at));
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
    let Columns { number, w, w_rest, h, u, u_rest, s, s_rest, d, i } = columns;
    let lost: Option<Vec<Uuid>> = sqlx::query_scalar(
        "select hansom.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
             $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32,
             $33, $34, $35, $36, $37, $38, $39, $40)",
    )
    .bind(lane.worker)
    .bind(lane.lane)
    .bind(number)
    .bind(&w.0)
    .bind(&w.1)
    .bind(&w.2)
    .bind(&w.3)
    .bind(&w.4)
    .bind(&w_rest.0)
    .bind(&w_rest.1)
    .bind(&w_rest.2)
    .bind(&w_rest.3)
    .bind(&h.0)
    .bind(&h.1)
    .bind(&h.2)
    .bind(&h.3)
    .bind(&h.4)
    .bind(&u.0)
    .bind(&u.1)
    .bind(&u.2)
    .bind(&u.3)
    .bind(&u.4)
    .bind(&u_rest.0)
    .bind(&u_rest.1)
    .bind(&u_rest.2)
    .bind(&u_rest.3)
    .bind(&s.0)
    .bind(&s.1)
    .bind(&s.2)
    .bind(&s.3)
    .bind(&s_rest.0)
    .bind(&s_rest.1)
    .bind(&s_rest.2)
    .bind(&d.0)
    .bind(&d.1)
    .bind(&d.2)
    .bind(&d.3)
    .bind(&i.0)
    .bind(&i.1)
    .bind(&i.2)
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
        // Integrity and data errors: the same batch will never be taken.
        Some(state) if state.starts_with("22") || state.starts_with("23") => {
            CommitError::Refused(error)
        }
        _ => CommitError::Unknown(error),
    }
}
