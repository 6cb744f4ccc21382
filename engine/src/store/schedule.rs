//! Schedules.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::Pool;
use super::schedule_fire::{self, RunRow};
use crate::address::Part;
use crate::schedule::{Buffered, State};

/// Which schedule.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) part: Part,
    pub(crate) namespace: String,
    pub(crate) id: String,
}

/// A schedule as a look sees it.
pub(crate) struct DueRow {
    pub(crate) name: Name,
    pub(crate) revision: i64,
    pub(crate) definition: String,
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
    pub(crate) runs: Vec<RunRow>,
    pub(crate) buffered: Vec<Buffered>,
    pub(crate) buffered_count: i64,
}

/// When the next look at these partitions is due, whether some wait for their runs to close, and
/// the time.
pub(crate) async fn nearest(
    pool: &Pool,
    parts: &[Part],
) -> Result<(Option<DateTime<Utc>>, bool, DateTime<Utc>), sqlx::Error> {
    sqlx::query!(
        r#"select min(n.look_at) as "look_at?",
                exists (select from unnest($1::int[]) as p (part)
                        join hansom.schedule w on w.part = p.part and w.waiting) as "waiting!",
                clock_timestamp() as "now!"
         from unnest($1::int[]) as p (part), lateral (
             select look_at from hansom.schedule s
             where s.part = p.part and look_at is not null order by look_at limit 1
         ) n"#,
        parts,
    )
    .map(|row| (row.look_at, row.waiting, row.now))
    .fetch_one(pool)
    .await
}

/// Up to `limit` schedules of these partitions that are due for a look, and about `bytes` of
/// their definitions; of each up to `runs` of its open runs and of what is buffered.
pub(crate) async fn due(
    pool: &Pool,
    parts: &[Part],
    (limit, bytes, runs): (i64, i64, i64),
) -> Result<Vec<DueRow>, sqlx::Error> {
    let mut rows = due_rows(pool, parts, limit, bytes).await?;
    let names: Vec<_> = rows.iter().map(|row| &row.name).collect();
    let mut open = schedule_fire::open_of(pool, &names, runs).await?;
    let mut buffered = HashMap::new();
    if rows.iter().any(|row| row.buffered_count > 0) {
        buffered = schedule_fire::buffered_of(pool, &names, runs).await?;
    }
    for row in &mut rows {
        let key = (row.name.namespace.clone(), row.name.id.clone());
        row.buffered = buffered.remove(&key).unwrap_or_default();
        row.runs = open.remove(&key).unwrap_or_default();
    }
    Ok(rows)
}

async fn due_rows(
    pool: &Pool,
    parts: &[Part],
    limit: i64,
    bytes: i64,
) -> Result<Vec<DueRow>, sqlx::Error> {
    sqlx::query!(
        r#"select s.part, s.namespace, s.schedule_id, s.revision, s.definition, s.paused, s.note,
                s.next_at, s.remaining, clock_timestamp() as "now!",
                (select count(*) from hansom.schedule_fire f
                 where f.part = s.part and f.namespace = s.namespace
                   and f.schedule_id = s.schedule_id and f.outcome = 0) as "buffered_count!"
         from (
             select d.*, sum(d.size) over (order by d.part, d.namespace, d.schedule_id) as total
             from (
                 (select d.* from unnest($1::int[]) as p (part), lateral (
                      select part, namespace, schedule_id, octet_length(definition) as size
                      from hansom.schedule
                      where schedule.part = p.part and look_at <= clock_timestamp()
                      order by look_at limit $2
                  ) d limit $2)
                 union
                 (select d.* from unnest($1::int[]) as p (part), lateral (
                      select s.part, s.namespace, s.schedule_id, octet_length(definition) as size
                      from hansom.schedule s
                      where s.part = p.part and s.waiting and not exists (
                          select from hansom.schedule_fire f
                          join hansom.workflow w
                              on w.part = f.workflow_part and w.namespace = f.namespace
                             and w.workflow_id = f.workflow_id
                          where f.part = s.part and f.namespace = s.namespace
                            and f.schedule_id = s.schedule_id and f.open and w.status < 3)
                      limit $2
                  ) d limit $2)
             ) d
         ) d
         join hansom.schedule s using (part, namespace, schedule_id)
         where d.total - d.size <= $3 limit $2"#,
        parts,
        limit,
        bytes,
    )
    .map(|row| DueRow {
        name: Name { part: row.part, namespace: row.namespace, id: row.schedule_id },
        revision: row.revision,
        definition: row.definition,
        state: State {
            paused: row.paused,
            note: row.note,
            next_at: row.next_at,
            remaining: row.remaining,
        },
        now: row.now,
        runs: Vec::new(),
        buffered: Vec::new(),
        buffered_count: row.buffered_count,
    })
    .fetch_all(pool)
    .await
}

