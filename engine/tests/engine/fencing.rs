//! Who is buried writes nothing any more, whatever is on its way.

use hansom_core::Status;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::crew::{audit, count, held, shared_out, shares, sql, until};
use crate::kit::{Arrive, Ride, SOON, Trip, World, fresh, worker};

const PATIENT: Ride = Ride { patience_ms: 600_000 };

/// A worker that only exists as rows, with all partitions.
async fn paper_worker(sql: &PgPool) -> Uuid {
    let worker = Uuid::now_v7();
    for statement in [
        "insert into hansom.worker (worker_id) values ($1)",
        "insert into hansom.fence (worker_id, lane) values ($1, 0)",
        "update hansom.partition set owner = $1, epoch = epoch + 1",
    ] {
        sqlx::query(statement).bind(worker).execute(sql).await.unwrap();
    }
    worker
}

async fn age(sql: &PgPool, worker: Uuid) {
    let statement = "update hansom.worker set heartbeat_at = heartbeat_at - interval '1 h' where worker_id = $1";
    sqlx::query(statement).bind(worker).execute(sql).await.unwrap();
}

/// One commit of lane 0: a new run with its first event. Answers what came too late.
async fn commit(
    connection: &mut PgConnection,
    worker: Uuid,
    batch: i64,
    id: &str,
    run: Uuid,
) -> Result<Option<Vec<Uuid>>, sqlx::Error> {
    sqlx::query_scalar(
        "select hansom.commit($1, 0, $2,
             array[3], array['default'], array[$3], array[1], array[$4],
             array['trip'], array[true], array[clock_timestamp()], array[null::text],
             array[3], array[$4], array[0], array[clock_timestamp()],
             array['[{\"started\":{\"input\":{\"patience_ms\":0}}}]'],
             '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
             array[3], array[clock_timestamp()], array[$4], array[7],
             array['default'], array[$3], array[1],
             '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    )
    .bind(worker)
    .bind(batch)
    .bind(id)
    .bind(run)
    .fetch_one(connection)
    .await
}

async fn bury(connection: &mut PgConnection, worker: Uuid) -> bool {
    let burial = sqlx::query_scalar("select hansom.bury($1, interval '1 min')").bind(worker);
    burial.fetch_one(connection).await.unwrap()
}

fn is_fenced(result: Result<Option<Vec<Uuid>>, sqlx::Error>) -> bool {
    let error = result.unwrap_err();
    error.as_database_error().unwrap().code().as_deref() == Some("HS001")
}

/// Waits until a call of that function waits for somebody else's row.
async fn waits(sql: &PgPool, function: &str) {
    until("one waits for the other", async || {
        sqlx::query_scalar(
            "select exists (
                 select from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'
                   and query like 'select hansom.' || $1 || '(%')",
        )
        .bind(function)
        .fetch_one(sql)
        .await
        .unwrap()
    })
    .await;
}

async fn rows(sql: &PgPool) -> [i64; 3] {
    let mut rows = [0; 3];
    for (rows, query) in rows.iter_mut().zip([
        "select count(*) from hansom.workflow",
        "select count(*) from hansom.history",
        "select count(*) from hansom.alarm",
    ]) {
        *rows = count(sql, query).await;
    }
    rows
}

#[tokio::test]
async fn a_burial_waits_for_the_commit_in_flight_and_sees_what_it_wrote() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, run) = (paper_worker(&sql).await, Uuid::now_v7());
    let mut writing = held(&sql).await;
    commit(&mut writing, worker, 1, "t1", run).await.unwrap();
    age(&sql, worker).await;
    let mut grave = held(&sql).await;
    let burial = tokio::spawn(async move {
        // It gives up by itself after a while.
        while !bury(&mut grave, worker).await {}
        // In the same transaction: what it waited for is seen at the end of the wait.
        let seen: i64 = sqlx::query_scalar("select count(*) from hansom.history")
            .fetch_one(&mut *grave)
            .await
            .unwrap();
        grave.commit().await.unwrap();
        seen
    });
    waits(&sql, "bury").await;
    assert!(!burial.is_finished());
    assert_eq!(shares(&sql).await[&worker], 16, "nobody can claim while it waits");
    writing.commit().await.unwrap();
    assert_eq!(burial.await.unwrap(), 1);
    assert!(shares(&sql).await.is_empty());
    let mut late = sql.acquire().await.unwrap();
    assert!(is_fenced(commit(&mut late, worker, 2, "t2", Uuid::now_v7()).await));
    assert_eq!(rows(&sql).await, [1, 1, 1]);
}

