//! What views say, on a real Postgres: written with the events, read, followed, and made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use hansom_core::{Fact, Handlers, Patch, Payload, Status, View, Workflow, Workflows};
use hansom_engine::{
    Client, ClientError, EngineError, IdReuse, Registry, Settings, StartRequest, ViewCursor,
    ViewQuery, Worker, connect, rebuild,
};
use hansom_postgres::testing::TestDatabase;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::crew::{LEASE, audit, count, held, sql, until};
use crate::kit::{Arrive, Charge, Name, Notify, Refund, Ride, Roll, SOON, Trip, World, fresh};

/// By its patience.
struct Trips;
impl View for Trips {
    const NAME: &'static str = "trips";
    type Workflow = Trip;
    fn key(ride: &Ride) -> i64 {
        i64::try_from(ride.patience_ms).unwrap()
    }
    fn start(_: &Ride) -> Patch {
        Patch::new().set("paid", false).set("arrived", false).set("end", Value::Null)
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let patch = Patch::new();
        if fact.done::<Charge>().is_some() {
            return Some(patch.set("paid", true));
        }
        if fact.undone::<Refund>().is_some() {
            return Some(patch.set("paid", false));
        }
        if fact.signal::<Arrive>().is_some() {
            return Some(patch.set("arrived", true));
        }
        fact.closed().map(|status| patch.set("end", status))
    }
}

/// By how many are called.
pub(crate) struct Rolls;
impl View for Rolls {
    const NAME: &'static str = "rolls";
    type Workflow = Roll;
    fn key(count: &usize) -> i64 {
        i64::try_from(*count).unwrap()
    }
    fn start(_: &usize) -> Patch {
        Patch::new().set("names", [""; 0])
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let mut names: Vec<String> = fact.field("names")?;
        names.push(fact.signal::<Name>()?.0);
        Some(Patch::new().set("names", names))
    }
}

fn registry(world: &World) -> Registry {
    let handlers = Handlers::default()
        .with::<Charge>(world.clone())
        .with::<Refund>(world.clone())
        .with::<Notify>(world.clone());
    let workflows = Workflows::default().with::<Trip>().with::<Roll>();
    Registry::new(workflows.view::<Trips>().view::<Rolls>(), handlers).unwrap()
}

async fn worker(database: &TestDatabase, world: &World) -> (Worker, Client) {
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(pool, registry(world), settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

async fn row<V: View>(client: &Client, key: i64) -> Value {
    let record = client.view::<V>(key).await.unwrap();
    record.map_or(Value::Null, |record| Value::Object(record.row))
}

/// All rows, whole, but for the transactions that wrote them.
async fn rows(sql: &PgPool) -> Vec<String> {
    let rows = "select (to_jsonb(v) - 'xact')::text from hansom.view v
        order by part, namespace, workflow_id, view";
    sqlx::query_scalar(rows).fetch_all(sql).await.unwrap()
}

#[tokio::test]
async fn a_row_is_there_when_its_start_is_answered_and_has_ended_when_its_run_has() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let mut key = 1;
    until("a start is taken by a lane of this worker", async || {
        key += 1;
        let (id, ride) = (format!("t{key}"), Ride { patience_ms: 600_000 + key });
        client.start::<Trip>(&id, &ride).await.unwrap();
        let shown = row::<Trips>(&client, 600_000 + i64::try_from(key).unwrap()).await;
        let here = sqlx::query_scalar(
            "select jsonb_array_length(h.events::jsonb) > 1 from hansom.history h
             join hansom.workflow w using (part, run) where w.workflow_id = $1 and h.event = 0",
        );
        // Elsewhere somebody writes that it is started, and its owner begins with it later.
        let here: bool = here.bind(&id).fetch_one(&sql).await.unwrap();
        assert!(!here || shown["arrived"] == false, "{id} was answered: {shown}");
        here
    })
    .await;
    world.refuse(1);
    for (id, key) in [("t1", 1), ("t0", 0)] {
        client.start::<Trip>(id, &Ride { patience_ms: key }).await.unwrap();
        let ended = client.result(id, SOON).await.unwrap();
        let shown = row::<Trips>(&client, i64::try_from(key).unwrap()).await;
        assert_eq!(shown["end"], json!(ended.status), "in the commit that ended {id}");
        assert_eq!(shown["paid"], ended.status == Status::Completed);
    }
    let record = client.view::<Trips>(0).await.unwrap().unwrap();
    let events = client.history("t0", None, 100).await.unwrap().items;
    let last = events.last().unwrap();
    assert_eq!(record.workflow_id, "t0");
    assert_eq!(record.events, i32::try_from(last.event + 1).unwrap());
    assert_eq!(record.changed_at, last.at);
    assert_eq!(client.view::<Trips>(99).await.unwrap(), None);
    worker.drain().await;
}

/// It asks for nothing before it hears something: its owner has nothing to write but the row.
#[tokio::test]
async fn a_run_that_is_started_in_sql_and_only_listens_has_its_row_all_the_same() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world).await;
    sqlx::query("select hansom.start_workflow('roll', 'roll', '2')").execute(&sql).await.unwrap();
    until("its row is there", async || row::<Rolls>(&client, 2).await["names"] == json!([])).await;
    client.signal("roll", &Name("ann".to_owned()), None).await.unwrap();
    until("ann is there", async || row::<Rolls>(&client, 2).await["names"] == json!(["ann"])).await;
    first.drain().await;
    let (second, client) = worker(&database, &world).await;
    client.signal("roll", &Name("bob".to_owned()), None).await.unwrap();
    client.result("roll", SOON).await.unwrap();
    let names = json!(["ann", "bob"]);
    assert_eq!(row::<Rolls>(&client, 2).await["names"], names, "the next owner goes on with it");
    audit(&sql).await;
    second.drain().await;
}

