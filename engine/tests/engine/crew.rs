//! More than one worker on one database, workers in processes of their own, and
//! what must hold of the database whatever happened to them.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hansom_core::{
    Activity, ActivityContext, ActivityError, Ctx, Failure, Handler, Handlers, Never, Workflow,
    Workflows,
};
use hansom_engine::{Registry, Settings, Worker, connect};
use hansom_postgres::testing::{PATIENCE, TestDatabase};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::kit::{Charge, No, Notify, Refund, Ride, Trip};

pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// A worker's clock is behind by what the answer to its last look took: what it times may be over
/// so much sooner by a clock that is not.
pub(crate) const LAG: Duration = Duration::from_millis(100);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A connection to look with, and to break things with.
pub(crate) async fn sql(url: &str) -> PgPool {
    connect(url, 4).await.unwrap()
}

/// How many partitions each worker owns.
pub(crate) async fn shares(sql: &PgPool) -> BTreeMap<Uuid, i64> {
    let query = "select owner, count(*) from hansom.partition where owner is not null group by 1";
    sqlx::query_as(query).fetch_all(sql).await.unwrap().into_iter().collect()
}

/// Waits until all partitions are shared out so, in any order.
pub(crate) async fn shared_out(sql: &PgPool, expected: &[i64]) {
    until(&format!("shares of {expected:?}"), async || {
        let mut shares: Vec<_> = shares(sql).await.into_values().collect();
        shares.sort_unstable();
        shares == expected
    })
    .await;
}

pub(crate) async fn count(sql: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(sql).await.unwrap()
}

/// What must hold of every database: history is gapless, of the past, and nobody's
/// but a run's, and a row is closed exactly when its history is.
pub(crate) async fn audit(sql: &PgPool) {
    let gaps = "select count(*) from (
            select event, lag(event + jsonb_array_length(events::jsonb), 1, 0)
                over (partition by part, run order by event) as expected
            from hansom.history) h
        where event <> expected";
    assert_eq!(count(sql, gaps).await, 0, "history is gapless");
    let early = "select count(*) from hansom.history where at > clock_timestamp()";
    assert_eq!(count(sql, early).await, 0, "no worker's clock is ahead of the database's");
    let orphans = "select count(*) from hansom.history h
        where not exists (select from hansom.workflow w where w.part = h.part and w.run = h.run)";
    assert_eq!(count(sql, orphans).await, 0, "no history without its run");
    let ends = "select count(*) from hansom.workflow w
        where (status >= 3) <> exists (
            select from hansom.history h
            where h.part = w.part and h.run = w.run
              and (h.events::jsonb -> -1)
                  ?| array['complete', 'close', 'terminated', 'continue_as_new']
              and not exists (
                  select from hansom.history l
                  where l.part = h.part and l.run = h.run and l.event > h.event))";
    assert_eq!(count(sql, ends).await, 0, "closed exactly when history is, and that is its end");
    let twice = "select count(*) from (
            select from hansom.event
            where what ?| array['complete', 'close', 'terminated', 'continue_as_new']
            group by part, run having count(*) > 1) e";
    assert_eq!(count(sql, twice).await, 0, "closed once");
}

/// What the outside world saw, in a table: it outlives the processes that act.
#[derive(Clone)]
pub(crate) struct Books(pub(crate) PgPool);

impl Books {
    pub(crate) async fn open(sql: &PgPool) -> Self {
        let table = "create table effect (key text primary key, name text, times int not null)";
        sqlx::query(table).execute(sql).await.unwrap();
        Self(sql.clone())
    }