#[tokio::test]
async fn a_commit_waits_for_the_burial_under_way_and_is_refused() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let worker = paper_worker(&sql).await;
    age(&sql, worker).await;
    let mut grave = held(&sql).await;
    assert!(bury(&mut grave, worker).await);
    let committing = spawn_commit(&sql, worker).await;
    waits(&sql, "commit").await;
    assert!(!committing.is_finished());
    grave.commit().await.unwrap();
    assert!(is_fenced(committing.await.unwrap()));
    assert_eq!(rows(&sql).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_burial_that_is_rolled_back_lets_the_commit_through() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let worker = paper_worker(&sql).await;
    age(&sql, worker).await;
    let mut grave = held(&sql).await;
    assert!(bury(&mut grave, worker).await);
    let committing = spawn_commit(&sql, worker).await;
    waits(&sql, "commit").await;
    grave.rollback().await.unwrap();
    assert_eq!(committing.await.unwrap().unwrap(), None);
    assert_eq!(rows(&sql).await, [1, 1, 1]);
}

async fn spawn_commit(
    sql: &PgPool,
    worker: Uuid,
) -> JoinHandle<Result<Option<Vec<Uuid>>, sqlx::Error>> {
    let mut connection = sql.acquire().await.unwrap();
    tokio::spawn(async move { commit(&mut connection, worker, 1, "t1", Uuid::now_v7()).await })
}

#[tokio::test]
async fn a_commit_repeated_answers_the_same_and_writes_nothing_twice() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, run) = (paper_worker(&sql).await, Uuid::now_v7());
    let mut connection = sql.acquire().await.unwrap();
    for _ in 0..3 {
        assert_eq!(commit(&mut connection, worker, 1, "t1", run).await.unwrap(), None);
        assert_eq!(rows(&sql).await, [1, 1, 1]);
    }
    let late = Uuid::now_v7();
    for _ in 0..3 {
        let lost = commit(&mut connection, worker, 2, "t1", late).await.unwrap();
        assert_eq!(lost, Some(vec![late]), "another start has the id");
        assert_eq!(rows(&sql).await, [1, 1, 1], "nothing of it is kept");
    }
    assert_eq!(commit(&mut connection, worker, 3, "t2", Uuid::now_v7()).await.unwrap(), None);
    for skipped in [1, 2, 5] {
        let result = commit(&mut connection, worker, skipped, "t9", Uuid::now_v7()).await;
        assert!(is_fenced(result), "batch {skipped} is not the next and not the last");
    }
    assert_eq!(rows(&sql).await, [2, 2, 2]);
}

#[tokio::test]
async fn only_who_has_not_been_heard_of_for_a_lease_is_buried_and_only_once() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let worker = paper_worker(&sql).await;
    let mut connection = sql.acquire().await.unwrap();
    assert!(!bury(&mut connection, worker).await, "it lives");
    age(&sql, worker).await;
    let epochs = "select sum(epoch)::bigint from hansom.partition";
    let before = count(&sql, epochs).await;
    assert!(bury(&mut connection, worker).await);
    assert!(!bury(&mut connection, worker).await, "it is buried");
    assert_eq!(count(&sql, epochs).await, before + 16);
    let claimed = sqlx::query("select * from hansom.claim($1, 16)").bind(worker);
    assert!(claimed.fetch_all(&sql).await.unwrap().is_empty(), "the buried claim nothing");
}