#[tokio::test]
async fn a_run_that_follows_another_under_its_id_begins_the_row_anew() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start::<Roll>("roll", &1).await.unwrap();
    client.signal("roll", &Name("ann".to_owned()), None).await.unwrap();
    client.result("roll", SOON).await.unwrap();
    assert_eq!(row::<Rolls>(&client, 1).await["names"], json!(["ann"]));
    let again = StartRequest {
        id_reuse: IdReuse::Allow,
        ..StartRequest::new(Roll::NAME, "roll", Payload::of(&2).unwrap())
    };
    let started = client.start_raw(again).await.unwrap();
    until("its row is there", async || row::<Rolls>(&client, 2).await != Value::Null).await;
    let record = client.view::<Rolls>(2).await.unwrap().unwrap();
    assert_eq!((record.run, json!(record.row)), (started.run, json!({"names": []})));
    assert_eq!(row::<Rolls>(&client, 1).await, Value::Null);
    let before = rows(&sql).await;
    let report = rebuild(&sql, &registry(&world), None, |_| {}).await.unwrap();
    assert_eq!(report.views["rolls"], 1, "of the newest run");
    assert_eq!(rows(&sql).await, before);
    worker.drain().await;
}

#[tokio::test]
async fn rows_that_are_made_anew_while_a_worker_writes_are_those_that_it_would_have_written() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let writing = Arc::new(AtomicBool::new(true));
    let anew = tokio::spawn({
        let (pool, registry, writing) = (sql.clone(), registry(&world), Arc::clone(&writing));
        async move {
            let mut rounds = 0;
            while writing.load(Ordering::SeqCst) {
                rebuild(&pool, &registry, None, |_| {}).await.unwrap();
                rounds += 1;
            }
            rounds
        }
    });
    let trips = (0..300_u64).map(|n| {
        let client = client.clone();
        async move {
            let (id, ride) = (format!("t{n}"), Ride { patience_ms: 600_000 + n });
            client.start::<Trip>(&id, &ride).await.unwrap();
            if n % 2 == 0 {
                client.signal(&id, &Arrive, None).await.unwrap();
                client.result(&id, SOON).await.unwrap();
            } else if n % 3 == 0 {
                client.cancel(&id, None).await.unwrap();
                client.result(&id, SOON).await.unwrap();
            }
        }
    });
    join_all(trips).await;
    writing.store(false, Ordering::SeqCst);
    assert!(anew.await.unwrap() > 0, "it was made anew meanwhile");
    until("all are paid, or not any more", async || {
        let unpaid = "select count(*) from hansom.view
            where fields @> '{\"paid\": false, \"end\": null}'";
        count(&sql, unpaid).await == 0
    })
    .await;
    let lived = rows(&sql).await;
    assert_eq!(lived.len(), 300);
    sqlx::query("truncate hansom.view").execute(&sql).await.unwrap();
    let mut told = 0;
    let report = rebuild(&sql, &registry(&world), Some("trips"), |_| told += 1).await.unwrap();
    assert_eq!((report.rows(), report.views.len(), report.failed), (300, 1, 0));
    assert!(told > 0, "it says how far it is");
    assert_eq!(rows(&sql).await, lived);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_rebuild_writes_over_what_is_wrong_and_old_but_not_over_what_follows_from_more() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start::<Trip>("t", &Ride { patience_ms: 0 }).await.unwrap();
    client.result("t", SOON).await.unwrap();
    worker.drain().await;
    let right = rows(&sql).await;
    let spoil = async |events: &str| {
        let spoil =
            format!("update hansom.view set fields = '{{\"spoiled\": true}}', events = {events}");
        sqlx::query(sqlx::AssertSqlSafe(spoil)).execute(&sql).await.unwrap();
        let report = rebuild(&sql, &registry(&world), None, |_| {}).await.unwrap();
        (report.rows(), rows(&sql).await == right)
    };
    // As a fold that has been changed since, or an owner that never wrote the rest.
    assert_eq!(spoil("events").await, (1, true));
    assert_eq!(spoil("1").await, (1, true));
    // As an owner that has written meanwhile.
    assert_eq!(spoil("events + 1").await, (0, false));
    let others = "insert into hansom.view
        (part, namespace, workflow_id, view, run_no, run, key, fields, events, changed_at)
        select part, namespace, workflow_id || o.suffix, o.view, run_no, run, key, fields, events,
            changed_at
        from hansom.view, (values ('', 'forgotten'), ('.gone', 'trips')) as o (suffix, view)";
    sqlx::query(others).execute(&sql).await.unwrap();
    let report = rebuild(&sql, &registry(&world), None, |_| {}).await.unwrap();
    assert_eq!(report.removed, 2, "what nobody has any more, and what never was");
    assert_eq!(rows(&sql).await.len(), 1);
    let unknown = rebuild(&sql, &registry(&world), Some("trip"), |_| {}).await.unwrap_err();
    assert!(matches!(unknown, EngineError::UnknownView { .. }), "{unknown}");
    assert_eq!(unknown.to_string(), "there is no view `trip`; there are: rolls, trips");
}

