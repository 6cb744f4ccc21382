//! Timers and retries.

use std::sync::Arc;

use hansom_core::{Seq, Timestamp};

use super::{Pool, from_time, to_time};
use crate::address::{Address, Part};
use crate::owner::AlarmRow;

/// Up to `limit` alarms of these partitions that are due by `until`, nearest first.
pub(crate) async fn due(
    pool: &Pool,
    parts: &[Part],
    until: Timestamp,
    limit: i64,
) -> Result<Vec<AlarmRow>, sqlx::Error> {
    sqlx::query!(
        "select a.part, a.due, a.run, a.seq, a.namespace, a.workflow_id, a.run_no
         from unnest($1::int[]) as p (part), lateral (
             select * from hansom.alarm
             where alarm.part = p.part and due <= $2 order by due limit $3
         ) a
         order by a.due limit $3",
        parts,
        to_time(until),
        limit,
    )
    .map(|row| AlarmRow {
        address: Arc::new(Address {
            part: row.part,
            run: row.run,
            namespace: row.namespace.into(),
            workflow_id: row.workflow_id.into(),
            run_no: row.run_no,
        }),
        seq: Seq(u32::try_from(row.seq).unwrap_or_default()),
        due: from_time(row.due),
    })
    .fetch_all(pool)
    .await
}