/// A schedule as a caller sees it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) schedule_id: String,
    pub(crate) revision: i64,
    pub(crate) definition: String,
    pub(crate) paused: bool,
    pub(crate) note: Option<String>,
    pub(crate) next_at: Option<DateTime<Utc>>,
    pub(crate) remaining: Option<i64>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    /// The database's time.
    pub(crate) now: DateTime<Utc>,
}

/// One schedule.
pub(crate) async fn get(pool: &Pool, name: &Name) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select schedule_id, revision, definition, paused, note, next_at, remaining, created_at,
                updated_at, clock_timestamp() as "now!"
         from hansom.schedule where part = $1 and namespace = $2 and schedule_id = $3"#,
        name.part,
        name.namespace,
        name.id,
    )
    .fetch_optional(pool)
    .await
}

/// Up to `limit` schedules, by their ids, after that one.
pub(crate) async fn list(
    pool: &Pool,
    namespace: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select schedule_id, revision, definition, paused, note, next_at, remaining, created_at,
                updated_at, clock_timestamp() as "now!"
         from hansom.schedule where namespace = $1 and schedule_id > $2
         order by schedule_id limit $3"#,
        namespace,
        after.unwrap_or_default(),
        limit,
    )
    .fetch_all(pool)
    .await
}

/// What a definition amounts to.
pub(crate) struct Defined<'a> {
    pub(crate) definition: &'a str,
    pub(crate) state: &'a State,
    pub(crate) look_at: Option<DateTime<Utc>>,
}

/// Keeps a schedule; false when the id is taken.
pub(crate) async fn create(
    pool: &Pool,
    name: &Name,
    defined: Defined<'_>,
) -> Result<bool, sqlx::Error> {
    let state = defined.state;
    let done = sqlx::query!(
        "insert into hansom.schedule
             (part, namespace, schedule_id, definition, paused, note, next_at, look_at, remaining)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (part, namespace, schedule_id) do nothing",
        name.part,
        name.namespace,
        name.id,
        defined.definition,
        state.paused,
        state.note,
        state.next_at,
        defined.look_at,
        state.remaining,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Defines a schedule anew; false when it is no longer what it was.
pub(crate) async fn update(
    pool: &Pool,
    name: &Name,
    revision: i64,
    defined: Defined<'_>,
) -> Result<bool, sqlx::Error> {
    let state = defined.state;
    let done = sqlx::query!(
        "update hansom.schedule
         set revision = revision + 1, definition = $5, paused = $6, note = $7, next_at = $8,
             look_at = $9, remaining = $10, updated_at = now()
         where part = $1 and namespace = $2 and schedule_id = $3 and revision = $4",
        name.part,
        name.namespace,
        name.id,
        revision,
        defined.definition,
        state.paused,
        state.note,
        state.next_at,
        defined.look_at,
        state.remaining,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Pauses or resumes; false when there is no such schedule. Somebody looks at it at once: what
/// is buffered may go on.
pub(crate) async fn set_paused(
    pool: &Pool,
    name: &Name,
    paused: bool,
    note: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update hansom.schedule
         set revision = revision + 1, paused = $4, note = $5, look_at = now(), updated_at = now()
         where part = $1 and namespace = $2 and schedule_id = $3",
        name.part,
        name.namespace,
        name.id,
        paused,
        note,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets a schedule and its fires; what it started goes on. False when there is none.
pub(crate) async fn delete(pool: &Pool, name: &Name) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"with s as (
             delete from hansom.schedule
             where part = $1 and namespace = $2 and schedule_id = $3 returning 1
         ), f as (
             delete from hansom.schedule_fire
             where part = $1 and namespace = $2 and schedule_id = $3
         )
         select exists (select from s) as "known!""#,
        name.part,
        name.namespace,
        name.id,
    )
    .fetch_one(pool)
    .await
}

/// Whoever owns these partitions has something to look at.
pub(crate) async fn hint(pool: &Pool) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_notify('hansom', 'schedules')").execute(pool).await?;
    Ok(())
}
