//! Attempts that are made elsewhere, by whoever claims them.

use std::time::{Duration, Instant};

use hansom_core::{
    Activity, ActivityError, ActivityOptions, Ctx, Direction, Handlers, Harmless, Never, Payload,
    Status, Workflow, Workflows,
};
use hansom_engine::{
    ClaimRequest, Client, Registry, Settings, Task, TaskError, TaskToken, Worker, connect,
};
use hansom_postgres::testing::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::crew::{LEASE, Process, WAITING, audit, count, held, parent, shared_out, sql, until};
use crate::kit::{Ride, SOON, Trip, World, fresh, remote_registry};

pub(crate) const AT_ONCE: Ride = Ride { patience_ms: 0 };
const PATIENT: Ride = Ride { patience_ms: 600_000 };

/// A worker that performs nothing of that itself, and would wait long for what it does.
pub(crate) async fn worker(
    database: &TestDatabase,
    world: &World,
    remote: &[&str],
) -> (Worker, Client) {
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(pool, remote_registry(world, remote), settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

pub(crate) fn asking(queue: &str, limit: u32, wait: Duration) -> ClaimRequest {
    let (queues, worker) = (vec![queue.to_owned()], "tests".to_owned());
    ClaimRequest { queues, worker, limit, wait }
}

/// The one that is waited for.
pub(crate) async fn claim(client: &Client, queue: &str) -> Task {
    let mut tasks = client.claim_tasks(&asking(queue, 1, SOON)).await.unwrap();
    assert_eq!(tasks.len(), 1, "one of {queue} is claimed in time");
    tasks.remove(0)
}

pub(crate) fn json(value: impl Serialize) -> Payload {
    Payload::of(&value).unwrap()
}

/// A token that went over the wire.
fn carried(token: &TaskToken) -> TaskToken {
    token.to_string().parse().unwrap()
}

pub(crate) const TASKS: &str = "select count(*) from hansom.task";

#[tokio::test]
async fn a_step_is_performed_by_whoever_claims_it() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world, &["charge", "notify"]).await;
    let started = client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let task = claim(&client, "charge").await;
    assert_eq!((task.workflow_id.as_str(), task.run), ("t1", started.run));
    assert_eq!((task.activity.as_str(), task.queue.as_str()), ("charge", "charge"));
    assert_eq!((task.seq, task.attempt, task.direction), (0, 1, Direction::Do));
    assert_eq!(task.idempotency_key, format!("{}/0/do", started.run));
    assert_eq!((task.request.get(), task.details), ("null", None));
    client.complete_task(&carried(&task.token), json("paid elsewhere")).await.unwrap();
    let again = client.complete_task(&task.token, json("twice")).await;
    assert!(matches!(again, Err(TaskError::Lost)), "{again:?}");
    let task = claim(&client, "notify").await;
    client.complete_task(&task.token, json(())).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.output.unwrap().get(), r#""paid elsewhere""#);
    assert_eq!(world.attempts(), 0, "nothing is performed here");
    until("nothing is left of it", async || count(&sql, TASKS).await == 0).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn an_attempt_elsewhere_outlives_a_drain_that_does_not_wait_for_it() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world, &["charge"]).await;
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let task = claim(&client, "charge").await;
    let begun = Instant::now();
    one.drain().await;
    assert!(begun.elapsed() < SOON / 2, "it does not wait: {:?}", begun.elapsed());
    let (two, client) = worker(&database, &world, &["charge"]).await;
    client.complete_task(&task.token, json("paid")).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    let lost = "select count(*) from hansom.event where what ? 'attempt_lost'";
    assert_eq!(count(&sql, lost).await, 0);
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn what_was_offered_elsewhere_is_taken_back_by_whoever_performs_it_here() {
    for hot in [true, false] {
        let (database, world) = (fresh().await, World::default());
        let sql = sql(database.url()).await;
        let (one, client) = worker(&database, &world, &["charge"]).await;
        for id in ["t1", "t2"] {
            client.start::<Trip>(id, &AT_ONCE).await.unwrap();
        }
        until("both are offered", async || count(&sql, TASKS).await == 2).await;
        let held = claim(&client, "charge").await;
        one.drain().await;
        let cached = format!("update hansom.workflow set hot = {hot}");
        sqlx::query(sqlx::AssertSqlSafe(cached)).execute(&sql).await.unwrap();
        let (two, client) = worker(&database, &world, &[]).await;
        for id in ["t1", "t2"] {
            let outcome = client.result(id, SOON).await.unwrap();
            assert_eq!(outcome.status, Status::Completed, "{id}, hot: {hot}");
        }
        let late = client.complete_task(&held.token, json("paid elsewhere")).await;
        assert!(matches!(late, Err(TaskError::Lost)), "{late:?}");
        until("nothing is left of it", async || count(&sql, TASKS).await == 0).await;
        audit(&sql).await;
        two.drain().await;
    }
}

