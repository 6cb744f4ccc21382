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

/// The rows of one run with answers to updates, from the one that begins with event `from` on.
pub(crate) async fn answers(
    pool: &PgPool,
    part: Part,
    run: Uuid,
    from: i32,
) -> Result<Vec<(i32, Timestamp, Vec<Event>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select event, at, events from hansom.history
         where part = $1 and run = $2 and event >= $3 and events like '%{"answer":%'
         order by event"#,
        part,
        run,
        from,
    )
    .fetch_all(pool)
    .await?;
    let rows = rows
        .iter()
        .map(|row| decode(row.at, &row.events).map(|(at, events)| (row.event, at, events)));
    rows.collect()
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
