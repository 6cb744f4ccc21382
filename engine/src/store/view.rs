//! What views say of workflows. Owners write it in their commits; here it is read, and made anew.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use sqlx::types::Json;
use uuid::Uuid;

use super::Pool;
use crate::address::{Address, Part};
use crate::read_model::{
    ViewChange, ViewChanges, ViewCursor, ViewPage, ViewQuery, ViewRecord, Within,
};

struct Row {
    key: i64,
    workflow_id: String,
    run: Uuid,
    events: i32,
    changed_at: DateTime<Utc>,
    fields: Json<Map<String, Value>>,
}

impl From<Row> for ViewRecord {
    fn from(row: Row) -> Self {
        let Row { key, workflow_id, run, events, changed_at, fields } = row;
        Self { key, workflow_id, run, events, changed_at, row: fields.0 }
    }
}

/// The row with this key; of several that of the run that was started first.
pub(crate) async fn get(
    pool: &Pool,
    view: &str,
    key: i64,
) -> Result<Option<ViewRecord>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select key, workflow_id, run, events, changed_at, fields as "fields: _"
         from hansom.view where view = $1 and key = $2 order by run limit 1"#,
        view,
        key,
    );
    Ok(row.fetch_optional(pool).await?.map(ViewRecord::from))
}

/// Some rows by key, and how many there are.
pub(crate) async fn page(
    pool: &Pool,
    view: &str,
    query: &ViewQuery,
) -> Result<ViewPage, sqlx::Error> {
    let filter = (!query.filter.is_empty()).then(|| Value::Object(query.filter.clone()));
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from hansom.view
         where view = $1 and ($2::jsonb is null or fields @> $2::jsonb)"#,
        view,
        filter,
    );
    let total = total.fetch_one(pool).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select key, workflow_id, run, events, changed_at, fields as "fields: _"
         from hansom.view
         where view = $1 and ($2::jsonb is null or fields @> $2::jsonb)
         order by key, run limit $3 offset $4"#,
        view,
        filter,
        i64::from(query.limit.clamp(1, 1_000)),
        i64::from(query.offset),
    );
    let rows = rows.fetch_all(pool).await?;
    Ok(ViewPage { items: rows.into_iter().map(ViewRecord::from).collect(), total })
}

