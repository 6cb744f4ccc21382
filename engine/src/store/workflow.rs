//! One row per run: a cache of its history.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hansom_core::Status;
use sqlx::{FromRow, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Pool, from_time, history, status_code, status_of, undo_code, undo_of};
use crate::address::{Address, Part};
use crate::owner::{Cached, Stored};
use crate::view::{Filter, Summary};

/// A row.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) part: Part,
    pub(crate) namespace: String,
    pub(crate) workflow_id: String,
    pub(crate) run_no: i32,
    pub(crate) run: Uuid,
    pub(crate) workflow_type: String,
    status: i16,
    undo: i16,
    hot: bool,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    labels: Option<sqlx::types::Json<std::collections::BTreeMap<String, String>>>,
    lost: i16,
}

impl Row {
    pub(crate) fn address(&self) -> Address {
        Address {
            part: self.part,
            run: self.run,
            namespace: self.namespace.as_str().into(),
            workflow_id: self.workflow_id.as_str().into(),
            run_no: self.run_no,
        }
    }

    pub(crate) fn cached(&self) -> Cached {
        Cached {
            status: status_of(self.status),
            undo: undo_of(self.undo),
            hot: self.hot,
            closed_at: self.closed_at.map(from_time),
        }
    }

    pub(crate) fn summary(self) -> Summary {
        Summary {
            workflow_id: self.workflow_id,
            run: self.run,
            workflow_type: self.workflow_type,
            status: status_of(self.status),
            undo: (status_of(self.status) != Status::Running).then(|| undo_of(self.undo)),
            started_at: self.started_at,
            closed_at: self.closed_at,
            labels: self.labels.map(|labels| labels.0).unwrap_or_default(),
        }
    }
}

/// The statuses of the latest runs of these ids; nothing of an id that was never used.
pub(crate) async fn statuses(
    db: impl PgExecutor<'_>,
    parts: &[Part],
    namespace: &str,
    workflow_ids: &[String],
) -> Result<Vec<(String, Status)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select a.workflow_id as "workflow_id!", w.status
         from unnest($1::int[], $3::text[]) as a (part, workflow_id),
             lateral (select status from hansom.workflow
                      where part = a.part and namespace = $2 and workflow_id = a.workflow_id
                      order by run_no desc limit 1) w"#,
        parts,
        namespace,
        workflow_ids,
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.workflow_id, status_of(row.status))).collect())
}

/// The workflow ids and statuses of these runs; nothing of one that is not there.
pub(crate) async fn statuses_of_runs(
    db: impl PgExecutor<'_>,
    runs: &[Uuid],
) -> Result<Vec<(Uuid, (String, Status))>, sqlx::Error> {
    let rows = sqlx::query!(
        "select run, workflow_id, status from hansom.workflow
         where hot in (true, false) and run = any ($1)",
        runs,
    );
    let rows = rows.fetch_all(db).await?;
    let found = rows.into_iter().map(|row| (row.run, (row.workflow_id, status_of(row.status))));
    Ok(found.collect())
}

/// The latest run of a workflow id.
pub(crate) async fn latest(
    db: impl PgExecutor<'_>,
    part: Part,
    namespace: &str,
    workflow_id: &str,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select part, namespace, workflow_id, run_no, run, type as workflow_type, status, undo,
                hot, started_at, closed_at, labels as "labels: _", lost
         from hansom.workflow where part = $1 and namespace = $2 and workflow_id = $3
         order by run_no desc limit 1"#,
        part,
        namespace,
        workflow_id,
    )
    .fetch_optional(db)
    .await
}

/// The run that run number `run_no` of a workflow id has gone on in by now: itself, or the last
/// of those that followed.
pub(crate) async fn heir(
    pool: &Pool,
    part: Part,
    (namespace, workflow_id): (&str, &str),
    run_no: i32,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select part, namespace, workflow_id, run_no, run, type as workflow_type, status, undo,
                hot, started_at, closed_at, labels as "labels: _", lost
         from hansom.workflow
         where part = $1 and namespace = $2 and workflow_id = $3 and run_no >= $4 and status <> 7
         order by run_no limit 1"#,
        part,
        namespace,
        workflow_id,
        run_no,
    )
    .fetch_optional(pool)
    .await
}

