//! What became of every nominal time.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use uuid::Uuid;

use super::schedule::Name;
use super::{Pool, status_of};
use crate::address::Part;
use crate::schedule::{Buffered, Cause, Fire, Outcome, Overlap, Run};

/// A run that a schedule started, not yet noted as closed, as it stands now.
#[derive(Debug)]
pub(crate) struct RunRow {
    nominal: DateTime<Utc>,
    pub(crate) workflow_id: String,
    pub(crate) part: Part,
    pub(crate) run: Option<Uuid>,
    pub(crate) run_no: Option<i32>,
    status: Option<i16>,
}

impl RunRow {
    pub(crate) fn seen(&self) -> Run {
        Run {
            nominal: self.nominal,
            workflow_id: self.workflow_id.clone(),
            status: self.status.map(status_of),
        }
    }
}

/// Something of some schedules, by namespace and id.
type Of<T> = HashMap<(String, String), Vec<T>>;

fn columns(names: &[&Name]) -> (Vec<Part>, Vec<String>, Vec<String>) {
    let parts = names.iter().map(|name| name.part).collect();
    let namespaces = names.iter().map(|name| name.namespace.clone()).collect();
    (parts, namespaces, names.iter().map(|name| name.id.clone()).collect())
}

fn grouped<T>(rows: Vec<((String, String), T)>) -> Of<T> {
    let mut of: Of<T> = HashMap::new();
    for (key, row) in rows {
        of.entry(key).or_default().push(row);
    }
    of
}

/// The runs of these schedules that are noted as open, up to `limit` of each, with the latest
/// run of their ids.
pub(crate) async fn open_of(
    pool: &Pool,
    names: &[&Name],
    limit: i64,
) -> Result<Of<RunRow>, sqlx::Error> {
    let (parts, namespaces, ids) = columns(names);
    let rows = sqlx::query!(
        r#"select f.namespace, f.schedule_id, f.nominal, f.workflow_id as "workflow_id!",
                f.workflow_part as "workflow_part!", w.run as "run?", w.run_no as "run_no?",
                w.status as "status?"
         from unnest($1::int[], $2::text[], $3::text[]) as s (part, namespace, id),
         lateral (
             select * from hansom.schedule_fire f
             where f.part = s.part and f.namespace = s.namespace and f.schedule_id = s.id
               and f.open
             order by f.nominal limit $4
         ) f
         left join lateral (
             select w.run, w.run_no, w.status from hansom.workflow w
             where w.part = f.workflow_part and w.namespace = f.namespace
               and w.workflow_id = f.workflow_id
             order by w.run_no desc limit 1
         ) w on true"#,
        &parts,
        &namespaces,
        &ids,
        limit,
    )
    .map(|row| {
        let run = RunRow {
            nominal: row.nominal,
            workflow_id: row.workflow_id,
            part: row.workflow_part,
            run: row.run,
            run_no: row.run_no,
            status: row.status,
        };
        ((row.namespace, row.schedule_id), run)
    })
    .fetch_all(pool)
    .await?;
    Ok(grouped(rows))
}

/// What is buffered of these schedules, oldest first, up to `limit` of each.
pub(crate) async fn buffered_of(
    pool: &Pool,
    names: &[&Name],
    limit: i64,
) -> Result<Of<Buffered>, sqlx::Error> {
    let (parts, namespaces, ids) = columns(names);
    let rows = sqlx::query!(
        "select f.namespace, f.schedule_id, f.nominal, f.cause, f.overlap
         from unnest($1::int[], $2::text[], $3::text[]) as s (part, namespace, id),
         lateral (
             select * from hansom.schedule_fire f
             where f.part = s.part and f.namespace = s.namespace and f.schedule_id = s.id
               and f.outcome = 0
             order by f.decided_at, f.nominal limit $4
         ) f
         order by f.decided_at, f.nominal",
        &parts,
        &namespaces,
        &ids,
        limit,
    )
    .map(|row| {
        let (cause, overlap) = (cause_of(row.cause), row.overlap.map(overlap_of));
        ((row.namespace, row.schedule_id), Buffered { nominal: row.nominal, cause, overlap })
    })
    .fetch_all(pool)
    .await?;
    Ok(grouped(rows))
}

fn cause_of(code: i16) -> Cause {
    match code {
        1 => Cause::Trigger,
        2 => Cause::Backfill,
        _ => Cause::Schedule,
    }
}

pub(crate) fn cause_code(cause: Cause) -> i16 {
    match cause {
        Cause::Schedule => 0,
        Cause::Trigger => 1,
        Cause::Backfill => 2,
    }
}

