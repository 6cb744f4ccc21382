//! A saga with handlers that keep a ledger, and workers to run it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handler, Handlers,
    Harmless, Never, RetryPolicy, Signal, SignalType, Workflow, Workflows,
};
use hansom_engine::{Client, Registry, Settings, Worker, connect, migrate};
use hansom_postgres::testing::{TestDatabase, database};
use serde::{Deserialize, Serialize};

/// A fresh, migrated database.
pub(crate) async fn fresh() -> TestDatabase {
    // Another schema is another template.
    let hash = hansom_engine::migrator().iter().fold(0_u32, |hash, migration| {
        migration.checksum.iter().fold(hash, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte))
    });
    database(&format!("hansom_engine_{hash:x}"), |url| async move {
        let pool = connect(&url, 2).await.unwrap();
        migrate(&pool, Some(16)).await.unwrap();
        pool.close().await;
    })
    .await
}

/// What the outside world saw: one entry per effect, by idempotency key.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    effects: Mutex<BTreeMap<String, String>>,
    /// The number of the last attempt of each kind.
    numbers: Mutex<BTreeMap<String, u32>>,
    attempts: AtomicU32,
    failing: AtomicU32,
    refusing: AtomicU32,
    slow: AtomicU32,
}

impl World {
    /// The next `count` attempts fail technically.
    pub(crate) fn fail(&self, count: u32) {
        self.0.failing.store(count, Ordering::SeqCst);
    }

    /// The next `count` attempts refuse.
    pub(crate) fn refuse(&self, count: u32) {
        self.0.refusing.store(count, Ordering::SeqCst);
    }

    /// Every attempt takes so long.
    pub(crate) fn slow(&self, millis: u32) {
        self.0.slow.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.0.attempts.load(Ordering::SeqCst)
    }

    /// How many effects of that name there were.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.effects.lock().unwrap().values().filter(|effect| *effect == name).count()
    }

    /// How many effects of that name each run had.
    pub(crate) fn per_run(&self, name: &str) -> BTreeMap<String, usize> {
        let effects = self.0.effects.lock().unwrap();
        let mut runs = BTreeMap::new();
        for (key, _) in effects.iter().filter(|(_, effect)| *effect == name) {
            *runs.entry(key.split('/').next().unwrap().to_owned()).or_default() += 1;
        }
        runs
    }

    /// Which attempt the last of that name was, from 1.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.0.numbers.lock().unwrap().get(name).copied()
    }

    async fn act<E>(&self, name: &str, cx: &ActivityContext) -> Result<bool, Failure<E>> {
        self.0.attempts.fetch_add(1, Ordering::SeqCst);
        self.0.numbers.lock().unwrap().insert(name.to_owned(), cx.attempt);
        let slow = self.0.slow.load(Ordering::SeqCst);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(slow))).await;
        }
        let taken = |counter: &AtomicU32| {
            let take = |count: u32| count.checked_sub(1);
            counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
        };
        if taken(&self.0.failing) {
            return Err(Failure::retry("the network is down"));
        }
        if taken(&self.0.refusing) {
            return Ok(false);
        }
        self.0.effects.lock().unwrap().insert(cx.idempotency_key(), name.to_owned());
        Ok(true)
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
pub(crate) struct No;

