//! Who holds an attempt that is made elsewhere, for how long, and what it may answer.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hansom_core::{
    Activity, ActivityError, ActivityOptions, Ctx, Handlers, Harmless, Never, RetryPolicy, Status,
    Workflow, Workflows,
};
use hansom_engine::{Client, Registry, Settings, TaskError, Worker, connect};
use hansom_postgres::testing::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::crew::{LAG, LEASE, audit, count, sql, until};
use crate::kit::{SOON, Trip, World, fresh};
use crate::remote::{AT_ONCE, TASKS, claim, json, worker};

fn options() -> ActivityOptions {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(1),
        maximum_attempts: 3,
        ..RetryPolicy::default()
    };
    ActivityOptions { retry, ..ActivityOptions::default() }
}

/// An attempt of it may not take long.
#[derive(Serialize, Deserialize)]
struct Quick;
impl Activity for Quick {
    const NAME: &'static str = "quick";
    type Output = u32;
    type Error = Never;
    fn options() -> ActivityOptions {
        ActivityOptions { start_to_close: Duration::from_secs(2), ..options() }
    }
}
impl Harmless for Quick {}

/// Whoever does it may not be silent for long.
#[derive(Serialize, Deserialize)]
struct Alive;
impl Activity for Alive {
    const NAME: &'static str = "alive";
    type Output = u32;
    type Error = Never;
    fn options() -> ActivityOptions {
        let heartbeat = Some(Duration::from_mins(1));
        ActivityOptions { heartbeat, start_to_close: Duration::from_hours(1), ..options() }
    }
}
impl Harmless for Alive {}

/// It may not wait for long either.
#[derive(Serialize, Deserialize)]
struct Soon;
impl Activity for Soon {
    const NAME: &'static str = "soon";
    type Output = u32;
    type Error = Never;
    fn options() -> ActivityOptions {
        ActivityOptions { schedule_to_close: Some(Duration::from_millis(400)), ..options() }
    }
}
impl Harmless for Soon {}

/// Does one of the three.
struct One;

#[derive(Serialize, Deserialize)]
enum Which {
    Quick,
    Alive,
    Soon,
}

impl Workflow for One {
    const NAME: &'static str = "one";
    const ACTIVITIES: &'static [&'static str] = &[Quick::NAME, Alive::NAME, Soon::NAME];
    type Input = Which;
    type Output = u32;
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, which: Which) -> Result<u32, Self::Error> {
        match which {
            Which::Quick => ctx.run(Quick).await,
            Which::Alive => ctx.run(Alive).await,
            Which::Soon => ctx.run(Soon).await,
        }
    }
}

