//! A body that does not return takes its worker with it: one after the other, and not all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansom_core::{
    Activity, ActivityError, Ctx, Handlers, Signal, SignalType, Status, Workflow, Workflows,
};
use hansom_engine::{CheckScope, Client, Registry, Settings, Worker, check, connect};
use hansom_postgres::testing::{PATIENCE, TestDatabase};
use serde::{Deserialize, Serialize};

use crate::crew::{LEASE, audit, count, shared_out, sql, until};
use crate::kit::{Arrive, Charge, No, Notify, Refund, Ride, SOON, Trip, World, fresh};

/// Whether it may go on.
static OPEN: AtomicBool = AtomicBool::new(false);

#[derive(Serialize, Deserialize)]
struct Go;
impl Signal for Go {
    const NAME: &'static str = "go";
}

/// Charges, and when it is told to go on, waits as no body may.
struct Blocks;

impl Workflow for Blocks {
    const NAME: &'static str = "blocks";
    const ACTIVITIES: &'static [&'static str] = &[Charge::NAME, Refund::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
    type Input = ();
    type Output = String;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, (): ()) -> Result<String, Self::Error> {
        let receipt = ctx.run(Charge).undo(Refund).await?;
        ctx.signals::<Go>().next().await;
        while !OPEN.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(receipt)
    }
}

fn registry(world: &World) -> Registry {
    let handlers = Handlers::default()
        .with::<Charge>(world.clone())
        .with::<Refund>(world.clone())
        .with::<Notify>(world.clone());
    let workflows = Workflows::default().with::<Blocks>().with::<Trip>();
    Registry::new(workflows, handlers).unwrap()
}

async fn worker(database: &TestDatabase, world: &World) -> (Worker, Client) {
    let pool = connect(database.url(), 8).await.unwrap();
    let settings = Settings { lease: LEASE, threads: 2, ..Settings::default() };
    let worker = Worker::start(pool, registry(world), settings).await.unwrap();
    let client = worker.client();
    (worker, client)
}

#[tokio::test]
async fn a_body_that_does_not_return_is_left_alone_after_five_workers_and_others_go_on() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world).await;
    client.start::<Blocks>("b1", &()).await.unwrap();
    client.start::<Trip>("t1", &Ride { patience_ms: 600_000 }).await.unwrap();
    until("both are charged", async || world.count("charge") == 2).await;
    client.signal("b1", &Go, None).await.unwrap();
    let mut lost = vec![first];
    let mut counted = 0;
    // One that is lost on a slow machine may not have been counted.
    while counted < 5 {
        assert!(lost.len() <= 7, "{counted} of {} are counted", lost.len());
        let last = lost.last().unwrap();
        let death = tokio::time::timeout(PATIENCE, last.death()).await;
        assert_eq!(death.expect("it is told"), "b1", "worker {}", lost.len());
        assert!(!last.is_ready());
        let before = counted;
        counted = count(&sql, "select sum(lost) from hansom.workflow").await;
        assert!(counted <= before + 1, "each once: {counted}");
        lost.push(worker(&database, &world).await.0);
    }
    let sixth = lost.pop().unwrap();
    let client = sixth.client();
    until("it is left alone", async || {
        client.describe("b1").await.unwrap().status == Status::Stuck
    })
    .await;
    let stuck = client.describe("b1").await.unwrap().now.stuck.unwrap();
    assert_eq!(stuck.reason, "poison");
    assert!(stuck.detail.contains("5 workers"), "{}", stuck.detail);

    client.signal("t1", &Arrive, None).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    // It is looked at again, and its body is not.
    client.signal("b1", &Go, None).await.unwrap();
    until("it is heard", async || count(&sql, "select count(*) from hansom.inbox").await == 0)
        .await;
    assert!(sixth.is_ready());

    let pool = connect(database.url(), 1).await.unwrap();
    let scope = CheckScope { patience: Duration::from_secs(1), ..CheckScope::default() };
    let report = check(&pool, &registry(&world), &scope, |_| {}).await.unwrap();
    assert_eq!((report.runs, report.would_break), (1, 0), "no deploy waits for it");

    OPEN.store(true, Ordering::Relaxed);
    client.retry("b1", Some("it may go on")).await.unwrap();
    assert_eq!(client.result("b1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((world.count("charge"), world.count("refund")), (2, 0));
    audit(&sql).await;
    // Those that were lost come back by themselves, under other names.
    let workers = 1 + i64::try_from(lost.len()).unwrap();
    shared_out(&sql, &(16..16 + workers).map(|n| n / workers).collect::<Vec<_>>()).await;
    for worker in lost {
        worker.drain().await;
    }
    sixth.drain().await;
}