/// One run of a workflow id.
pub(crate) async fn run(
    pool: &Pool,
    part: Part,
    (namespace, workflow_id): (&str, &str),
    run: Uuid,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select part, namespace, workflow_id, run_no, run, type as workflow_type, status, undo,
                hot, started_at, closed_at, labels as "labels: _", lost
         from hansom.workflow
         where part = $1 and namespace = $2 and workflow_id = $3 and run = $4"#,
        part,
        namespace,
        workflow_id,
        run,
    )
    .fetch_optional(pool)
    .await
}

/// A worker is lost in the body of this run. Nothing is written of one whose start was not
/// committed: nobody was told that it is started.
pub(crate) async fn is_lost_in(pool: &Pool, run: &Address) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update hansom.workflow set lost = least(lost, 32766) + 1
         where part = $1 and namespace = $2 and workflow_id = $3 and run_no = $4
           and run = $5",
        run.part,
        &*run.namespace,
        &*run.workflow_id,
        run.run_no,
        run.run,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A run to start.
pub(crate) struct NewRun<'a> {
    pub(crate) address: &'a Address,
    pub(crate) workflow_type: &'a str,
    /// The JSON of its first history row.
    pub(crate) events: &'a str,
    pub(crate) labels: Option<&'a str>,
    pub(crate) deadline: Option<DateTime<Utc>>,
}

/// Starts a run in a transaction of the caller's; false when the id is taken.
pub(crate) async fn start(db: impl PgExecutor<'_>, run: &NewRun<'_>) -> Result<bool, sqlx::Error> {
    let NewRun { address, workflow_type, events, labels, deadline } = run;
    sqlx::query_scalar!(
        r#"select hansom.start($1, $2, $3, $4, $5, $6, $7, $8, $9, true) as "started!""#,
        address.part,
        &*address.namespace,
        &*address.workflow_id,
        address.run_no,
        address.run,
        workflow_type,
        events,
        *labels,
        *deadline,
    )
    .fetch_one(db)
    .await
}

/// Starts a run; false when the id is taken, `None` when a transaction may have it that is open.
pub(crate) async fn try_start(pool: &Pool, run: &NewRun<'_>) -> Result<Option<bool>, sqlx::Error> {
    let NewRun { address, workflow_type, events, labels, deadline } = run;
    sqlx::query_scalar!(
        "select hansom.try_start($1, $2, $3, $4, $5, $6, $7, $8, $9, '20ms')",
        address.part,
        &*address.namespace,
        &*address.workflow_id,
        address.run_no,
        address.run,
        workflow_type,
        events,
        *labels,
        *deadline,
    )
    .fetch_one(pool)
    .await
}

/// Tries again to start children of these partitions whose ids were in open transactions.
pub(crate) async fn start_late(pool: &Pool, parts: &[Part]) -> Result<(), sqlx::Error> {
    sqlx::query!("select hansom.start_late($1)", parts).execute(pool).await?;
    Ok(())
}

/// Runs, and their histories.
pub(crate) struct Found {
    pub(crate) stored: Vec<Stored>,
    /// There, but cannot be read.
    pub(crate) unreadable: Vec<Uuid>,
    /// To be read another time: it is enough at once.
    pub(crate) left: HashSet<Uuid>,
}

/// Runs of these addresses.
pub(crate) async fn load(pool: &Pool, addresses: &[Arc<Address>]) -> Result<Found, sqlx::Error> {
    let parts: Vec<_> = addresses.iter().map(|address| address.part).collect();
    let namespaces: Vec<_> =
        addresses.iter().map(|address| address.namespace.to_string()).collect();
    let ids: Vec<_> = addresses.iter().map(|address| address.workflow_id.to_string()).collect();
    let numbers: Vec<_> = addresses.iter().map(|address| address.run_no).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select w.part, w.namespace, w.workflow_id, w.run_no, w.run, w.type as workflow_type,
                w.status, w.undo, w.hot, w.started_at, w.closed_at, w.labels as "labels: _", w.lost
         from unnest($1::int[], $2::text[], $3::text[], $4::int[])
             as a (part, namespace, workflow_id, run_no)
         join hansom.workflow w using (part, namespace, workflow_id, run_no)"#,
        &parts,
        &namespaces,
        &ids,
        &numbers,
    )
    .fetch_all(pool)
    .await?;
    with_history(pool, rows).await
}