#[tokio::test]
async fn a_rebuild_tells_only_of_rows_that_say_something_else_by_then() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    for count in [1, 2] {
        client.start::<Roll>(&format!("roll-{count}"), &count).await.unwrap();
    }
    until("both are there", async || rows(&sql).await.len() == 2).await;
    let from = client.view_changes("rolls", None, 9).await.unwrap().cursor;
    for (spoiled, told) in [("where false", vec![]), ("where key = 2", vec![2])] {
        let spoil = format!("update hansom.view set fields = '{{}}' {spoiled}");
        sqlx::query(sqlx::AssertSqlSafe(spoil)).execute(&sql).await.unwrap();
        let report = rebuild(&sql, &registry(&world), None, |_| {}).await.unwrap();
        assert_eq!((report.rows(), changes(&client, &from, 9).await.0), (2, told));
    }
    worker.drain().await;
}

#[tokio::test]
async fn rows_are_found_by_their_fields_and_turned_over_by_their_keys() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    for count in 1..=5 {
        client.start::<Roll>(&format!("roll-{count}"), &count).await.unwrap();
    }
    until("all are there", async || {
        client.views::<Rolls>(&ViewQuery::default()).await.unwrap().total == 5
    })
    .await;
    client.signal("roll-4", &Name("ann".to_owned()), None).await.unwrap();
    until("ann is there", async || row::<Rolls>(&client, 4).await["names"] == json!(["ann"])).await;
    let keys = async |query: ViewQuery| {
        let page = client.views::<Rolls>(&query).await.unwrap();
        (page.items.iter().map(|record| record.key).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(keys(ViewQuery::default()).await, (vec![1, 2, 3, 4, 5], 5));
    assert_eq!(
        keys(ViewQuery { limit: 2, offset: 2, ..ViewQuery::default() }).await,
        (vec![3, 4], 5)
    );
    assert_eq!(keys(ViewQuery::default().only("names", json!(["ann"]))).await, (vec![4], 1));
    assert_eq!(keys(ViewQuery::default().only("names", "ann")).await, (vec![], 0));
    let named = client.views_named("rolls", &ViewQuery::default()).await.unwrap();
    assert_eq!(named, client.views::<Rolls>(&ViewQuery::default()).await.unwrap());
    assert_eq!(
        client.view_named("rolls", 4).await.unwrap(),
        client.view::<Rolls>(4).await.unwrap()
    );
    let unknown = client.view_named("roll", 4).await.unwrap_err();
    assert!(matches!(unknown, ClientError::UnknownView { .. }), "{unknown}");
    let all = client.all_views().await.unwrap();
    let all: Vec<_> =
        all.iter().map(|view| (&*view.name, view.workflow.as_deref(), view.rows)).collect();
    assert_eq!(all, [("rolls", Some("roll"), 5), ("trips", Some("trip"), 0)]);
    worker.drain().await;
}

/// The keys that changed, and from where to read on.
async fn changes(client: &Client, from: &ViewCursor, limit: u32) -> (Vec<i64>, ViewCursor) {
    let changes = client.view_changes("rolls", Some(from), limit).await.unwrap();
    let cursor = changes.cursor.to_string().parse().unwrap();
    assert_eq!(cursor, changes.cursor, "it is read as it is written");
    (changes.items.iter().map(|change| change.record.key).collect(), cursor)
}

#[tokio::test]
async fn whoever_follows_the_changes_misses_none_whatever_order_transactions_end_in() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start::<Roll>("roll-1", &1).await.unwrap();
    until("its row is there", async || row::<Rolls>(&client, 1).await != Value::Null).await;
    let from = client.view_changes("rolls", None, 9).await.unwrap();
    assert_eq!((from.items.len(), from.more), (0, false), "it begins now");
    let from = from.cursor;
    assert_eq!(changes(&client, &from, 9).await.0, Vec::<i64>::new());
    // An earlier transaction that ends later.
    let mut slow = held(&sql).await;
    let touch = "update hansom.view set xact = pg_current_xact_id()::text::bigint where key = 1";
    sqlx::query(touch).execute(&mut *slow).await.unwrap();
    for count in 2..=4 {
        client.start::<Roll>(&format!("roll-{count}"), &count).await.unwrap();
        let key = i64::try_from(count).unwrap();
        until("its row is there", async || row::<Rolls>(&client, key).await != Value::Null).await;
    }
    let (first, cursor) = changes(&client, &from, 2).await;
    assert_eq!(first, [2, 3], "in the order in which they were written");
    client.start::<Roll>("roll-5", &5).await.unwrap();
    until("its row is there", async || row::<Rolls>(&client, 5).await != Value::Null).await;
    slow.commit().await.unwrap();
    let mut told = Vec::new();
    let mut cursor = cursor;
    for _ in 0..6 {
        let (more, next) = changes(&client, &cursor, 2).await;
        (told, cursor) = ([told, more].concat(), next);
    }
    assert!(told.contains(&1), "it was not seen before it was committed: {told:?}");
    assert!(told.contains(&4) && told.contains(&5), "{told:?}");
    assert_eq!(changes(&client, &cursor, 2).await.0, Vec::<i64>::new(), "and that was all");
    worker.drain().await;
}

/// It fails in the function itself, and not for want of one.
#[tokio::test]
async fn a_worker_of_the_version_before_finds_the_commit_it_knows() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let arguments = ["null"; 40].join(", ");
    let call = format!("select hansom.commit(gen_random_uuid(), 0, 1, {arguments})");
    let error = sqlx::query(sqlx::AssertSqlSafe(call)).execute(&sql).await.unwrap_err();
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("HS001"), "{error}");
}
