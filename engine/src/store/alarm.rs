//! Timers and retries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hansom_core::{Seq, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use super::{from_time, to_time};
use crate::address::{Address, Part};
use crate::owner::AlarmRow;

type Row = (Part, DateTime<Utc>, Uuid, i32, String, String, i32);

/// Up to `limit` alarms of these partitions that are due by `until`, nearest first.
pub(crate) async fn due(
    pool: &PgPool,
    parts: &[Part],
    until: Timestamp,
    limit: i64,
) -> Result<Vec<AlarmRow>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select a.part, a.due, a.run, a.seq, a.namespace, a.workflow_id, a.run_no
         from unnest($1) as p (part), lateral (
             select * from hansom.alarm
             where alarm.part = p.part and due <= $2 order by due limit $3
         ) a
         order by a.due limit $3",
    )
    .bind(parts)
    .bind(to_time(until))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(row).collect())
}

fn row((part, due, run, seq, namespace, workflow_id, run_no): Row) -> AlarmRow {
    let (namespace, workflow_id) = (namespace.into(), workflow_id.into());
    let address = Arc::new(Address { part, run, namespace, workflow_id, run_no });
    let seq = Seq(u32::try_from(seq).unwrap_or_default());
    AlarmRow { address, seq, due: from_time(due) }
}
