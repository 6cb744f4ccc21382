//! The real router, a real engine, and a database of their own; the workflow is the tests'.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use hansom::http::{Api, app};
use hansom_activities::breaker::{BreakerSettings, Breakers};
use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handler, Handlers,
    Never, RetryPolicy, Signal, SignalType, Workflow, Workflows,
};
use hansom_engine::{Registry, Settings, Worker, connect, migrate};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt as _;

use crate::tour::{Book, Guide, Leg, Tour, Unbook, WasBooked};
use crate::views::Fares;

/// Charges, waits for `go`, and completes.
pub(crate) struct Trip;

#[derive(Serialize, Deserialize)]
pub(crate) struct Ride {
    pub(crate) fare: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) fare: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) fare: u64,
}

#[derive(Serialize, Deserialize)]
struct Complete;

#[derive(Serialize, Deserialize)]
pub(crate) struct Go;

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("declined")]
pub(crate) struct Declined {
    declined: u64,
}

impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
    type Error = Declined;

    /// What has failed does not wait for longer than this: what waits for longer is held back.
    fn options() -> ActivityOptions {
        let second = Duration::from_secs(1);
        let (initial_interval, maximum_interval) = (second, second);
        let retry = RetryPolicy { initial_interval, maximum_interval, ..RetryPolicy::default() }
            .unlimited();
        ActivityOptions { retry, ..ActivityOptions::default() }
    }
}

impl Activity for Refund {
    const NAME: &'static str = "refund";
    type Output = ();
    type Error = Never;
}

impl Activity for Complete {
    const NAME: &'static str = "complete";
    type Output = u64;
    type Error = Never;

    fn options() -> ActivityOptions {
        let retry = RetryPolicy {
            initial_interval: Duration::from_millis(20),
            maximum_interval: Duration::from_millis(50),
            ..RetryPolicy::default()
        };
        ActivityOptions { retry: retry.unlimited(), ..ActivityOptions::default() }
    }
}

impl Signal for Go {
    const NAME: &'static str = "go";
}

impl Workflow for Trip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = &[Charge::NAME, Refund::NAME, Complete::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
    type Input = Ride;
    type Output = u64;
    type Error = ActivityError<Declined>;

    async fn run(ctx: Ctx, ride: Ride) -> Result<u64, Self::Error> {
        let fare = ride.fare;
        ctx.run(Charge { fare }).undo(Refund { fare }).await?;
        ctx.signals::<Go>().next().await;
        Ok(ctx.pivot().run(Complete).await)
    }
}

/// Declines 13, and completes and gives back only while the gate is open.
struct Bank {
    gate: AtomicBool,
    /// It thinks for as long as this is set.
    thinks: AtomicBool,
    /// No charge works.
    broken: AtomicBool,
}

/// What is otherwise than usual.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Activities that are left to remote workers.
    pub(crate) remote: &'a [&'a str],
    /// With so much to do nothing more is started; 0 is no bound.
    pub(crate) max_backlog: usize,
    /// What the bank does goes through a breaker.
    pub(crate) breaker: Option<BreakerSettings>,
}

impl Handler<Charge> for Bank {
    async fn handle(&self, ask: Charge, _: ActivityContext) -> Result<(), Failure<Declined>> {
        while self.thinks.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(Failure::retry("out of order"));
        }
        if ask.fare == 13 { Err(Failure::Refused(Declined { declined: 13 })) } else { Ok(()) }
    }
}

