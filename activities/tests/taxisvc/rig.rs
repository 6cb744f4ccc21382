//! One call, its services, and a database of their own.

use std::time::{Duration, Instant};

use hansom_activities::faults::Switches;
use hansom_activities::page::Page;
use hansom_activities::service::{PAYMENT, Service};
use hansom_activities::taxisvc::Taxisvc;
use hansom_activities::taxisvc::drive::DriveStatus;
use hansom_activities::taxisvc::feed::Event;
use hansom_core::{Activity, ActivityContext, Attempt, Direction, Handler, Payload, Seq};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use hansom_workflows::taxi_call::{
    Call, CallId, CallStatus, CancelCall, ChargeFare, CompleteDrive, Fare, MarkCall, RefundFare,
    RegisterCall, ReleaseDrive, RequestDrive,
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;

pub(crate) const CALL: CallId = CallId(1);
pub(crate) const FARE: Fare = Fare(200_000);
pub(crate) const CHARGE: ChargeFare = ChargeFare { call_id: CALL, fare: FARE };
pub(crate) const REFUND: RefundFare = RefundFare { call_id: CALL };
pub(crate) const CANCEL: CancelCall = CancelCall { call_id: CALL };
pub(crate) const DRIVE: RequestDrive = RequestDrive { call_id: CALL, fare: FARE };
pub(crate) const RELEASE: ReleaseDrive = ReleaseDrive { call_id: CALL };
pub(crate) const COMPLETE: CompleteDrive = CompleteDrive { call_id: CALL };

pub(crate) struct Rig {
    pub(crate) taxi: Taxisvc,
    /// Of the payment service.
    pub(crate) faults: Switches,
    pub(crate) pool: PgPool,
    _database: TestDatabase,
}

pub(crate) async fn rig() -> Rig {
    let migrator = hansom_activities::migrator();
    let bytes = migrator.iter().flat_map(|migration| migration.checksum.iter());
    let version = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    let database = database(&format!("services_{version:016x}"), |url| async move {
        let pool = PgPool::connect(&url).await.expect("the template answers");
        hansom_activities::migrator().run(&pool).await.expect("the migrations run");
        pool.close().await;
    })
    .await;
    let pool = PgPoolOptions::new().max_connections(12).connect(database.url()).await;
    let pool = pool.expect("the database answers");
    let faults = Switches::default();
    Rig { taxi: Taxisvc::new(&pool, faults.clone()), faults, pool, _database: database }
}

pub(crate) fn cx() -> ActivityContext {
    ActivityContext::new(CALL.workflow_id(), "run", Seq(0), Direction::Do, 1)
}

/// As another run asks, which was started with the same call.
pub(crate) fn stranger() -> ActivityContext {
    ActivityContext::new(CALL.workflow_id(), "another run", Seq(0), Direction::Do, 1)
}

pub(crate) fn call() -> Call {
    let distance = "20".parse().expect("a distance");
    Call { call_id: CALL, user_id: "1".to_owned(), user_name: "nana".to_owned(), distance }
}

pub(crate) fn mark(status: CallStatus) -> MarkCall {
    MarkCall { call_id: CALL, status }
}

/// Asks, and expects it to be done.
pub(crate) async fn done<A: Activity>(handler: &impl Handler<A>, ask: A) -> A::Output {
    handler.handle(ask, cx()).await.unwrap_or_else(|failure| panic!("{}: {failure:?}", A::NAME))
}

/// Asks eight times at once, and expects it to be done each time.
pub(crate) async fn eight_at_once<A, H>(handler: &H, ask: &A) -> Vec<A::Output>
where
    A: Activity + Clone,
    H: Handler<A> + Clone,
{
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (handler, ask) = (handler.clone(), ask.clone());
        asking.spawn(async move { handler.handle(ask, cx()).await.ok() });
    }
    let done: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    assert_eq!(done.len(), 8);
    done
}

impl Rig {
    /// Asks the payment service as the engine does, so that its switches are heeded.
    pub(crate) async fn charge(&self) -> Attempt {
        let handlers = self.taxi.payments.handlers();
        let handlers = Service::new(PAYMENT, self.faults.clone(), handlers).here();
        let request = Payload::of(&CHARGE).expect("it has a JSON form");
        handlers.get(ChargeFare::NAME).expect("it charges").handle(&request, cx()).await
    }

    /// A call that was registered and paid.
    pub(crate) async fn placed() -> Self {
        let rig = rig().await;
        done(&rig.taxi.calls, RegisterCall { call: call() }).await;
        done(&rig.taxi.payments, CHARGE).await;
        done(&rig.taxi.calls, mark(CallStatus::DriveRequest)).await;
        rig
    }

    /// … and whose driver is on the way.
    pub(crate) async fn driving() -> Self {
        let rig = Self::placed().await;
        done(&rig.taxi.drives, DRIVE).await;
        done(&rig.taxi.calls, mark(CallStatus::DriveStart)).await;
        rig
    }

    pub(crate) async fn status(&self) -> Option<CallStatus> {
        let call = self.taxi.calls.get(CALL).await.expect("it answers");
        call.expect("it is registered").status
    }

    pub(crate) async fn drive_status(&self) -> DriveStatus {
        let drives = self.taxi.drives.list(Page::default()).await.expect("it answers");
        drives.items[0].status
    }

    /// What was published, whether the feed shows it yet or not.
    pub(crate) async fn events(&self) -> Vec<String> {
        sqlx::query_scalar("select event_type from taxisvc.event order by event_id")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }

    /// The first so many events of the feed, once it shows them.
    pub(crate) async fn feed(&self, count: usize) -> Vec<Event> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let events = self.taxi.feed.events(0, 100).await.expect("it answers");
            if events.len() >= count {
                return events;
            }
            assert!(Instant::now() < patience, "the feed shows {count} events: {events:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns when so many statements wait for a lock.
    pub(crate) async fn waiting(&self, count: i64) {
        let patience = Instant::now() + PATIENCE;
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&self.pool).await.expect("it answers")
            < count
        {
            assert!(Instant::now() < patience, "{count} statements wait for a lock");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kind and amount of every entry of the ledger.
    pub(crate) async fn ledger(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select kind, fare from taxisvc.payment order by entered_at")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }
}

pub(crate) fn ledger<const N: usize>(entries: [(&str, i64); N]) -> Vec<(String, i64)> {
    entries.into_iter().map(|(kind, fare)| (kind.to_owned(), fare)).collect()
}