/// Buries a living worker while its next commit waits behind the burial.
#[tokio::test]
async fn a_zombie_drops_all_memory_joins_anew_and_nothing_of_its_last_batch_exists() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    shared_out(&sql, &[16]).await;
    let zombie = *shares(&sql).await.keys().next().unwrap();
    for n in 0..20 {
        client.start::<Trip>(&format!("t{n}"), &PATIENT).await.unwrap();
    }
    let timers = "select count(*) from hansom.alarm";
    until("all are charged, and that is kept", async || count(&sql, timers).await == 20).await;
    assert_eq!(world.count("charge"), 20);
    let before = count(&sql, "select count(*) from hansom.history").await;
    let mut grave = held(&sql).await;
    // Its heartbeat waits behind this, as if it were withheld.
    let aged = "update hansom.worker set heartbeat_at = heartbeat_at - interval '1 h'";
    sqlx::query(aged).execute(&mut *grave).await.unwrap();
    until("it is buried", async || bury(&mut grave, zombie).await).await;
    let late = client.clone();
    let start = tokio::spawn(async move { late.start::<Trip>("late", &PATIENT).await.unwrap() });
    for n in 0..20 {
        client.signal(&format!("t{n}"), &Arrive, Some("s")).await.unwrap();
    }
    waits(&sql, "commit").await;
    assert_eq!(count(&sql, "select count(*) from hansom.history").await, before);
    grave.commit().await.unwrap();
    until("it joined anew", async || {
        shares(&sql).await.iter().any(|(worker, share)| *worker != zombie && *share == 16)
    })
    .await;
    assert!(!start.await.unwrap().existing, "a start is answered once it is kept");
    client.signal("late", &Arrive, None).await.unwrap();
    for n in 0..20 {
        let outcome = client.result(&format!("t{n}"), SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
    }
    assert_eq!(client.result("late", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((world.count("charge"), world.count("notify")), (21, 21));
    let zombies = sqlx::query_scalar("select count(*) from hansom.worker where worker_id = $1");
    let zombies: i64 = zombies.bind(zombie).fetch_one(&sql).await.unwrap();
    assert_eq!(zombies, 0);
    audit(&sql).await;
    one.drain().await;
}

/// As the last, but another worker takes the partitions and goes on with them.
#[tokio::test]
async fn what_a_zombie_had_in_memory_goes_on_with_another_worker() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    let (two, _) = worker(&database, &world).await;
    shared_out(&sql, &[8, 8]).await;
    for round in 0..5 {
        let ids: Vec<_> = (0..30).map(|n| format!("t{round}.{n}")).collect();
        let starts = ids.iter().map(|id| client.start::<Trip>(id, &PATIENT));
        let signals = async {
            let victim = *shares(&sql).await.keys().next().unwrap();
            age(&sql, victim).await;
            let mut connection = sql.acquire().await.unwrap();
            until("one is buried", async || {
                age(&sql, victim).await;
                bury(&mut connection, victim).await || !shares(&sql).await.contains_key(&victim)
            })
            .await;
        };
        let (started, ()) =
            futures_util::future::join(futures_util::future::join_all(starts), signals).await;
        assert!(started.iter().all(Result::is_ok), "{started:?}");
        for id in &ids {
            client.signal(id, &Arrive, None).await.unwrap();
        }
        for id in &ids {
            assert_eq!(client.result(id, SOON).await.unwrap().status, Status::Completed);
        }
        shared_out(&sql, &[8, 8]).await;
    }
    assert_eq!((world.count("charge"), world.count("notify")), (150, 150));
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn a_burial_does_not_wait_for_a_commit_that_takes_long_and_succeeds_after_it() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let worker = paper_worker(&sql).await;
    age(&sql, worker).await;
    for lock in [
        "select from hansom.fence where worker_id = $1 for update",
        // As an attempt that is a transaction holds it.
        "select from hansom.partition where owner = $1 and part = 3 for share",
    ] {
        let mut commit = held(&sql).await;
        let held = sqlx::query(lock).bind(worker);
        assert_eq!(held.execute(&mut *commit).await.unwrap().rows_affected(), 1);
        let mut other = sql.acquire().await.unwrap();
        let buried = tokio::time::timeout(SOON / 4, bury(&mut other, worker)).await;
        assert!(!buried.expect("it gives up by itself"), "the commit still holds it");
        assert_eq!(count(&sql, OWNED).await, 16, "nothing was taken");
        let fences = count(&sql, "select count(*) from hansom.fence").await;
        assert_eq!(fences, 1, "and nobody is fenced");
        commit.rollback().await.unwrap();
    }
    assert!(bury(&mut sql.acquire().await.unwrap(), worker).await);
    assert_eq!(count(&sql, OWNED).await, 0);
}

const OWNED: &str = "select count(*) from hansom.partition where owner is not null";
