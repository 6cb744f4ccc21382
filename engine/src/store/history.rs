//! What happened.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use hansom_core::{Event, Timestamp};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::from_time;
use crate::address::Part;

/// The rows of one history: when, and what.
pub(crate) type Rows = Vec<(Timestamp, Vec<Event>)>;

fn decode(at: DateTime<Utc>, events: &str) -> Result<(Timestamp, Vec<Event>), sqlx::Error> {
    let events = serde_json::from_str(events).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((from_time(at), events))
}

/// The whole history of one run.
pub(crate) async fn of(pool: &PgPool, part: Part, run: Uuid) -> Result<Rows, sqlx::Error> {
    let rows = sqlx::query!(
        "select at, events from hansom.history where part = $1 and run = $2 order by event",
        part,
        run,
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| decode(row.at, &row.events)).collect()
}

/// One page of the history of one run: rows from the one that has event `from`
/// on, each with the number of its first event.
pub(crate) async fn page(
    db: impl PgExecutor<'_>,
    part: Part,
    run: Uuid,
    from: i32,
    limit: i64,
) -> Result<Vec<(i32, Timestamp, Vec<Event>)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select event, at, events from hansom.history
         where part = $1 and run = $2 and event >= coalesce(
             (select max(event) from hansom.history
              where part = $1 and run = $2 and event <= $3), 0)
         order by event limit $4",
        part,
        run,
        from,
        limit,
    )
    .fetch_all(db)
    .await?;
    let page = rows
        .iter()
        .map(|row| decode(row.at, &row.events).map(|(at, events)| (row.event, at, events)));
    page.collect()
}

/// The number, the type and the first row of the run that somebody started, and that went on in
/// run number `run_no` of that id in the end: mostly the same.
pub(crate) async fn beginning(
    db: impl PgExecutor<'_>,
    part: Part,
    (namespace, workflow_id): (&str, &str),
    run_no: i32,
) -> Result<Option<(i32, String, Vec<Event>)>, sqlx::Error> {
    let row = sqlx::query!(
        "select w.run_no, w.type as workflow_type, h.at, h.events
         from hansom.workflow w join hansom.history h on h.part = w.part and h.run = w.run
         where w.part = $1 and w.namespace = $2 and w.workflow_id = $3 and h.event = 0
           and w.run_no = 1 + coalesce(
               (select max(run_no) from hansom.workflow
                where part = $1 and namespace = $2 and workflow_id = $3 and run_no < $4
                  and status <> 7), 0)",
        part,
        namespace,
        workflow_id,
        run_no,
    )
    .fetch_optional(db)
    .await?;
    let beginning =
        row.map(|row| Ok((row.run_no, row.workflow_type, decode(row.at, &row.events)?.1)));
    beginning.transpose()
}

/// The number of the first event of a run's last row.
pub(crate) async fn last(pool: &PgPool, part: Part, run: Uuid) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(max(event), 0) as "event!" from hansom.history
         where part = $1 and run = $2"#,
        part,
        run,
    )
    .fetch_one(pool)
    .await
}

/// The last row with the answer to that update, of a workflow's run number `run_no` from the row
/// of `event` on, or of a later run; or, without its events, the last row of them all.
pub(crate) async fn answer(
    pool: &PgPool,
    part: Part,
    (namespace, workflow_id): (&str, &str),
    (run_no, event): (i32, i32),
    update: &str,
) -> Result<Option<(i32, i32, Vec<Event>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select w.run_no, h.event, h.at,
                case when strpos(h.events, $6) > 0 then h.events else '[]' end as "events!"
         from hansom.workflow w join hansom.history h on h.part = w.part and h.run = w.run
         where w.part = $1 and w.namespace = $2 and w.workflow_id = $3 and w.run_no >= $4
           and h.event >= case when w.run_no = $4 then $5 else 0 end
         order by strpos(h.events, $6) > 0 desc, w.run_no desc, h.event desc limit 1"#,
        part,
        namespace,
        workflow_id,
        run_no,
        event,
        format!(r#"{{"answer":{{"update":"{update}""#),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok((row.run_no, row.event, decode(row.at, &row.events)?.1))).transpose()
}

/// The last row of one run in which its body published something.
pub(crate) async fn last_published(
    pool: &PgPool,
    part: Part,
    run: Uuid,
) -> Result<Option<Vec<Event>>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select at, events from hansom.history
         where part = $1 and run = $2 and events like '%{"publish":%'
         order by event desc limit 1"#,
        part,
        run,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| decode(row.at, &row.events)).transpose()?.map(|(_, events)| events))
}

/// The histories of many runs. One that cannot be read is left out, and said.
pub(crate) async fn of_all(
    pool: &PgPool,
    parts: &[Part],
    runs: &[Uuid],
) -> Result<HashMap<Uuid, Rows>, sqlx::Error> {
    let rows = sqlx::query!(
        "select h.run, h.at, h.events
         from unnest($1::int[], $2::uuid[]) as r (part, run), lateral (
             select * from hansom.history
             where history.part = r.part and history.run = r.run order by event
         ) h",
        parts,
        runs,
    )
    .fetch_all(pool)
    .await?;
    let mut histories: HashMap<Uuid, Option<Rows>> = HashMap::with_capacity(runs.len());
    for row in rows {
        let history = histories.entry(row.run).or_insert_with(|| Some(Vec::new()));
        match (decode(row.at, &row.events), history.as_mut()) {
            (Ok(row), Some(history)) => history.push(row),
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::error!(run = %row.run, %error, "history_unreadable");
                *history = None;
            }
        }
    }
    Ok(histories.into_iter().filter_map(|(run, rows)| Some((run, rows?))).collect())
}
