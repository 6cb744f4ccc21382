//! Partitions change hands: by agreement, and after a kill -9.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hansom_core::{Ctx, Never, Status, Workflow, Workflows};
use hansom_engine::{Client, Settings, Worker, connect};
use hansom_postgres::testing::TestDatabase;

use crate::bank::shut;
use crate::crew::{
    Books, Dangerous, LEASE, Process, WAITING, audit, count, held, shared_out, shares, sql, until,
};
use crate::kit::{Arrive, Name, Ride, Roll, SOON, Trip, World, fresh, registry, worker};
use crate::plan::worker_of;
use crate::stage::Stage;

const AT_ONCE: Ride = Ride { patience_ms: 0 };
const PATIENT: Ride = Ride { patience_ms: 600_000 };

/// Where a lease is what is measured: long beside all that this machine does meanwhile.
const LONG: Duration = Duration::from_secs(4);

async fn worker_with(database: &TestDatabase, lease: Duration, world: &World) -> (Worker, Client) {
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease, ..Settings::default() };
    let worker = Worker::start(pool, registry(world), settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

#[tokio::test]
async fn workers_share_the_partitions_and_hand_them_over_at_once_when_they_drain() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker_with(&database, LONG, &world).await;
    shared_out(&sql, &[16]).await;
    let ids: Vec<_> = (0..60).map(|n| format!("t{n}")).collect();
    join_all(ids.iter().map(|id| client.start::<Trip>(id, &PATIENT)))
        .await
        .into_iter()
        .for_each(|started| assert!(!started.unwrap().existing));
    until("all are charged", async || world.count("charge") == 60).await;
    let (two, _) = worker_with(&database, LONG, &world).await;
    shared_out(&sql, &[8, 8]).await;
    let (three, last) = worker_with(&database, LONG, &world).await;
    shared_out(&sql, &[5, 5, 6]).await;
    let before = world.attempts();
    let begun = Instant::now();
    one.drain().await;
    shared_out(&sql, &[8, 8]).await;
    assert!(begun.elapsed() < LONG, "at once, and not after a lease: {:?}", begun.elapsed());
    two.drain().await;
    shared_out(&sql, &[16]).await;
    assert_eq!(world.attempts(), before, "what was finished does not run again");
    for id in &ids {
        last.signal(id, &Arrive, None).await.unwrap();
    }
    for id in &ids {
        assert_eq!(last.result(id, SOON).await.unwrap().status, Status::Completed);
    }
    assert_eq!((world.count("charge"), world.count("notify"), world.attempts()), (60, 60, 120));
    let charged = "select count(*) from hansom.event where what ? 'attempt_lost'";
    assert_eq!(count(&sql, charged).await, 0, "no attempt is charged");
    audit(&sql).await;
    three.drain().await;
    assert!(shares(&sql).await.is_empty());
}

