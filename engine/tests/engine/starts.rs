//! One id, many starters, and owners elsewhere.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hansom_core::{Payload, Status};
use hansom_engine::{ClientError, IdReuse, StartRequest};

use crate::crew::{audit, count, shared_out, sql, until};
use crate::kit::{Arrive, Late, Ride, SOON, Trip, World, fresh, worker};

const AT_ONCE: Ride = Ride { patience_ms: 0 };
const PATIENT: Ride = Ride { patience_ms: 600_000 };

#[tokio::test]
async fn fifty_starts_through_two_workers_are_one_saga_each() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &world).await, worker(&database, &world).await);
    shared_out(&sql, &[8, 8]).await;
    for id in (0..10).map(|n| format!("t{n}")) {
        let starts = (0..50).map(|n| {
            let client = if n % 2 == 0 { &here } else { &there };
            client.start::<Trip>(&id, &AT_ONCE)
        });
        let started = join_all(starts).await;
        let runs: BTreeSet<_> = started.iter().map(|s| s.as_ref().unwrap().run).collect();
        assert_eq!(runs.len(), 1, "everybody hears of the same run");
        assert_eq!(started.iter().filter(|s| !s.as_ref().unwrap().existing).count(), 1);
        here.result(&id, SOON).await.unwrap();
    }
    assert_eq!(count(&sql, "select count(*) from hansom.workflow").await, 10);
    assert_eq!((world.count("charge"), world.count("notify")), (10, 10));
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

/// What comes too late must have no effects, also by what it asks for before
/// anybody knows that it is too late.
#[tokio::test]
async fn a_start_that_comes_too_late_charges_nobody() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start::<Late>("t1", &0).await.unwrap();
    client.result("t1", SOON).await.unwrap();
    for _ in 0..30 {
        let again = client.start::<Late>("t1", &0).await.unwrap();
        assert!(again.existing);
    }
    client.start::<Late>("t2", &0).await.unwrap();
    client.result("t2", SOON).await.unwrap();
    assert_eq!(world.count("charge"), 2, "one charge for each id");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn start_signal_and_cancel_work_through_a_worker_that_does_not_own_it() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &world).await, worker(&database, &world).await);
    shared_out(&sql, &[8, 8]).await;
    let ids: Vec<_> = (0..40).map(|n| format!("t{n}")).collect();
    for (n, id) in ids.iter().enumerate() {
        // Every id is foreign to one of the two: start through both in turn.
        let (starter, other) = if n % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let started = starter.start::<Trip>(id, &PATIENT).await.unwrap();
        assert_eq!(other.start::<Trip>(id, &PATIENT).await.unwrap().run, started.run);
        if n % 4 < 2 {
            other.signal(id, &Arrive, Some("s")).await.unwrap();
            let again = starter.signal(id, &Arrive, Some("s")).await;
            assert!(matches!(again, Ok(()) | Err(ClientError::Closed { .. })), "{again:?}");
        } else {
            other.cancel(id, None).await.unwrap();
        }
    }
    for (n, id) in ids.iter().enumerate() {
        let expected = if n % 4 < 2 { Status::Completed } else { Status::Cancelled };
        assert_eq!(here.result(id, SOON).await.unwrap().status, expected);
        assert_eq!(there.describe(id).await.unwrap().status, expected);
    }
    let foreign = "select count(*) from hansom.history where event = 0
        and jsonb_array_length(events::jsonb) = 1";
    assert!(count(&sql, foreign).await > 5, "some were started from elsewhere");
    assert_eq!(world.count("notify"), 20);
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn an_id_is_used_again_by_one_of_many() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &world).await, worker(&database, &world).await);
    shared_out(&sql, &[8, 8]).await;
    let request = || StartRequest {
        id_reuse: IdReuse::Allow,
        ..StartRequest::new("trip", "t1", Payload::of(&PATIENT).unwrap())
    };
    for life in 1..=5 {
        let starts = (0..20).map(|n| if n % 2 == 0 { &here } else { &there }.start_raw(request()));
        let started = join_all(starts).await;
        let runs: BTreeSet<_> = started.iter().map(|s| s.as_ref().unwrap().run).collect();
        assert_eq!(runs.len(), 1);
        assert_eq!(count(&sql, "select count(*) from hansom.workflow").await, life);
        here.signal("t1", &Arrive, None).await.unwrap();
        until("it is closed", async || {
            here.describe("t1").await.unwrap().status == Status::Completed
        })
        .await;
    }
    assert_eq!(world.count("charge"), 5);
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_stops_nobody_else() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    let label = |key: &str, value: &str| StartRequest {
        labels: [(key.to_owned(), value.to_owned())].into(),
        ..StartRequest::new("trip", "t2", Payload::of(&AT_ONCE).unwrap())
    };
    for (key, value) in [("a", "\0"), ("\0", "a"), ("a", &"x".repeat(256))] {
        let refused = client.start_raw(label(key, value)).await.unwrap_err();
        assert!(matches!(refused, ClientError::InvalidInput(_)), "{refused}");
    }
    client.start_raw(label("a", "é")).await.unwrap();
    client.result("t2", SOON).await.unwrap();
    client.cancel("t1", Some("a \0 b")).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    let workers = "select count(*) from hansom.worker";
    assert_eq!(count(&sql, workers).await, 1);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_worker_of_the_version_before_can_still_start_and_commit() {
    let database = fresh().await;
    let pool = hansom_engine::connect(database.url(), 2).await.unwrap();
    let old = "select hansom.start(0, 'default', 'old', 1, gen_random_uuid(), 'trip', '[]', null)";
    let started: bool = sqlx::query_scalar(old).fetch_one(&pool).await.unwrap();
    let again: bool = sqlx::query_scalar(old).fetch_one(&pool).await.unwrap();
    assert!(started && !again);
    // Forty arguments, as it knew them: a batch with nothing in it is told that it is fenced.
    let nothing = ["'{}'"; 37].join(", ");
    let commit = format!("select hansom.commit(gen_random_uuid(), 0, 1, {nothing})");
    let refused = sqlx::query(sqlx::AssertSqlSafe(commit)).execute(&pool).await.unwrap_err();
    let code = refused
        .as_database_error()
        .and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    assert_eq!(code.as_deref(), Some("HS001"), "{refused}");
    let history = "select count(*) from hansom.history";
    assert_eq!(sqlx::query_scalar::<_, i64>(history).fetch_one(&pool).await.unwrap(), 1);
}
