//! Attempts that take long: who is silent for too long is tried again, and goes on where it was.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handler, Handlers,
    Harmless, Never, RetryPolicy, Status, Workflow, Workflows,
};
use hansom_engine::{Registry, Settings, Worker, connect};
use hansom_postgres::testing::TestDatabase;
use serde::{Deserialize, Serialize};

use crate::crew::{LEASE, Process, audit, count, parent, sql, until};
use crate::kit::{SOON, fresh};

const HEARTBEAT: Duration = Duration::from_secs(2);

/// Something long, and how it goes.
#[derive(Clone, Serialize, Deserialize)]
enum Count {
    /// Says a number, and then nothing more, at the first attempt; ends at the second.
    FallSilent,
    /// Beats faster than it has to, for three heartbeats and until it is told to end.
    Steadily,
    /// Says a number and fails, at the first attempt; ends at the second.
    Fail,
    /// Goes on for ever, in the first worker.
    Endlessly,
}

impl Activity for Count {
    const NAME: &'static str = "count";
    type Output = Option<u32>;
    type Error = Never;
    fn options() -> ActivityOptions {
        let retry =
            RetryPolicy { initial_interval: Duration::from_millis(1), ..RetryPolicy::default() };
        ActivityOptions { retry, heartbeat: Some(HEARTBEAT), ..ActivityOptions::default() }
    }
}
impl Harmless for Count {}

/// The same, of which no heartbeats are kept.
#[derive(Serialize, Deserialize)]
struct Plainly;
impl Activity for Plainly {
    const NAME: &'static str = "plainly";
    type Output = ();
    type Error = Never;
}
impl Harmless for Plainly {}

struct Long;
impl Workflow for Long {
    const NAME: &'static str = "long";
    const ACTIVITIES: &'static [&'static str] = &[Count::NAME, Plainly::NAME];
    type Input = Count;
    type Output = Option<u32>;
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, count: Count) -> Result<Option<u32>, Self::Error> {
        ctx.run(Plainly).await?;
        ctx.run(count).await
    }
}

/// What happened, and when it may go on.
#[derive(Clone, Default)]
struct Counter {
    reached: Arc<AtomicU32>,
    enough: Arc<AtomicBool>,
    /// The second worker does not go on for ever.
    second: bool,
    late: Arc<Mutex<Option<ActivityContext>>>,
}

impl Handler<Count> for Counter {
    async fn handle(&self, ask: Count, cx: ActivityContext) -> Result<Option<u32>, Failure<Never>> {
        let before = cx.details::<u32>();
        match ask {
            Count::FallSilent if cx.attempt == 1 => {
                (1..=50).for_each(|number| cx.heartbeat(&number));
                *self.late.lock().unwrap() = Some(cx);
                std::future::pending().await
            }
            Count::Fail if cx.attempt == 1 => {
                (1..=70).for_each(|number| cx.heartbeat(&number));
                Err(Failure::retry("as asked"))
            }
            Count::Steadily => {
                let begun = Instant::now();
                while begun.elapsed() < 3 * HEARTBEAT || !self.enough.load(Ordering::SeqCst) {
                    cx.heartbeat(&self.reached.fetch_add(1, Ordering::SeqCst));
                    tokio::time::sleep(HEARTBEAT / 20).await;
                }
                Ok(before)
            }
            Count::Endlessly if !self.second => loop {
                let number = self.reached.fetch_add(1, Ordering::SeqCst);
                cx.heartbeat(&number);
                tokio::time::sleep(HEARTBEAT / 10).await;
            },
            _ => Ok(before),
        }
    }
}

impl Handler<Plainly> for Counter {
    async fn handle(&self, _: Plainly, cx: ActivityContext) -> Result<(), Failure<Never>> {
        cx.heartbeat(&"nobody listens");
        Ok(())
    }
}

async fn worker(database: &TestDatabase, counter: &Counter, drain: Duration) -> Worker {
    let handlers =
        Handlers::default().with::<Count>(counter.clone()).with::<Plainly>(counter.clone());
    let registry = Registry::new(Workflows::default().with::<Long>(), handlers).unwrap();
    let pool = connect(database.url(), 4).await.unwrap();
    let settings = Settings { lease: LEASE, drain, ..Settings::default() };
    Worker::start(pool, registry, settings).await.unwrap()
}

/// What the workflow returned: the details that its last attempt was given.
async fn result(worker: &Worker, id: &str) -> Option<u32> {
    let outcome = worker.client().result(id, SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Completed);
    outcome.output.unwrap().decode().unwrap()
}

const KEPT: &str = "select count(*) from hansom.heartbeat";