#[tokio::test]
async fn partitions_are_handed_over_only_when_what_was_written_is_committed() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    shared_out(&sql, &[16]).await;
    let mut slow = held(&sql).await;
    sqlx::query("select from hansom.fence for update").execute(&mut *slow).await.unwrap();
    let starts = (0..32).map(|n| {
        let client = client.clone();
        // Without attempts, which would be waited for as well.
        tokio::spawn(async move { client.start::<Roll>(&format!("r{n}"), &1).await })
    });
    let starts: Vec<_> = starts.collect();
    until("a commit is in flight", async || count(&sql, WAITING).await > 0).await;
    let (two, _) = worker(&database, &world).await;
    let beats = "select count(*) from hansom.worker w where heartbeat_at > (
        select max(started_at) from hansom.worker) + interval '1 s'";
    until("each has looked around more than once", async || count(&sql, beats).await == 2).await;
    assert_eq!(shares(&sql).await.into_values().collect::<Vec<_>>(), [16]);
    slow.commit().await.unwrap();
    shared_out(&sql, &[8, 8]).await;
    assert!(join_all(starts).await.into_iter().all(|start| !start.unwrap().unwrap().existing));
    for id in (0..32).map(|n| format!("r{n}")) {
        client.signal(&id, &Name(id.clone()), None).await.unwrap();
        assert_eq!(client.result(&id, SOON).await.unwrap().status, Status::Completed);
    }
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn an_attempt_under_way_is_waited_for_when_a_worker_drains() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker_with(&database, LONG, &world).await;
    world.slow(700);
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    until("the charge is under way", async || world.attempts() == 1).await;
    let (two, other) = worker_with(&database, LONG, &world).await;
    one.drain().await;
    assert_eq!(other.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(world.attempts(), 2, "one charge, one notification");
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn an_attempt_that_outlives_the_drain_is_made_again_and_not_charged() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let drain = Duration::from_millis(100);
    let settings = Settings { lease: LEASE, drain, ..Settings::default() };
    let pool = connect(database.url(), 4).await.unwrap();
    let one = Worker::start(pool, registry(&world), settings).await.unwrap();
    world.slow(60_000);
    one.client().start::<Trip>("t1", &AT_ONCE).await.unwrap();
    until("the charge is under way", async || world.attempts() == 1).await;
    one.drain().await;
    world.slow(0);
    let (two, client) = worker(&database, &world).await;
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((world.attempts(), world.number("charge")), (3, Some(1)));
    let charged = "select count(*) from hansom.event where what ? 'attempt_lost'";
    assert_eq!(count(&sql, charged).await, 0, "a drain is not a loss");
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_killed_worker_is_taken_over_within_two_leases_and_every_saga_ends() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let books = Books::open(&sql).await;
    // Whoever passes this waits for the test.
    for statement in [
        "create function wait() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock_shared(7); return new; end $$",
        "create trigger wait before insert on effect for each row
         when (new.name = 'notify') execute function wait()",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    let process = || Process::spawn_with(&database, LONG);
    let mut crew = vec![process(), process()];
    shared_out(&sql, &[8, 8]).await;
    // One of another lease would bury them.
    let (starter, client) = worker_with(&database, LONG, &world).await;
    starter.drain().await;
    shared_out(&sql, &[8, 8]).await;
    let mut started = 0;
    for _ in 0..3 {
        let ids: Vec<_> = (started..started + 150).map(|n| format!("t{n}")).collect();
        started += ids.len();
        let charges = "select count(*) from effect where name = 'charge'";
        let before = count(&sql, charges).await;
        let gate = shut(&sql).await;
        foreign_starts(&sql, Trip::NAME, &ids).await;
        // Each of the two has four connections for its effects.
        until("some are under way", async || {
            count(&sql, charges).await > before + 5 && count(&sql, WAITING).await > 4
        })
        .await;
        let killed = Instant::now();
        let open = count(&sql, "select count(*) from hansom.workflow where status < 3").await;
        assert!(open >= 150, "it is killed in the middle of its work");
        crew.remove(0).kill();
        gate.rollback().await.unwrap();
        shared_out(&sql, &[16]).await;
        assert!(killed.elapsed() < 2 * LONG + LONG / 2, "took {:?}", killed.elapsed());
        crew.push(process());
        shared_out(&sql, &[8, 8]).await;
    }
    until("all are closed", async || {
        count(&sql, "select count(*) from hansom.workflow where status < 3").await == 0
    })
    .await;
    let all = count(&sql, "select count(*) from hansom.workflow").await;
    assert_eq!(usize::try_from(all).unwrap(), started);
    let lost = count(&sql, "select count(*) from hansom.event where what ? 'attempt_lost'").await;
    println!("{started} sagas, {lost} attempts lost with their worker");
    books.balance().await;
    audit(&sql).await;
    assert_eq!(client.describe("t0").await.unwrap().status, Status::Completed);
}

/// As another process starts them, all in one transaction.
async fn foreign_starts(sql: &sqlx::PgPool, workflow_type: &str, ids: &[String]) {
    let started = sqlx::query(
        "select hansom.start(
             ((('x' || encode(substr(sha256(convert_to('default', 'UTF8') || '\\x00' ||
               convert_to(id, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint & 4294967295) % 16)::int,
             'default', id, 1, gen_random_uuid(), $2,
             '[{\"started\":{\"input\":{\"patience_ms\":0}}}]', null)
         from unnest($1) as i (id)",
    );
    let rows = started.bind(ids).bind(workflow_type).execute(sql).await.unwrap().rows_affected();
    assert_eq!(usize::try_from(rows).unwrap(), ids.len());
}

#[tokio::test]
async fn a_run_that_takes_its_worker_down_five_times_is_parked_and_others_go_on() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let books = Books::open(&sql).await;
    let (starter, client) = worker(&database, &World::default()).await;
    starter.drain().await;
    let mut process = Process::spawn(&database);
    let mut lives = 1;
    foreign_starts(&sql, Dangerous::NAME, &["poison".to_owned()]).await;
    until("it is parked", async || {
        if process.is_gone() {
            process = Process::spawn(&database);
            lives += 1;
            // Another saga is there in every life, and none is in its way.
            foreign_starts(&sql, Trip::NAME, &[format!("t{lives}")]).await;
        }
        client.describe("poison").await.unwrap().status == Status::Stuck
    })
    .await;
    assert_eq!(lives, 6, "five workers are lost, and the sixth goes on");
    let stuck = client.describe("poison").await.unwrap();
    assert_eq!(stuck.now.stuck.unwrap().reason, "poison");
    assert_eq!(stuck.now.activities[0].attempt, 5);
    for life in 2..=lives {
        let outcome = client.result(&format!("t{life}"), SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
    }
    client.cancel("poison", Some("enough")).await.unwrap();
    assert_eq!(client.result("poison", SOON).await.unwrap().status, Status::Cancelled);
    assert!(!process.is_gone(), "it is undone without being tried again");
    assert_eq!(count(&sql, "select count(*) from effect where name = 'refund'").await, 1);
    audit(&sql).await;
    drop(books);
}

/// Weighs what it is given.
struct Weigh;
impl Workflow for Weigh {
    const NAME: &'static str = "weigh";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = String;
    type Output = usize;
    type Error = Never;

    async fn run(_: Ctx, ballast: String) -> Result<usize, Never> {
        Ok(ballast.len())
    }
}

/// Fifty megabytes, of which no worker takes more than a part at once.
#[tokio::test]
async fn runs_that_are_heavy_are_loaded_in_parts_and_none_is_left_out() {
    for (found_by, only) in [
        ("what is hot", "delete from hansom.inbox"),
        ("its messages", "update hansom.workflow set hot = false"),
    ] {
        let database = fresh().await;
        let sql = sql(database.url()).await;
        let heavy =
            "select hansom.start_workflow('w' || n, 'weigh', to_jsonb(repeat('x', 2000000)))
            from generate_series(1, 25) n";
        sqlx::query(heavy).execute(&sql).await.unwrap();
        sqlx::query(only).execute(&sql).await.unwrap();
        let workflows = Workflows::default().with::<Weigh>();
        let (worker, client) = worker_of(database.url(), &Stage::default(), workflows).await;
        for n in 1..=25 {
            let outcome = client.result(&format!("w{n}"), SOON).await.expect(found_by);
            assert_eq!(outcome.output.unwrap().get(), "2000000");
        }
        audit(&sql).await;
        worker.drain().await;
    }
}
