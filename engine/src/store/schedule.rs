//! Schedules.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::schedule_fire::{BufferedRow, RunRow};
use crate::address::Part;
use crate::schedule::State;

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
    pub(crate) buffered: Vec<BufferedRow>,
    pub(crate) buffered_count: i64,
}

/// When the next look at these partitions is due, whether some wait for their runs to close, and
/// the time.
pub(crate) async fn nearest(
    pool: &PgPool,
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

/// Up to `limit` schedules of these partitions that are due for a look, and no more of their
/// definitions than `bytes`; of each up to `runs` of its open runs and of what is buffered.
pub(crate) async fn due(
    pool: &PgPool,
    parts: &[Part],
    (limit, bytes, runs): (i64, i64, i64),
) -> Result<Vec<DueRow>, sqlx::Error> {
    sqlx::query!(
        r#"select s.part, s.namespace, s.schedule_id, s.revision, s.definition, s.paused, s.note,
                s.next_at, s.remaining, clock_timestamp() as "now!",
                r.runs as "runs!: Json<Vec<RunRow>>",
                b.buffered as "buffered!: Json<Vec<BufferedRow>>",
                (select count(*) from hansom.schedule_fire f
                 where f.part = s.part and f.namespace = s.namespace
                   and f.schedule_id = s.schedule_id and f.outcome = 0) as "buffered_count!"
         from (
             select k.*, sum(k.size) over (order by k.part, k.namespace, k.schedule_id) as total
             from (
                 (select d.part, d.namespace, d.schedule_id, d.size
                  from unnest($1::int[]) as p (part), lateral (
                      select part, namespace, schedule_id, octet_length(definition) as size
                      from hansom.schedule
                      where schedule.part = p.part and look_at <= clock_timestamp()
                      order by look_at limit $2
                  ) d limit $2)
                 union
                 (select w.part, w.namespace, w.schedule_id, w.size
                  from unnest($1::int[]) as p (part), lateral (
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
                  ) w limit $2)
             ) k
         ) k
         join hansom.schedule s using (part, namespace, schedule_id),
         lateral (
             select coalesce(jsonb_agg(jsonb_build_object(
                 'nominal', o.nominal, 'workflow_id', o.workflow_id, 'part', o.workflow_part,
                 'run', w.run, 'run_no', w.run_no, 'status', w.status) order by o.nominal),
                 '[]') as runs
             from (
                 select * from hansom.schedule_fire f
                 where f.part = s.part and f.namespace = s.namespace
                   and f.schedule_id = s.schedule_id and f.open
                 order by f.nominal limit $4
             ) o
             left join lateral (
                 select w.run, w.run_no, w.status from hansom.workflow w
                 where w.part = o.workflow_part and w.namespace = o.namespace
                   and w.workflow_id = o.workflow_id
                 order by w.run_no desc limit 1
             ) w on true
         ) r,
         lateral (
             select coalesce(jsonb_agg(jsonb_build_object(
                 'nominal', o.nominal, 'cause', o.cause, 'overlap', o.overlap)
                 order by o.decided_at, o.nominal), '[]') as buffered
             from (
                 select * from hansom.schedule_fire f
                 where f.part = s.part and f.namespace = s.namespace
                   and f.schedule_id = s.schedule_id and f.outcome = 0
                 order by f.decided_at, f.nominal limit $4
             ) o
         ) b
         where k.total - k.size <= $3
         limit $2"#,
        parts,
        limit,
        bytes,
        runs,
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
        runs: row.runs.0,
        buffered: row.buffered.0,
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
pub(crate) async fn get(pool: &PgPool, name: &Name) -> Result<Option<Row>, sqlx::Error> {
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
    pool: &PgPool,
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
    pool: &PgPool,
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
    pool: &PgPool,
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
    pool: &PgPool,
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
pub(crate) async fn delete(pool: &PgPool, name: &Name) -> Result<bool, sqlx::Error> {
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
pub(crate) async fn hint(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_notify('hansom', 'schedules')").execute(pool).await?;
    Ok(())
}