/// What has been seen by now.
pub(crate) async fn now(pool: &Pool) -> Result<ViewCursor, sqlx::Error> {
    let now = sqlx::query_scalar!(r#"select pg_current_snapshot()::text as "now!""#);
    Ok(ViewCursor { since: now.fetch_one(pool).await?, within: None })
}

/// Up to `limit` rows that were written since, and from where to read on.
pub(crate) async fn changes(
    pool: &Pool,
    view: &str,
    cursor: &ViewCursor,
    limit: u32,
) -> Result<ViewChanges, sqlx::Error> {
    let limit = i64::from(limit.max(1));
    let within = cursor.within.as_ref();
    // The snapshot is that of the statement, whether there are rows or not.
    let rows = sqlx::query!(
        r#"select s.now as "now!", v.xact as "xact?", v.part as "part?", v.key as "key?",
                v.workflow_id as "workflow_id?", v.run as "run?", v.events as "events?",
                v.changed_at as "changed_at?", v.fields as "fields?: Json<Map<String, Value>>"
         from (select pg_current_snapshot()::text as now) s left join lateral (
             select * from hansom.view
             where view = $1
               and xact >= pg_snapshot_xmin($2::text::pg_snapshot)::text::bigint
               and not pg_visible_in_snapshot(xact::text::xid8, $2::text::pg_snapshot)
               and (xact, part, workflow_id) > ($3, $4, $5)
             order by xact, part, workflow_id limit $6
         ) v on true
         order by v.xact, v.part, v.workflow_id"#,
        view,
        cursor.since,
        within.map_or(0, |within| within.xact),
        within.map_or(0, |within| within.part),
        within.map_or("", |within| within.workflow_id.as_str()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let now = rows.first().map_or_else(|| cursor.since.clone(), |row| row.now.clone());
    let until = within.map_or(now, |within| within.until.clone());
    let mut last = None;
    let items = rows.into_iter().filter_map(|row| {
        let workflow_id = row.workflow_id?;
        let xact = row.xact?;
        last = Some((xact, row.part?, workflow_id.clone()));
        let (key, run, events, changed_at) = (row.key?, row.run?, row.events?, row.changed_at?);
        let record = ViewRecord { key, workflow_id, run, events, changed_at, row: row.fields?.0 };
        Some(ViewChange { record, xact })
    });
    let items: Vec<_> = items.collect();
    let more = i64::try_from(items.len()).is_ok_and(|read| read == limit);
    let cursor = match last.filter(|_| more) {
        Some((xact, part, workflow_id)) => ViewCursor {
            since: cursor.since.clone(),
            within: Some(Within { until, xact, part, workflow_id }),
        },
        None => ViewCursor { since: until, within: None },
    };
    Ok(ViewChanges { items, cursor, more })
}

/// How many rows there are of each view.
pub(crate) async fn counts(pool: &Pool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let counts = sqlx::query!(
        r#"select view, count(*) as "rows!" from hansom.view group by view order by view"#
    );
    Ok(counts.fetch_all(pool).await?.into_iter().map(|row| (row.view, row.rows)).collect())
}

/// Up to `limit` workflows of a type that follow `after`, each with the newest run of that type.
pub(crate) async fn runs(
    pool: &Pool,
    part: Part,
    workflow_type: &str,
    after: Option<&Address>,
    limit: i64,
) -> Result<Vec<Address>, sqlx::Error> {
    let rows = sqlx::query!(
        "select w.namespace, w.workflow_id, w.run_no, w.run from hansom.workflow w
         where w.part = $1 and w.type = $2 and (w.namespace, w.workflow_id) > ($3, $4)
           and not exists (
             select from hansom.workflow n
             where n.part = $1 and n.namespace = w.namespace and n.workflow_id = w.workflow_id
               and n.run_no > w.run_no and n.type = w.type)
         order by w.namespace, w.workflow_id limit $5",
        part,
        workflow_type,
        after.map_or("", |after| &*after.namespace),
        after.map_or("", |after| &*after.workflow_id),
        limit,
    );
    let addresses = rows.fetch_all(pool).await?.into_iter().map(|row| Address {
        part,
        run: row.run,
        namespace: row.namespace.into(),
        workflow_id: row.workflow_id.into(),
        run_no: row.run_no,
    });
    Ok(addresses.collect())
}

/// Writes a row that follows from the first `read` events of its run, unless the one that is
/// there follows from more. Answers whether it did. Whoever hears of changes hears of it only if
/// it says something else than the one that was there.
pub(crate) async fn put(
    pool: &Pool,
    address: &Address,
    row: &hansom_core::ViewRow,
    read: i32,
) -> Result<bool, sqlx::Error> {
    let written = sqlx::query!(
        "insert into hansom.view as v (part, namespace, workflow_id, view, run_no, run, key, fields,
                                       events, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (part, namespace, workflow_id, view) do update
         set run_no = excluded.run_no, run = excluded.run, key = excluded.key,
             fields = excluded.fields, events = excluded.events,
             changed_at = excluded.changed_at,
             xact = case when (v.run, v.key, v.fields) = (excluded.run, excluded.key, excluded.fields)
                         then v.xact else excluded.xact end
         where (v.run_no, v.events) <= (excluded.run_no, $11)",
        address.part,
        &*address.namespace,
        &*address.workflow_id,
        row.view,
        address.run_no,
        address.run,
        row.key,
        Value::Object(row.fields.clone()),
        super::int(row.position),
        super::to_time(row.at),
        read,
    );
    Ok(written.execute(pool).await?.rows_affected() == 1)
}

/// Removes rows of views that nobody has any more. Answers how many.
pub(crate) async fn remove_unknown(
    pool: &Pool,
    part: Part,
    known: &[String],
) -> Result<u64, sqlx::Error> {
    let removed =
        sqlx::query!("delete from hansom.view where part = $1 and view <> all ($2)", part, known,);
    Ok(removed.execute(pool).await?.rows_affected())
}

/// Removes rows of runs that are gone, or are not of the type that the view is of now. Answers
/// how many.
pub(crate) async fn remove_orphans(
    pool: &Pool,
    part: Part,
    view: &str,
    workflow_type: &str,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "delete from hansom.view v where v.part = $1 and v.view = $2 and not exists (
             select from hansom.workflow w
             where w.part = $1 and w.namespace = v.namespace and w.workflow_id = v.workflow_id
               and w.run_no = v.run_no and w.run = v.run and w.type = $3)",
        part,
        view,
        workflow_type,
    );
    Ok(removed.execute(pool).await?.rows_affected())
}