async fn one(database: &TestDatabase) -> (Worker, Client) {
    let handlers = Handlers::default()
        .remote_from::<Quick>("all")
        .remote_from::<Alive>("all")
        .remote_from::<Soon>("all");
    let registry = Registry::new(Workflows::default().with::<One>(), handlers).unwrap();
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(pool, registry, settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

/// The time of one heartbeat has passed since whoever holds it was heard.
async fn silence(sql: &sqlx::PgPool) {
    let silent = "update hansom.task set expires_at = clock_timestamp() where state = 1";
    assert_eq!(sqlx::query(silent).execute(sql).await.unwrap().rows_affected(), 1);
}

async fn reasons(sql: &sqlx::PgPool) -> Vec<String> {
    let reasons = "select what -> 'attempt_failed' ->> 'reason' from hansom.event
        where what ? 'attempt_failed' order by run, event";
    sqlx::query_scalar(reasons).fetch_all(sql).await.unwrap()
}

#[tokio::test]
async fn whoever_is_too_late_has_lost_it_and_another_does_it() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = one(&database).await;
    client.start::<One>("q", &Which::Quick).await.unwrap();
    let slow = claim(&client, "all").await;
    let next = claim(&client, "all").await;
    assert_eq!((slow.attempt, next.attempt), (1, 2));
    assert_eq!(slow.idempotency_key, next.idempotency_key);
    let late = client.complete_task(&slow.token, json(1)).await;
    assert!(matches!(late, Err(TaskError::Lost)), "{late:?}");
    assert!(matches!(client.beat_task(&slow.token, None).await, Err(TaskError::Lost)));
    let failed = client.fail_task(&slow.token, "too slow", None).await;
    assert!(matches!(failed, Err(TaskError::Lost)), "{failed:?}");
    client.complete_task(&next.token, json(2)).await.unwrap();
    assert_eq!(client.result("q", SOON).await.unwrap().output.unwrap().get(), "2");
    assert_eq!(reasons(&sql).await, ["no answer within 2000ms"]);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn whoever_beats_keeps_it_and_whoever_is_silent_leaves_his_last_words() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = one(&database).await;
    client.start::<One>("a", &Which::Alive).await.unwrap();
    let first = claim(&client, "all").await;
    assert_eq!((first.heartbeat_ms, first.details.clone()), (Some(60_000), None));
    let expiry = "select expires_at from hansom.task where state = 1";
    let mut kept_until: DateTime<Utc> = sqlx::query_scalar(expiry).fetch_one(&sql).await.unwrap();
    let said = 10;
    for details in (1..=said).map(|n| Some(json(n))).chain([None]) {
        let beaten = client.beat_task(&first.token, details.as_ref()).await.unwrap();
        assert!(beaten.expires_at > kept_until, "{beaten:?}");
        kept_until = beaten.expires_at;
    }
    let ahead = "select count(*) from hansom.task where expires_at
        between clock_timestamp() + interval '1 s' and clock_timestamp() + interval '1 min'";
    assert_eq!(count(&sql, ahead).await, 1, "a heartbeat ahead");
    silence(&sql).await;
    let second = claim(&client, "all").await;
    assert_eq!((second.attempt, second.details), (2, Some(json(said))));
    // And whoever never says a word.
    silence(&sql).await;
    let third = claim(&client, "all").await;
    assert_eq!((third.attempt, third.details), (3, Some(json(said))));
    client.complete_task(&third.token, json(said)).await.unwrap();
    assert_eq!(client.result("a", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(reasons(&sql).await, ["no heartbeat within 60000ms"; 2]);
    assert_eq!(count(&sql, "select count(*) from hansom.heartbeat").await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_limit_of_the_whole_step_holds_in_the_queue_too() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = one(&database).await;
    client.start::<One>("s", &Which::Soon).await.unwrap();
    let outcome = client.result("s", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    let error = outcome.error.unwrap();
    assert!(error.get().contains("not done within its schedule_to_close"), "{error:?}");
    until("nothing is left", async || count(&sql, TASKS).await == 0).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_as_its_policy_says_and_not_before_it_was_asked_to() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = one(&database).await;
    client.start::<One>("q", &Which::Quick).await.unwrap();
    let begun = Instant::now();
    let task = claim(&client, "all").await;
    let wish = Duration::from_millis(600);
    client.fail_task(&task.token, "not\0now", Some(wish)).await.unwrap();
    let task = claim(&client, "all").await;
    assert!(begun.elapsed() + LAG >= wish, "{:?}", begun.elapsed());
    client.fail_task(&task.token, &"x".repeat(9_000), None).await.unwrap();
    let task = claim(&client, "all").await;
    assert_eq!(task.attempt, 3);
    client.fail_task(&task.token, "enough", None).await.unwrap();
    let outcome = client.result("q", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Failed, "three attempts and no more");
    assert!(outcome.error.unwrap().get().contains("enough"));
    let reasons = reasons(&sql).await;
    assert_eq!((reasons[0].as_str(), reasons[1].len()), ("not\u{fffd}now", 2_000));
    worker.drain().await;
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused_at_the_door_and_the_claim_is_kept() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world, &["charge", "notify"]).await;
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let task = claim(&client, "charge").await;
    let wrong = client.complete_task(&task.token, json(7)).await.unwrap_err();
    assert!(wrong.to_string().starts_with("the output of `charge` does not fit"), "{wrong}");
    let wrong = client.refuse_task(&task.token, json("a reason")).await.unwrap_err();
    assert!(wrong.to_string().starts_with("the refusal of `charge` does not fit"), "{wrong}");
    let details = json("x".repeat(70_000));
    let large = client.beat_task(&task.token, Some(&details)).await;
    assert!(matches!(large, Err(TaskError::TooLarge { .. })), "{large:?}");
    client.refuse_task(&task.token, json(())).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert_eq!(outcome.error.unwrap().get(), r#"{"refused":null}"#);
    assert_eq!(world.count("refund"), 0, "nothing happened, so nothing is undone");

    client.start::<Trip>("t2", &AT_ONCE).await.unwrap();
    let task = claim(&client, "charge").await;
    client.complete_task(&task.token, json("paid")).await.unwrap();
    let task = claim(&client, "notify").await;
    let never = client.refuse_task(&task.token, json(())).await;
    assert!(matches!(never, Err(TaskError::InvalidAnswer { .. })), "it cannot refuse: {never:?}");
    client.complete_task(&task.token, json(())).await.unwrap();
    assert_eq!(client.result("t2", SOON).await.unwrap().status, Status::Completed);
    worker.drain().await;
}

#[tokio::test]
async fn a_run_that_waits_for_others_leaves_memory_and_its_attempts_are_not_offered_anew() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world, &["charge"]).await;
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    until("it is parked", async || {
        count(&sql, "select count(*) from hansom.workflow where not hot").await == 1
    })
    .await;
    let row = "select xmin::text || ' ' || ctid::text from hansom.task";
    let before: String = sqlx::query_scalar(row).fetch_one(&sql).await.unwrap();
    first.drain().await;
    let (second, client) = worker(&database, &world, &["charge"]).await;
    client.signal::<crate::kit::Arrive>("t1", &crate::kit::Arrive, None).await.unwrap();
    until("it is woken", async || client.describe("t1").await.unwrap().now.events == 3).await;
    let after: String = sqlx::query_scalar(row).fetch_one(&sql).await.unwrap();
    assert_eq!(after, before);
    let hot = "select count(*) from hansom.workflow where hot";
    assert_eq!(count(&sql, hot).await, 0, "there is nothing to do for it here");
    let task = claim(&client, "charge").await;
    client.complete_task(&task.token, json("paid")).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    audit(&sql).await;
    second.drain().await;
}

/// One attempt of a run, as a lane of that worker offers it.
const OFFER: &str = "select hansom.offer($1, 0, array[$2], array[$3], array[0], array[1],
    array['q'], array['default'], array['w'], array[1], array['a'], array[0::smallint], array[0],
    array['key'], array['null'], array[1000], array[null::bigint], array[null::timestamptz],
    '{}', '{}', '{}', '{}')";

#[tokio::test]
async fn only_the_owner_of_a_partition_offers_and_nothing_of_a_closed_run_is_handed_out() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (name, run) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let offer = async |part: i32| -> bool {
        sqlx::query_scalar(OFFER).bind(name).bind(part).bind(run).fetch_one(&sql).await.unwrap()
    };
    assert!(!offer(3).await, "it is buried, or never lived");
    for statement in [
        "insert into hansom.fence (worker_id, lane) values ($1, 0)",
        "update hansom.partition set owner = $1 where part = 3",
    ] {
        sqlx::query(statement).bind(name).execute(&sql).await.unwrap();
    }
    assert!(offer(4).await);
    assert_eq!(count(&sql, TASKS).await, 0, "it is another's partition");
    assert!(offer(3).await && offer(3).await);
    assert_eq!(count(&sql, TASKS).await, 1, "once, however often");
    let claimed = "select count(*) from hansom.claim_tasks(array['q'], 'w', 1)";
    assert_eq!(count(&sql, claimed).await, 0, "there is no such run, or not any more");
    let open = "insert into hansom.workflow
        (part, namespace, workflow_id, run_no, run, type, status, undo, hot, started_at)
        values (3, 'default', 'w', 1, $1, 't', 0, 0, true, now())";
    sqlx::query(open).bind(run).execute(&sql).await.unwrap();
    assert_eq!(count(&sql, claimed).await, 1);
    for statement in [
        "update hansom.task set state = 0, token = null",
        "update hansom.workflow set status = 4, closed_at = now()",
        "delete from hansom.fence",
        "update hansom.partition set owner = null",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    assert_eq!(count(&sql, claimed).await, 0, "it is closed");
    let (worker, _) = one(&database).await;
    until("it is swept", async || count(&sql, TASKS).await == 0).await;
    worker.drain().await;
}