    async fn enter(&self, name: &str, cx: &ActivityContext) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into effect values ($1, $2, 1)
             on conflict (key) do update set times = effect.times + 1",
        )
        .bind(cx.idempotency_key())
        .bind(name)
        .execute(&self.0)
        .await
        .map(drop)
    }

    /// Each run has exactly one charge by key and at most one refund, and a
    /// refund where it did not complete.
    pub(crate) async fn balance(&self) {
        let wrong = "select count(*) from hansom.workflow w, lateral (
                select count(*) filter (where name = 'charge') as charges,
                       count(*) filter (where name = 'refund') as refunds
                from effect e where split_part(e.key, '/', 1) = w.run::text) e
            where charges <> 1 or refunds <> (w.status <> 3)::int";
        assert_eq!(count(&self.0, wrong).await, 0, "one charge, and its refund");
    }

    pub(crate) fn registry(&self) -> Registry {
        let handlers = Handlers::default()
            .with::<Charge>(self.clone())
            .with::<Refund>(self.clone())
            .with::<Notify>(self.clone())
            .with::<Explode>(self.clone());
        let workflows = Workflows::default().with::<Trip>().with::<Dangerous>();
        Registry::new(workflows, handlers).unwrap()
    }
}

impl Handler<Charge> for Books {
    async fn handle(&self, _: Charge, cx: ActivityContext) -> Result<String, Failure<No>> {
        self.enter("charge", &cx).await?;
        Ok("paid".to_owned())
    }
}

impl Handler<Refund> for Books {
    async fn handle(&self, _: Refund, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.enter("refund", &cx).await?)
    }
}

impl Handler<Notify> for Books {
    async fn handle(&self, _: Notify, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.enter("notify", &cx).await?)
    }
}

/// Takes the process down that performs it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Explode;
impl Activity for Explode {
    const NAME: &'static str = "explode";
    type Output = ();
    type Error = Never;
}

impl Handler<Explode> for Books {
    async fn handle(&self, _: Explode, _: ActivityContext) -> Result<(), Failure<Never>> {
        std::process::abort();
    }
}

/// A saga with such a step.
pub(crate) struct Dangerous;

impl Workflow for Dangerous {
    const NAME: &'static str = "dangerous";
    const ACTIVITIES: &'static [&'static str] = &[Explode::NAME, Refund::NAME];
    type Input = Ride;
    type Output = ();
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, _: Ride) -> Result<(), Self::Error> {
        ctx.run(Explode).undo(Refund).await
    }
}

/// Where a worker process finds its database.
const DATABASE: &str = "HANSOM_TEST_WORKER_OF";

/// And its lease.
const LEASE_MS: &str = "HANSOM_TEST_LEASE_MS";

/// A worker in a process of its own. Killed when dropped: no leave, and commits
/// in flight are cut.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(database: &TestDatabase) -> Self {
        Self::spawn_with(database, LEASE)
    }

    /// With another lease than the rest.
    pub(crate) fn spawn_with(database: &TestDatabase, lease: Duration) -> Self {
        Self::with_lease(database, "crew::a_worker_process", lease)
    }

    /// Another that is no test, by its path.
    pub(crate) fn of(database: &TestDatabase, path: &str) -> Self {
        Self::with_lease(database, path, LEASE)
    }

    fn with_lease(database: &TestDatabase, path: &str, lease: Duration) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", path, "--ignored"])
            .env(DATABASE, database.url())
            .env(LEASE_MS, lease.as_millis().to_string())
            // It ends with this process, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        assert!(!self.is_gone(), "it lives until it is killed");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The database that a parent names; ends this process when the parent ends.
pub(crate) fn parent() -> Option<String> {
    let url = std::env::var(DATABASE).ok()?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    Some(url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of tests that kill one"]
async fn a_worker_process() {
    let Some(url) = parent() else { return };
    let books = Books(sql(&url).await);
    let lease = Duration::from_millis(std::env::var(LEASE_MS).unwrap().parse().unwrap());
    let settings = Settings { lease, ..Settings::default() };
    let worker = Worker::start(sql(&url).await, books.registry(), settings).await;
    std::future::pending::<()>().await;
    drop(worker);
}

/// A transaction that may be idle for as long as it likes.
pub(crate) async fn held(sql: &PgPool) -> sqlx::PgTransaction<'static> {
    let mut tx = sql.begin().await.unwrap();
    let patient = "set local idle_in_transaction_session_timeout = 0";
    sqlx::query(patient).execute(&mut *tx).await.unwrap();
    tx
}

/// Whoever waits for a lock in this database.
pub(crate) const WAITING: &str = "select count(*) from pg_locks where not granted
    and pid in (select pid from pg_stat_activity where datname = current_database())";