/// A page of the runs that a new owner of these partitions has to load: up to
/// `limit`, after the run `after`; and where the next page starts, if there is one.
pub(crate) async fn hot(
    pool: &Pool,
    parts: &[Part],
    after: Option<Uuid>,
    limit: i64,
) -> Result<(Vec<Stored>, Option<Uuid>), sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select part, namespace, workflow_id, run_no, run, type as workflow_type, status, undo,
                hot, started_at, closed_at, labels as "labels: _", lost
         from hansom.workflow where hot and run > $2 and part = any ($1)
         order by run limit $3"#,
        parts,
        after.unwrap_or_default(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let runs: Vec<_> = rows.iter().map(|row| row.run).collect();
    let Found { stored, left, .. } = with_history(pool, rows).await?;
    let read = runs.iter().take_while(|run| !left.contains(run));
    let next = read.last().copied().filter(|_| full || !left.is_empty());
    Ok((stored, next))
}

async fn with_history(pool: &Pool, rows: Vec<Row>) -> Result<Found, sqlx::Error> {
    let parts: Vec<_> = rows.iter().map(|row| row.part).collect();
    let runs: Vec<_> = rows.iter().map(|row| row.run).collect();
    let (mut histories, left) = history::of_all(pool, &parts, &runs).await?;
    let (mut stored, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match histories.remove(&row.run) {
            Some(history) => stored.push(Stored {
                history,
                address: Arc::new(row.address()),
                cached: row.cached(),
                lost: u32::try_from(row.lost).unwrap_or_default(),
                workflow_type: row.workflow_type,
            }),
            None if left.contains(&row.run) => {}
            None => unreadable.push(row.run),
        }
    }
    Ok(Found { stored, unreadable, left })
}

/// Up to `limit` runs that fit the filter, newest first.
pub(crate) async fn list(
    pool: &Pool,
    namespace: &str,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Summary>, sqlx::Error> {
    // Both halves of the index are walked newest first, and merged.
    let mut query = QueryBuilder::<Postgres>::new(
        "select w.part, w.namespace, w.workflow_id, w.run_no, w.run, w.type as workflow_type,
                w.status, w.undo, w.hot, w.started_at, w.closed_at, w.labels, w.lost
         from unnest(array[true, false]) as h (hot), lateral (
             select * from hansom.workflow where hot = h.hot and namespace = ",
    );
    query.push_bind(namespace.to_owned());
    if let Some(workflow_type) = &filter.workflow_type {
        query.push(" and type = ").push_bind(workflow_type.clone());
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status_code(status));
    }
    if let Some(undo) = filter.undo {
        query.push(" and status <> 0 and undo = ").push_bind(undo_code(undo));
    }
    if !filter.labels.is_empty() {
        query.push(" and labels @> ").push_bind(sqlx::types::Json(filter.labels.clone()));
    }
    if let Some(after) = filter.started_after {
        query.push(" and started_at >= ").push_bind(after);
        query.push(" and run >= ").push_bind(run_at(after - SLACK));
    }
    if let Some(before) = filter.started_before {
        query.push(" and started_at < ").push_bind(before);
        query.push(" and run < ").push_bind(run_at(before + SLACK));
    }
    if let Some(cursor) = filter.cursor {
        query.push(" and run < ").push_bind(cursor);
    }
    query.push(" order by run desc limit ").push_bind(limit);
    query.push(") w order by w.run desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(pool).await?;
    Ok(rows.into_iter().map(Row::summary).collect())
}

/// A run's id carries its starter's time; clocks are no further apart than this.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// The first id of that time, to look into the index by.
fn run_at(time: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(u128::from(millis) << 80)
}