fn overlap_of(code: i16) -> Overlap {
    match code {
        1 => Overlap::BufferOne,
        2 => Overlap::BufferAll,
        3 => Overlap::CancelOther,
        4 => Overlap::AllowAll,
        5 => Overlap::TerminateOther,
        _ => Overlap::Skip,
    }
}

fn overlap_code(overlap: Overlap) -> i16 {
    match overlap {
        Overlap::Skip => 0,
        Overlap::BufferOne => 1,
        Overlap::BufferAll => 2,
        Overlap::CancelOther => 3,
        Overlap::AllowAll => 4,
        Overlap::TerminateOther => 5,
    }
}

fn outcome_of(code: i16) -> Outcome {
    match code {
        0 => Outcome::Buffered,
        1 => Outcome::Started,
        2 => Outcome::Skipped,
        3 => Outcome::Missed,
        4 => Outcome::Dropped,
        6 => Outcome::Paused,
        _ => Outcome::Failed,
    }
}

pub(crate) fn outcome_code(outcome: Outcome) -> i16 {
    match outcome {
        Outcome::Buffered => 0,
        Outcome::Started => 1,
        Outcome::Skipped => 2,
        Outcome::Missed => 3,
        Outcome::Dropped => 4,
        Outcome::Failed => 5,
        Outcome::Paused => 6,
    }
}

/// Up to `limit` fires of a schedule, latest first, of this outcome and before that time.
pub(crate) async fn list(
    pool: &Pool,
    name: &Name,
    (outcome, before): (Option<Outcome>, Option<DateTime<Utc>>),
    limit: i64,
) -> Result<Vec<Fire>, sqlx::Error> {
    sqlx::query!(
        "select nominal, cause, outcome, decided_at, workflow_id, run, detail
         from hansom.schedule_fire
         where part = $1 and namespace = $2 and schedule_id = $3
           and ($4::smallint is null or outcome = $4)
           and ($5::timestamptz is null or nominal < $5)
         order by nominal desc limit $6",
        name.part,
        name.namespace,
        name.id,
        outcome.map(outcome_code),
        before,
        limit,
    )
    .map(|row| Fire {
        nominal: row.nominal,
        cause: cause_of(row.cause),
        outcome: outcome_of(row.outcome),
        decided_at: row.decided_at,
        workflow_id: row.workflow_id,
        run: row.run,
        detail: row.detail,
    })
    .fetch_all(pool)
    .await
}

/// Workflows that a schedule started and that are open, latest first, at most `limit`.
pub(crate) async fn running(
    pool: &Pool,
    name: &Name,
    limit: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select f.workflow_id as "workflow_id!" from hansom.schedule_fire f
         where f.part = $1 and f.namespace = $2 and f.schedule_id = $3 and f.open
           and exists (select from hansom.workflow w
                       where w.part = f.workflow_part and w.namespace = f.namespace
                         and w.workflow_id = f.workflow_id and w.status < 3)
         order by f.nominal desc limit $4"#,
        name.part,
        name.namespace,
        name.id,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// How many fires of a schedule wait.
pub(crate) async fn buffered(pool: &Pool, name: &Name) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from hansom.schedule_fire
         where part = $1 and namespace = $2 and schedule_id = $3 and outcome = 0"#,
        name.part,
        name.namespace,
        name.id,
    )
    .fetch_one(pool)
    .await
}

/// What came of asking for fires.
pub(crate) struct Asked {
    /// Whether there is such a schedule.
    pub(crate) known: bool,
    /// The first of the times.
    pub(crate) first: DateTime<Utc>,
    /// How many are asked for; none when more than the limit would be buffered.
    pub(crate) count: Option<i32>,
}

/// Asks for fires by hand: of these times, or of now.
pub(crate) async fn ask(
    pool: &Pool,
    name: &Name,
    times: Option<&[DateTime<Utc>]>,
    (cause, overlap): (Cause, Option<Overlap>),
    limit: i32,
) -> Result<Asked, sqlx::Error> {
    sqlx::query!(
        r#"select known as "known!", first as "first!", asked
         from hansom.ask_fires($1, $2, $3, $4, $5, $6, $7)"#,
        name.part,
        name.namespace,
        name.id,
        times,
        cause_code(cause),
        overlap.map(overlap_code),
        limit,
    )
    .map(|row| Asked { known: row.known, first: row.first, count: row.asked })
    .fetch_one(pool)
    .await
}