#[tokio::test]
async fn an_attempt_elsewhere_outlives_the_kill_of_its_owner_and_nobody_is_charged() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let process = Process::of(&database, "remote::a_process_that_offers");
    until("it is offered", async || count(&sql, TASKS).await == 1).await;
    let claim = "select part || '.' || run || '.' || seq || '.' || token || '.' || activity
        from hansom.claim_tasks(array['charge'], 'sql', 1)";
    let token: String = sqlx::query_scalar(claim).fetch_one(&sql).await.unwrap();
    let row = "select xmin::text || ' ' || ctid::text from hansom.task";
    let before: String = sqlx::query_scalar(row).fetch_one(&sql).await.unwrap();
    process.kill();
    let (two, client) = worker(&database, &world, &["charge"]).await;
    let owned = "select count(*) from hansom.partition where owner is not null";
    let workers = "select count(*) from hansom.worker";
    until("all is taken over", async || {
        count(&sql, workers).await == 1 && count(&sql, owned).await == 16
    })
    .await;
    // Whatever the new owner does with what it has taken over, it does before this.
    client.start::<Trip>("t2", &AT_ONCE).await.unwrap();
    until("another is offered", async || count(&sql, TASKS).await == 2).await;
    let first = "select xmin::text || ' ' || ctid::text from hansom.task where state = 1";
    let after: String = sqlx::query_scalar(first).fetch_one(&sql).await.unwrap();
    assert_eq!(after, before, "nobody has offered it anew");
    client.complete_task(&token.parse().unwrap(), json("paid")).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    let lost =
        "select count(*) from hansom.event where what ?| array['attempt_lost', 'attempt_failed']";
    assert_eq!(count(&sql, lost).await, 0);
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of the test above"]
async fn a_process_that_offers() {
    let Some(url) = parent() else { return };
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let registry = remote_registry(&World::default(), &["charge"]);
    let worker = Worker::start(sql(&url).await, registry, settings).await.unwrap();
    worker.client().start::<Trip>("t1", &AT_ONCE).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_nobody_has_claimed_is_withdrawn_when_its_saga_is_cancelled() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world, &["charge"]).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    until("it is offered", async || count(&sql, TASKS).await == 1).await;
    client.cancel("t1", None).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!(world.count("refund"), 1, "whether it happened is not known, so it is voided");
    let none = client.claim_tasks(&asking("charge", 9, Duration::ZERO)).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn what_is_given_back_while_its_saga_unwinds_is_withdrawn_as_well() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world, &["charge"]).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    until("it is offered", async || count(&sql, TASKS).await == 1).await;
    let mut gate = sql.acquire().await.unwrap();
    for statement in [
        "create function wait() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock_shared(7); return new; end $$",
        "create trigger wait before update on hansom.task for each row
         when (old.state = 0 and new.state = 1) execute function wait()",
        "select pg_advisory_lock(7)",
    ] {
        sqlx::query(statement).execute(&mut *gate).await.unwrap();
    }
    let asks = tokio::spawn({
        let client = client.clone();
        async move { claim(&client, "charge").await }
    });
    let claims = "select count(*) from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())";
    until("it is being claimed", async || count(&sql, claims).await == 1).await;
    asks.abort();
    client.cancel("t1", None).await.unwrap();
    let recalls = "select count(*) from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query like '%hansom.recall_tasks(%'
        and pid <> pg_backend_pid()";
    until("it is being recalled", async || count(&sql, recalls).await == 1).await;
    sqlx::query("select pg_advisory_unlock(7)").execute(&mut *gate).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!(world.count("refund"), 1, "whether it happened is not known, so it is voided");
    audit(&sql).await;
    worker.drain().await;
}