#[derive(Serialize, Deserialize)]
pub(crate) struct Charge;
impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Output = String;
    type Error = No;
    fn options() -> ActivityOptions {
        let retry = RetryPolicy {
            initial_interval: Duration::from_millis(10),
            maximum_attempts: 6,
            ..RetryPolicy::default()
        };
        ActivityOptions { retry, ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Refund;
impl Activity for Refund {
    const NAME: &'static str = "refund";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        let retry = RetryPolicy {
            initial_interval: Duration::from_millis(10),
            maximum_attempts: 2,
            ..RetryPolicy::default()
        };
        ActivityOptions { retry, ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Notify;
impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Output = ();
    type Error = Never;
}
impl Harmless for Notify {}

#[derive(Serialize, Deserialize)]
pub(crate) struct Arrive;
impl Signal for Arrive {
    const NAME: &'static str = "arrive";
}

impl Handler<Charge> for World {
    async fn handle(&self, _: Charge, cx: ActivityContext) -> Result<String, Failure<No>> {
        if self.act("charge", &cx).await? {
            Ok("paid".to_owned())
        } else {
            Err(Failure::Refused(No))
        }
    }
}

impl Handler<Refund> for World {
    async fn handle(&self, _: Refund, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.act("refund", &cx).await.map(drop)
    }
}

impl Handler<Notify> for World {
    async fn handle(&self, _: Notify, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.act("notify", &cx).await.map(drop)
    }
}

/// Charges, waits for the arrival (or for the timer), notifies.
pub(crate) struct Trip;

#[derive(Serialize, Deserialize)]
pub(crate) struct Ride {
    /// Wait for the arrival for at most so long; 0 is not at all.
    pub(crate) patience_ms: u64,
}

impl Workflow for Trip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = &[Charge::NAME, Refund::NAME, Notify::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Arrive>()];
    type Input = Ride;
    type Output = String;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, ride: Ride) -> Result<String, Self::Error> {
        let receipt = ctx.run(Charge).undo(Refund).await?;
        if ride.patience_ms > 0 {
            let patience = Duration::from_millis(ride.patience_ms);
            let arrivals = ctx.signals::<Arrive>();
            if ctx.timeout(patience, arrivals.next()).await.is_err() {
                return Err(ActivityError::Refused(No));
            }
        }
        ctx.pivot().run(Notify).await;
        Ok(receipt)
    }
}

/// Calls the roll: waits for so many names, and answers them in order.
pub(crate) struct Roll;

#[derive(Serialize, Deserialize)]
pub(crate) struct Name(pub(crate) String);
impl Signal for Name {
    const NAME: &'static str = "name";
}

impl Workflow for Roll {
    const NAME: &'static str = "roll";
    const ACTIVITIES: &'static [&'static str] = &[];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Name>()];
    type Input = usize;
    type Output = Vec<String>;
    type Error = Never;

    async fn run(ctx: Ctx, count: usize) -> Result<Vec<String>, Never> {
        let (signals, mut names) = (ctx.signals::<Name>(), Vec::new());
        while names.len() < count {
            names.push(signals.next().await.0);
        }
        Ok(names)
    }
}

/// Sleeps, however shortly, and only then charges.
pub(crate) struct Late;

impl Workflow for Late {
    const NAME: &'static str = "late";
    const ACTIVITIES: &'static [&'static str] = &[Charge::NAME, Refund::NAME];
    type Input = u64;
    type Output = String;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, millis: u64) -> Result<String, Self::Error> {
        ctx.sleep(Duration::from_millis(millis)).await;
        ctx.run(Charge).undo(Refund).await
    }
}

pub(crate) fn registry(world: &World) -> Registry {
    remote_registry(world, &[])
}

/// The same, but these activities are performed elsewhere.
pub(crate) fn remote_registry(world: &World, remote: &[&str]) -> Registry {
    let handlers = Handlers::default()
        .with::<Charge>(world.clone())
        .with::<Refund>(world.clone())
        .with::<Notify>(world.clone());
    let handlers = remote.iter().try_fold(handlers, |handlers, name| handlers.made_remote(name));
    let handlers = handlers.unwrap();
    let workflows = Workflows::default().with::<Trip>().with::<Roll>().with::<Late>();
    Registry::new(workflows, handlers).unwrap()
}

/// A worker with a short lease.
pub(crate) async fn worker(database: &TestDatabase, world: &World) -> (Worker, Client) {
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease: Duration::from_secs(1), ..Settings::default() };
    let worker = Worker::start(pool, registry(world), settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

pub(crate) const SOON: Duration = Duration::from_secs(20);