impl Handler<Refund> for Bank {
    async fn handle(&self, _: Refund, _: ActivityContext) -> Result<(), Failure<Never>> {
        while !self.gate.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Handler<Complete> for Bank {
    async fn handle(&self, _: Complete, _: ActivityContext) -> Result<u64, Failure<Never>> {
        if self.gate.load(Ordering::SeqCst) { Ok(7) } else { Err(Failure::retry("closed")) }
    }
}

pub(crate) struct Rig {
    pub(crate) router: Router,
    pub(crate) api: Arc<Api>,
    pub(crate) pool: PgPool,
    bank: Arc<Bank>,
    guide: Arc<Guide>,
    database: TestDatabase,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a problem, which must have the shape of one.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        let code = self.body["code"].as_str().expect("a code");
        assert_eq!(self.body["type"], format!("/problems/{code}"));
        for text in ["title", "detail", "instance"] {
            assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        code
    }

    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

fn template() -> String {
    let migrator = hansom_engine::migrator();
    let bytes = migrator.iter().flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("rest_{hash:016x}")
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these activities left to remote workers.
    pub(crate) async fn start_with(remote: &[&str]) -> Self {
        Self::on(Self::database().await, &Setup { remote, ..Setup::default() }).await
    }

    /// Otherwise than usual.
    pub(crate) async fn set_up(setup: &Setup<'_>) -> Self {
        Self::on(Self::database().await, setup).await
    }

    async fn database() -> TestDatabase {
        database(&template(), |url| async move {
            let pool = connect(&url, 2).await.unwrap();
            migrate(&pool, Some(16)).await.unwrap();
            pool.close().await;
        })
        .await
    }

    /// With a database that may have workflows in it.
    async fn on(database: TestDatabase, setup: &Setup<'_>) -> Self {
        let pool = connect(database.url(), 10).await.unwrap();
        let bank = Arc::new(Bank {
            gate: AtomicBool::new(true),
            thinks: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        let mut breakers = Breakers::default();
        let guide = Arc::new(Guide::default());
        let handlers = Handlers::default()
            .with::<Charge>(Arc::clone(&bank))
            .with::<Refund>(Arc::clone(&bank))
            .with::<Complete>(Arc::clone(&bank));
        let handlers = match setup.breaker {
            Some(settings) => breakers.guard("bank", settings, handlers),
            None => handlers,
        };
        let handlers = handlers
            .with::<Book>(Arc::clone(&guide))
            .with::<WasBooked>(Arc::clone(&guide))
            .with::<Unbook>(Arc::clone(&guide));
        let handlers =
            setup.remote.iter().try_fold(handlers, |all, name| all.made_remote(name)).unwrap();
        let workflows = Workflows::default().with::<Trip>().with::<Tour>().with::<Leg>();
        let workflows = workflows.view::<Fares>();
        let registry = Registry::new(workflows, handlers).unwrap();
        let worker = Worker::start(pool.clone(), registry, Settings::default()).await.unwrap();
        let api = Api::new(worker).with_breakers(breakers);
        let api = Arc::new(api.with_max_backlog(setup.max_backlog));
        let router = app(Arc::clone(&api), Router::new());
        Self { router, api, pool, bank, guide, database }
    }

    pub(crate) async fn stop(self) {
        self.api.drain().await;
    }

    /// Stops it, lets `change` at its database, and starts it again.
    pub(crate) async fn again(self, change: impl AsyncFnOnce(&PgPool)) -> Self {
        let Self { api, pool, database, .. } = self;
        api.drain().await;
        change(&pool).await;
        pool.close().await;
        Self::on(database, &Setup::default()).await
    }

    /// Serves it on a port of this machine, and says where.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Whether tours find a guide.
    pub(crate) fn guide(&self, there: bool) {
        self.guide.there.store(there, Ordering::SeqCst);
    }

    /// Whether the bank thinks before it charges.
    pub(crate) fn think(&self, thinks: bool) {
        self.bank.thinks.store(thinks, Ordering::SeqCst);
    }

    /// Whether no charge works.
    pub(crate) fn break_bank(&self, broken: bool) {
        self.bank.broken.store(broken, Ordering::SeqCst);
    }

    /// Opens or closes the gate that trips complete through, and are undone.
    pub(crate) fn gate(&self, open: bool) {
        self.bank.gate.store(open, Ordering::SeqCst);
    }

    /// The answer as it comes.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.answer(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts these bytes as they are, announced as JSON.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(Body::from(body));
        self.send(request.unwrap()).await
    }

    pub(crate) async fn post_nothing(&self, path: &str) -> Answer {
        self.send(Request::post(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn start_trip(&self, id: &str, fare: u64) -> Answer {
        let body = json!({ "type": "trip", "id": id, "input": { "fare": fare } });
        self.post("/v1/workflows", body.to_string()).await
    }

    /// A trip that is charged and waits for `go`.
    pub(crate) async fn waiting_trip(&self, id: &str) {
        assert_eq!(self.start_trip(id, 1).await.status, StatusCode::CREATED);
        self.until(id, |trip| trip["events"].as_u64() == Some(3)).await;
    }

    /// Starts a tour that is planned like this.
    pub(crate) async fn start_tour(&self, id: &str, plan: Value) {
        let body = json!({ "type": "tour", "id": id, "input": plan });
        let answer = self.post("/v1/workflows", body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }

    /// Looks again and again until it is as expected.
    pub(crate) async fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/workflows/{id}");
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(&path).await;
            if answer.status == 200 && is(&answer.body) {
                return answer.body;
            }
            assert!(Instant::now() < end, "{path} is still {}", answer.body);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
