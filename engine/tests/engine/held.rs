//! Steps whose service takes no requests, and what becomes of them when it does again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handler, Handlers,
    Never, RetryPolicy, SignalType, Status, Workflow, Workflows,
};
use hansom_engine::{Registry, Settings, Worker, connect};
use serde::{Deserialize, Serialize};

use crate::crew::{audit, count, sql, until};
use crate::kit::{Arrive, No, SOON, fresh};

const GUESTS: usize = 200;

/// Held back for five minutes or more the first time already.
fn patient() -> ActivityOptions {
    let wait = Duration::from_mins(10);
    let retry = RetryPolicy {
        initial_interval: wait,
        maximum_interval: wait,
        maximum_attempts: 1,
        ..RetryPolicy::default()
    };
    ActivityOptions { retry, ..ActivityOptions::default() }
}

#[derive(Serialize, Deserialize)]
struct Enter;
impl Activity for Enter {
    const NAME: &'static str = "enter";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        patient()
    }
}

#[derive(Serialize, Deserialize)]
struct Leave;
impl Activity for Leave {
    const NAME: &'static str = "leave";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        patient()
    }
}

/// Whoever comes while it is shut is not let in.
#[derive(Default)]
struct Door {
    shut: AtomicBool,
    passing: AtomicUsize,
    most: AtomicUsize,
}

impl Door {
    async fn pass<E>(&self) -> Result<(), Failure<E>> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(Failure::Unavailable { reason: "the door is shut".into(), after: None });
        }
        let passing = self.passing.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(passing, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.passing.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Handler<Enter> for Door {
    async fn handle(&self, _: Enter, _: ActivityContext) -> Result<(), Failure<No>> {
        self.pass().await
    }
}

impl Handler<Leave> for Door {
    async fn handle(&self, _: Leave, _: ActivityContext) -> Result<(), Failure<Never>> {
        self.pass().await
    }
}

struct Visit;
impl Workflow for Visit {
    const NAME: &'static str = "visit";
    const ACTIVITIES: &'static [&'static str] = &[Enter::NAME, Leave::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Arrive>()];
    type Input = ();
    type Output = ();
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        ctx.run(Enter).undo(Leave).await?;
        ctx.signals::<Arrive>().next().await;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_held_back_for_minutes_goes_on_within_seconds_of_its_service_coming_back() {
    let (database, door) = (fresh().await, Arc::new(Door::default()));
    let sql = sql(database.url()).await;
    let handlers = Handlers::default().with::<Enter>(Arc::clone(&door));
    let handlers = handlers.with::<Leave>(Arc::clone(&door));
    let registry = Registry::new(Workflows::default().with::<Visit>(), handlers).unwrap();
    let pool = connect(database.url(), 8).await.unwrap();
    let worker = Worker::start(pool, registry, Settings::default()).await.unwrap();
    let client = worker.client();
    let ids: Vec<_> = (0..GUESTS).map(|n| format!("v{n}")).collect();
    let all_held = async || {
        // Out of memory, but for those that are being tried.
        let held = "select count(*) from hansom.alarm a
            join hansom.workflow w using (part, namespace, workflow_id, run_no)
            where not w.hot and a.due > clock_timestamp() + interval '4 minutes'";
        let all = i64::try_from(GUESTS).unwrap();
        let alarms = "select count(*) from hansom.alarm";
        until("each has an alarm", async || count(&sql, alarms).await == all).await;
        until("they are held back", async || count(&sql, held).await > 150).await;
    };

    door.shut.store(true, Ordering::SeqCst);
    join_all(ids.iter().map(|id| client.start::<Visit>(id, &()))).await;
    all_held().await;
    door.shut.store(false, Ordering::SeqCst);
    let inside = "select count(*) from hansom.alarm";
    tokio::time::timeout(SOON, until("all are inside", async || count(&sql, inside).await == 0))
        .await
        .expect("long before the alarms");

    door.shut.store(true, Ordering::SeqCst);
    join_all(ids.iter().map(|id| client.cancel(id, None))).await;
    all_held().await;
    door.shut.store(false, Ordering::SeqCst);
    for outcome in join_all(ids.iter().map(|id| client.result(id, SOON))).await {
        assert_eq!(outcome.unwrap().status, Status::Cancelled);
    }
    let most = door.most.load(Ordering::SeqCst);
    assert!((8..=70).contains(&most), "{most} passed at a time");
    audit(&sql).await;
    worker.drain().await;
}
