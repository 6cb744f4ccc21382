//! The whole of taxisvc: router, engine, services, and a database of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use hansom::config::Gateway;
use hansom::http::{Api, app};
use hansom::systems::{Systems, Urls, problems};
use hansom_activities::breaker::BreakerSettings;
use hansom_engine::{Settings, Worker, connect, migrate};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tower::ServiceExt;

use super::ledger;

pub(crate) struct Rig {
    router: Router,
    api: Arc<Api>,
    pool: PgPool,
    _database: TestDatabase,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A template per state of the migrations.
fn template() -> String {
    let (engine, services) = (hansom_engine::migrator(), hansom_activities::migrator());
    let migrations = engine.iter().chain(services.iter());
    let bytes = migrations.flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("taxisvc_{hash:016x}")
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with_breakers(&BTreeMap::new()).await
    }

    pub(crate) async fn with_breakers(settings: &BTreeMap<&'static str, BreakerSettings>) -> Self {
        let database = database(&template(), |url| async move {
            let pool = connect(&url, 2).await.expect("the template answers");
            migrate(&pool, Some(16)).await.expect("the engine's migrations run");
            hansom_activities::migrator().run(&pool).await.expect("the services' migrations run");
            pool.close().await;
        })
        .await;
        let pool = connect(database.url(), 10).await.expect("the database answers");
        let systems = Systems::with_breakers(&pool, &Urls::default(), settings);
        let registry = systems.registry(systems.handlers());
        let registry = registry.expect("every activity has a handler");
        let worker = Worker::start(pool.clone(), registry, Settings::default()).await;
        let api = Api::new(worker.expect("the worker starts"));
        let api = Arc::new(api.with_breakers(systems.breakers()).with_problems(problems()));
        let router = app(Arc::clone(&api), systems.routes(&api, Gateway::Taxisvc));
        Self { router, api, pool, _database: database }
    }

    pub(crate) async fn stop(self) {
        self.api.drain().await;
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("every answer is JSON, or empty")
        };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str) -> Answer {
        self.ask(method, path, Some(json!({}))).await
    }

    /// As `http :8088/calls userId=1 userName=nana distance=…`: every value is a string.
    pub(crate) async fn call(&self, distance: &str) -> Answer {
        let body = json!({ "userId": "1", "userName": "nana", "distance": distance });
        self.post("/calls", body).await
    }

    /// … and waits until the driver is on the way.
    pub(crate) async fn ride(&self) {
        assert_eq!(self.call("20").await.status, StatusCode::CREATED);
        self.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    }

    pub(crate) async fn fault(&self, service: &str, switches: Value) {
        let path = format!("/faults/{service}");
        assert_eq!(self.ask("PUT", &path, Some(switches)).await.status, StatusCode::OK);
    }

    /// Looks again and again until it is as expected.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if answer.status == StatusCode::OK && is(&answer.body) {
                return answer.body;
            }
            assert!(Instant::now() < patience, "{path} is still {}", answer.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the saga is closed, and says how.
    pub(crate) async fn closed(&self, call: i64) -> String {
        self.over(&format!("taxisvc.call.{call}")).await
    }

    /// As [`Self::closed`], of any workflow.
    pub(crate) async fn over(&self, workflow_id: &str) -> String {
        let path = format!("/v1/workflows/{workflow_id}");
        let open = ["running", "compensating"];
        let is_closed = |body: &Value| !open.iter().any(|status| body["status"] == *status);
        let body = self.until(&path, is_closed).await;
        body["status"].as_str().expect("a status").to_owned()
    }

    /// Starts the saga of a call by hand, as whoever reaches the engine can.
    pub(crate) async fn by_hand(&self, workflow_id: &str, call: i64, more: Value) -> Answer {
        let input =
            json!({ "call_id": call, "user_id": "2", "user_name": "hand", "distance": 2_000 });
        let mut start = json!({ "type": "taxi_call", "id": workflow_id, "input": input });
        let fields = start.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        self.post("/v1/workflows", start).await
    }

    /// Every event that was published, in order.
    pub(crate) async fn events(&self) -> Vec<String> {
        sqlx::query_scalar("select event_type from taxisvc.event order by event_id")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }

    /// Until it is rolled back nobody writes into the payment ledger.
    pub(crate) async fn hold_ledger(&self) -> Transaction<'static, Postgres> {
        ledger::hold(&self.pool).await
    }

    /// Kind and amount of every entry of the payment ledger.
    pub(crate) async fn ledger(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select kind, fare from taxisvc.payment order by entered_at")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }

    async fn history(&self, call: i64) -> Vec<Value> {
        let path = format!("/v1/workflows/taxisvc.call.{call}/history?limit=200");
        let mut history = self.get(&path).await.body;
        serde_json::from_value(history["items"].take()).expect("a list of events")
    }

    /// How many attempts of a call's saga were followed by another one.
    pub(crate) async fn failed_attempts(&self, call: i64) -> usize {
        let history = self.history(call).await;
        history.iter().filter(|item| item.get("attempt_failed").is_some()).count()
    }

    /// Whether a breaker held back a step of any of these calls.
    pub(crate) async fn any_held_back(&self, calls: impl Iterator<Item = i64>) -> bool {
        for call in calls {
            if self.history(call).await.iter().any(|item| item.get("held_back").is_some()) {
                return true;
            }
        }
        false
    }

    /// The undos of a call's saga, in the order in which they were done.
    pub(crate) async fn undone(&self, call: i64) -> Vec<String> {
        let history = self.history(call).await;
        let asked: Vec<&Value> = history.iter().filter(|item| is_command(item)).collect();
        let undos = asked.iter().filter_map(|command| command["undo"]["of"].as_u64());
        let of = |seq: u64| {
            let seq = usize::try_from(seq).expect("a position");
            asked[seq]["run"]["undo"]["activity"].as_str().expect("an undo").to_owned()
        };
        undos.map(of).collect()
    }
}

/// Whether an event is a command: those are numbered among themselves.
fn is_command(event: &Value) -> bool {
    let commands =
        ["run", "start_timer", "cancel_timer", "pivot", "unwind", "undo", "complete", "close"];
    commands.iter().any(|command| event.get(command).is_some())
}

pub(crate) fn entries<const N: usize>(entries: [(&str, i64); N]) -> Vec<(String, i64)> {
    entries.into_iter().map(|(kind, fare)| (kind.to_owned(), fare)).collect()
}