#[tokio::test]
async fn an_attempt_that_falls_silent_is_tried_again_and_told_what_was_said_last() {
    let (database, counter) = (fresh().await, Counter::default());
    let sql = sql(database.url()).await;
    let worker = worker(&database, &counter, SOON).await;
    worker.client().start::<Long>("l1", &Count::FallSilent).await.unwrap();
    assert_eq!(result(&worker, "l1").await, Some(50));
    let why = "select count(*) from hansom.event
        where what -> 'attempt_failed' ->> 'reason' = 'no heartbeat within 2s'";
    assert_eq!(count(&sql, why).await, 1);
    // Whoever comes late may still beat; nobody hears it, and nothing breaks.
    counter.late.lock().unwrap().take().unwrap().heartbeat(&99);
    let begun = Instant::now();
    until("nothing is kept of what has ended", async || count(&sql, KEPT).await == 0).await;
    assert!(begun.elapsed() < SOON, "at once, and not when somebody sweeps");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn an_attempt_that_beats_may_take_longer_than_a_heartbeat() {
    let (database, counter) = (fresh().await, Counter::default());
    let sql = sql(database.url()).await;
    let worker = worker(&database, &counter, SOON).await;
    worker.client().start::<Long>("l1", &Count::Steadily).await.unwrap();
    until("it is kept while it runs", async || count(&sql, KEPT).await == 1).await;
    counter.enough.store(true, Ordering::SeqCst);
    assert_eq!(result(&worker, "l1").await, None, "the first attempt: nobody was before it");
    let failed = "select count(*) from hansom.event where what ? 'attempt_failed'";
    assert_eq!(count(&sql, failed).await, 0);
    worker.drain().await;
}

#[tokio::test]
async fn the_last_words_of_an_attempt_that_fails_reach_the_next() {
    let (database, counter) = (fresh().await, Counter::default());
    let worker = worker(&database, &counter, SOON).await;
    worker.client().start::<Long>("l1", &Count::Fail).await.unwrap();
    assert_eq!(result(&worker, "l1").await, Some(70));
    worker.drain().await;
}

#[tokio::test]
async fn an_attempt_that_outlives_a_drain_goes_on_where_it_was() {
    let (database, counter) = (fresh().await, Counter::default());
    let sql = sql(database.url()).await;
    let one = worker(&database, &counter, Duration::ZERO).await;
    one.client().start::<Long>("l1", &Count::Endlessly).await.unwrap();
    until("something is kept", async || count(&sql, KEPT).await == 1).await;
    one.drain().await;
    let second = Counter { second: true, ..counter };
    let two = worker(&database, &second, SOON).await;
    assert!(result(&two, "l1").await.is_some());
    let lost = "select count(*) from hansom.event where what ? 'attempt_lost'";
    assert_eq!(count(&sql, lost).await, 0, "it is the same attempt");
    two.drain().await;
}

#[tokio::test]
async fn details_outlive_a_kill() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let process = Process::of(&database, "heartbeats::a_process_that_counts_for_ever");
    until("something is kept", async || count(&sql, KEPT).await == 1).await;
    process.kill();
    let second = Counter { second: true, ..Counter::default() };
    let worker = worker(&database, &second, SOON).await;
    assert!(result(&worker, "l1").await.is_some());
    let lost = "select count(*) from hansom.event where what ? 'attempt_lost'";
    assert_eq!(count(&sql, lost).await, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of the test above"]
async fn a_process_that_counts_for_ever() {
    let Some(url) = parent() else { return };
    let counter = Counter::default();
    let handlers =
        Handlers::default().with::<Count>(counter.clone()).with::<Plainly>(counter.clone());
    let registry = Registry::new(Workflows::default().with::<Long>(), handlers).unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let worker = Worker::start(sql(&url).await, registry, settings).await.unwrap();
    worker.client().start::<Long>("l1", &Count::Endlessly).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_earlier_attempt_does_not_speak_for_a_later_one() {
    let (database, counter) = (fresh().await, Counter::default());
    let sql = sql(database.url()).await;
    let one = worker(&database, &counter, Duration::ZERO).await;
    one.client().start::<Long>("l1", &Count::Endlessly).await.unwrap();
    until("something is kept", async || count(&sql, KEPT).await == 1).await;
    let later = "update hansom.heartbeat set attempt = 2, details = '4000000000'";
    sqlx::query(later).execute(&sql).await.unwrap();
    let reached = counter.reached.load(Ordering::SeqCst);
    until("the first has said more", async || {
        counter.reached.load(Ordering::SeqCst) > reached + 10
    })
    .await;
    one.drain().await;
    let second = Counter { second: true, ..counter };
    let two = worker(&database, &second, SOON).await;
    assert_eq!(result(&two, "l1").await, Some(4_000_000_000));
    two.drain().await;
}

#[tokio::test]
async fn what_closed_runs_have_left_is_swept() {
    let (database, counter) = (fresh().await, Counter::default());
    let sql = sql(database.url()).await;
    let left = "insert into hansom.heartbeat (part, run, seq, attempt, details, beat_at)
        values (3, gen_random_uuid(), 1, 1, '1', clock_timestamp())";
    sqlx::query(left).execute(&sql).await.unwrap();
    let worker = worker(&database, &counter, SOON).await;
    until("it is swept", async || count(&sql, KEPT).await == 0).await;
    worker.drain().await;
}
