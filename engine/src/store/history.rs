//! What happened.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt as _};
use hansom_core::{Command, Event, Payload, Status, Timestamp, UpdateAnswer};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Pool, from_time, status_of};
use crate::address::Part;

/// The rows of one history: when, and what.
pub(crate) type Rows = Vec<(Timestamp, Vec<Event>)>;

/// So many bytes of histories, and the rest of one run, are read at once.
const BYTES: i64 = 16 * 1024 * 1024;

fn decode(at: DateTime<Utc>, events: &str) -> Result<(Timestamp, Vec<Event>), sqlx::Error> {
    let events = serde_json::from_str(events).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((from_time(at), events))
}

/// The whole history of one run.
pub(crate) async fn of(pool: &Pool, part: Part, run: Uuid) -> Result<Rows, sqlx::Error> {
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

/// The rows of one run that begin with event `from` or later, one at a time.
pub(crate) fn stream(
    pool: &Pool,
    part: Part,
    run: Uuid,
    from: i32,
) -> impl Stream<Item = Result<(Timestamp, Vec<Event>), sqlx::Error>> {
    let rows = sqlx::query!(
        "select at, events from hansom.history
         where part = $1 and run = $2 and event >= $3 order by event",
        part,
        run,
        from,
    );
    rows.fetch(pool).map(|row| row.and_then(|row| decode(row.at, &row.events)))
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
pub(crate) async fn last(pool: &Pool, part: Part, run: Uuid) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(max(event), 0) as "event!" from hansom.history
         where part = $1 and run = $2"#,
        part,
        run,
    )
    .fetch_one(pool)
    .await
}

/// What a look for the answer to an update has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) answer: Option<UpdateAnswer>,
    /// None where there is nothing of the workflow any more.
    pub(crate) seen: Option<Seen>,
}

/// How far a look has seen, all of it at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The numbers of a run and of a row's first event: from there the next look goes on.
    pub(crate) last: (i32, i32),
    /// The run that the first one has gone on in by then: mostly itself.
    pub(crate) heir: Uuid,
    pub(crate) status: Status,
}

/// Looks for the answer to that update, by a workflow's run number `from.0` from the row of event
/// `from.1` on, or by one that it has gone on in.
///
/// A row is found by its text, and a payload may have any text: what is found is looked into,
/// and where it says nothing, the next older row: never one that has been written since.
pub(crate) async fn answer(
    pool: &Pool,
    part: Part,
    (namespace, workflow_id): (&str, &str),
    from: (i32, i32),
    id: &str,
) -> Result<Look, sqlx::Error> {
    let text = format!(r#"{{"answer":{{"update":"{id}""#);
    let (mut look, mut before) = (Look::default(), (i32::MAX, i32::MAX));
    loop {
        let row = sqlx::query!(
            r#"select heir.run as heir, heir.status, w.run_no, h.event, h.at,
                    case when strpos(h.events, $6) > 0 then h.events else '[]' end as "events!"
             from (select run, run_no, status from hansom.workflow
                   where part = $1 and namespace = $2 and workflow_id = $3 and run_no >= $4
                     and status <> 7
                   order by run_no limit 1) heir
             cross join hansom.workflow w join hansom.history h on h.part = w.part and h.run = w.run
             where w.part = $1 and w.namespace = $2 and w.workflow_id = $3 and w.run_no >= $4
               and h.event >= case when w.run_no = $4 then $5 else 0 end
               and (w.run_no, h.event) < ($7, $8) and w.run_no <= heir.run_no
             order by strpos(h.events, $6) > 0 desc, w.run_no desc, h.event desc limit 1"#,
            part,
            namespace,
            workflow_id,
            from.0,
            from.1,
            text,
            before.0,
            before.1,
        )
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(look) };
        before = (row.run_no, row.event);
        look.seen.get_or_insert(Seen {
            last: before,
            heir: row.heir,
            status: status_of(row.status),
        });
        let (_, events) = decode(row.at, &row.events)?;
        let without_text = events.is_empty();
        look.answer = events.into_iter().find_map(|event| match event {
            Event::Asked(Command::Answer { update, answer }) if update == id => Some(answer),
            _ => None,
        });
        if look.answer.is_some() || without_text {
            return Ok(look);
        }
    }
}

/// What the body of one run published last. Found by text, and then looked into, as an answer is.
pub(crate) async fn last_published(
    pool: &Pool,
    part: Part,
    run: Uuid,
) -> Result<Option<Payload>, sqlx::Error> {
    let mut before = i32::MAX;
    loop {
        let row = sqlx::query!(
            r#"select event, at, events from hansom.history
             where part = $1 and run = $2 and event < $3 and events like '%{"publish":%'
             order by event desc limit 1"#,
            part,
            run,
            before,
        )
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        before = row.event;
        let (_, events) = decode(row.at, &row.events)?;
        let state = events.into_iter().rev().find_map(|event| match event {
            Event::Asked(Command::Publish { state }) => Some(state),
            _ => None,
        });
        if state.is_some() {
            return Ok(state);
        }
    }
}

/// The histories of many runs, and the runs that are left for another time: those before them
/// have about as many bytes as are held at once. One that cannot be read is left out, and said.
pub(crate) async fn of_all(
    pool: &Pool,
    parts: &[Part],
    runs: &[Uuid],
) -> Result<(HashMap<Uuid, Rows>, HashSet<Uuid>), sqlx::Error> {
    let rows = sqlx::query!(
        r#"select r.run as "run!", r.fits as "fits!", h.at as "at?", h.events as "events?"
         from (
             select r.part, r.run, sum(s.size) over (order by r.n) - s.size < $3::bigint as fits
             from unnest($1::int[], $2::uuid[]) with ordinality as r (part, run, n), lateral (
                 -- One alone is not measured: it is read in any case.
                 select coalesce(sum(octet_length(events)), 0) as size from hansom.history
                 where history.part = r.part and history.run = r.run
                   and cardinality($2::uuid[]) > 1
             ) s
         ) r left join lateral (
             select at, events from hansom.history
             where history.part = r.part and history.run = r.run and r.fits order by event
         ) h on true"#,
        parts,
        runs,
        BYTES,
    )
    .fetch_all(pool)
    .await?;
    let mut histories: HashMap<Uuid, Option<Rows>> = HashMap::with_capacity(runs.len());
    let mut left = HashSet::new();
    for row in rows {
        let Some((at, events)) = row.at.zip(row.events) else {
            if !row.fits {
                left.insert(row.run);
            }
            continue;
        };
        let history = histories.entry(row.run).or_insert_with(|| Some(Vec::new()));
        match (decode(at, &events), history.as_mut()) {
            (Ok(row), Some(history)) => history.push(row),
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::error!(run = %row.run, %error, "history_unreadable");
                *history = None;
            }
        }
    }
    Ok((histories.into_iter().filter_map(|(run, rows)| Some((run, rows?))).collect(), left))
}