/// Of a run that nobody had in memory, so that the next owner would not have looked at it.
#[tokio::test]
async fn what_an_owner_was_killed_before_it_could_withdraw_the_next_one_withdraws() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world, &["charge"]).await;
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    until("it is offered", async || count(&sql, TASKS).await == 1).await;
    one.drain().await;
    for statement in [
        "update hansom.workflow set hot = false",
        "create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'not yet'; end $$",
        "create trigger refuse before update on hansom.task for each row
         when (new.cancelled) execute function refuse()",
        "insert into hansom.inbox (part, run, message, namespace, workflow_id, run_no)
         select part, run, 'cancel', namespace, workflow_id, run_no from hansom.workflow",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    let connections = "select count(*) from pg_stat_activity where datname = current_database()";
    let before = count(&sql, connections).await;
    let process = Process::of(&database, "remote::a_process_that_offers");
    let unwinds = "select count(*) from hansom.workflow where status = 1";
    until("it unwinds", async || count(&sql, unwinds).await == 1).await;
    process.kill();
    // What it had sent is carried out all the same.
    until("its connections are gone", async || count(&sql, connections).await <= before).await;
    sqlx::query("drop trigger refuse on hansom.task").execute(&sql).await.unwrap();
    let waiting = "select count(*) from hansom.task where state = 0 and not cancelled";
    assert_eq!(count(&sql, waiting).await, 1, "nobody has withdrawn it yet");
    let (two, client) = worker(&database, &world, &["charge"]).await;
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!(world.count("refund"), 1);
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn whoever_performs_a_step_of_a_cancelled_saga_is_told_and_waited_for() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world, &["charge", "refund"]).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    let task = claim(&client, "charge").await;
    assert!(!client.beat_task(&task.token, None).await.unwrap().cancel_requested);
    client.cancel("t1", None).await.unwrap();
    until("it is told", async || {
        client.beat_task(&task.token, None).await.unwrap().cancel_requested
    })
    .await;
    assert_eq!(client.describe("t1").await.unwrap().status, Status::Compensating);
    client.complete_task(&task.token, json("paid after all")).await.unwrap();
    let undo = claim(&client, "refund").await;
    assert_eq!((undo.direction, undo.seq), (Direction::Undo, 0));
    assert_eq!(undo.idempotency_key, format!("{}/0/undo", task.run));
    assert!(!client.beat_task(&undo.token, None).await.unwrap().cancel_requested);
    client.complete_task(&undo.token, json(())).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn partitions_are_handed_over_only_when_what_was_committed_is_offered() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, starter) = worker(&database, &world, &["charge"]).await;
    shared_out(&sql, &[16]).await;
    let mut slow = held(&sql).await;
    sqlx::query("lock table hansom.task in share mode").execute(&mut *slow).await.unwrap();
    for n in 0..16 {
        starter.start::<Trip>(&format!("t{n}"), &AT_ONCE).await.unwrap();
    }
    until("an offer is on its way", async || count(&sql, WAITING).await > 0).await;
    let (two, client) = worker(&database, &world, &["charge"]).await;
    // Longer than attempts under way are waited for.
    let early = tokio::time::timeout(Duration::from_secs(8), shared_out(&sql, &[8, 8])).await;
    assert!(early.is_err(), "what is on its way is waited for, however long");
    slow.commit().await.unwrap();
    shared_out(&sql, &[8, 8]).await;
    for _ in 0..16 {
        let task = claim(&client, "charge").await;
        assert_eq!(task.attempt, 1);
        client.complete_task(&task.token, json("paid")).await.unwrap();
    }
    for n in 0..16 {
        let outcome = client.result(&format!("t{n}"), SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
    }
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

/// May take as long as it likes.
#[derive(Serialize, Deserialize)]
struct Endless;
impl Activity for Endless {
    const NAME: &'static str = "endless";
    type Output = ();
    type Error = Never;
    fn options() -> ActivityOptions {
        let (start_to_close, heartbeat) = (Duration::MAX, Some(Duration::MAX));
        ActivityOptions { start_to_close, heartbeat, ..ActivityOptions::default() }
    }
}
impl Harmless for Endless {}

struct Patience;
impl Workflow for Patience {
    const NAME: &'static str = "patience";
    const ACTIVITIES: &'static [&'static str] = &[Endless::NAME];
    type Input = ();
    type Output = ();
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        ctx.run(Endless).await
    }
}

#[tokio::test]
async fn an_attempt_that_may_take_for_ever_keeps_its_queue_from_nobody() {
    let database = fresh().await;
    let handlers = Handlers::default().remote_from::<Endless>("all");
    let registry = Registry::new(Workflows::default().with::<Patience>(), handlers).unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(sql(database.url()).await, registry, settings).await.unwrap();
    let client = worker.client();
    client.start::<Patience>("p", &()).await.unwrap();
    let task = claim(&client, "all").await;
    client.beat_task(&task.token, None).await.unwrap();
    client.complete_task(&task.token, json(())).await.unwrap();
    assert_eq!(client.result("p", SOON).await.unwrap().status, Status::Completed);
    worker.drain().await;
}
