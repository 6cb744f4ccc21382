//! All of it in one process: router, engine, services, and a database of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use hansom::config::Gateway;
use hansom::http::{Api, app};
use hansom::systems::{Systems, Urls};
use hansom_engine::{Settings, Worker, connect, migrate};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tower::ServiceExt;

use super::ledger;

pub(crate) struct Rig {
    router: Router,
    api: Arc<Api>,
    pub(crate) pool: PgPool,
    _database: TestDatabase,
}

#[derive(Debug)]
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
    pub(crate) async fn start(gateway: Gateway) -> Self {
        Self::bounded(gateway, 0).await
    }

    /// With a bound on what waits; 0 is none.
    pub(crate) async fn bounded(gateway: Gateway, max_backlog: usize) -> Self {
        let database = database(&template(), |url| async move {
            let pool = connect(&url, 2).await.expect("the template answers");
            migrate(&pool, Some(16)).await.expect("the engine's migrations run");
            hansom_activities::migrator().run(&pool).await.expect("the services' migrations run");
            pool.close().await;
        })
        .await;
        let pool = connect(database.url(), 10).await.expect("the database answers");
        let systems = Systems::new(&pool, &Urls::default());
        let registry = systems.registry(systems.handlers());
        let registry = registry.expect("every activity has a handler");
        let worker = Worker::start(pool.clone(), registry, Settings::default()).await;
        let api = Api::new(worker.expect("the worker starts"));
        let api = Arc::new(api.with_max_backlog(max_backlog));
        let router = app(Arc::clone(&api), systems.routes(&api, gateway));
        Self { router, api, pool, _database: database }
    }

    pub(crate) async fn stop(self) {
        self.api.drain().await;
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.into()).expect("it writes text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body).await
    }

    /// As a client that may repeat itself.
    pub(crate) async fn post_with(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.header("idempotency-key", key).body(Body::from(body.to_string()));
        self.ask(request.expect("a request")).await
    }

    /// As `http DELETE …`: without a body.
    pub(crate) async fn delete(&self, path: &str) -> StatusCode {
        self.ask(Request::delete(path).body(Body::empty()).expect("a request")).await.status
    }

    pub(crate) async fn fault(&self, service: &str, switches: Value) {
        let path = format!("/faults/{service}");
        assert_eq!(self.send("PUT", &path, switches).await.status, StatusCode::OK);
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

    /// Waits until the workflow is closed, and says how.
    pub(crate) async fn over(&self, workflow_id: &str) -> String {
        let open = ["running", "compensating"];
        let is_closed = |body: &Value| !open.iter().any(|status| body["status"] == *status);
        let body = self.until(&format!("/v1/workflows/{workflow_id}"), is_closed).await;
        body["status"].as_str().expect("a status").to_owned()
    }

    /// Waits until the engine counts something that waits.
    pub(crate) async fn behind(&self) {
        let patience = Instant::now() + PATIENCE;
        while self.api.client().backlog() == 0 {
            assert!(Instant::now() < patience, "nothing waits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("it answers")
    }

    /// Until it is rolled back nobody writes into the ledger of taxisvc.
    pub(crate) async fn hold_ledger(&self) -> Transaction<'static, Postgres> {
        ledger::hold(&self.pool).await
    }

    /// Returns when an attempt of one of a workflow's steps has failed.
    pub(crate) async fn in_vain(&self, workflow_id: &str) {
        let path = format!("/v1/workflows/{workflow_id}/history?limit=200");
        let failed = |history: &Value| {
            let items = history["items"].as_array().expect("a list of events");
            items.iter().any(|item| item.get("attempt_failed").is_some())
        };
        self.until(&path, failed).await;
    }
}

/// The resources of a page.
pub(crate) fn items<'a>(page: &'a Value, of: &str) -> &'a [Value] {
    page["_embedded"][of].as_array().map_or(&[], Vec::as_slice)
}

/// One field of each.
pub(crate) fn each<'a>(page: &'a Value, of: &str, field: &str) -> Vec<&'a Value> {
    items(page, of).iter().map(|item| &item[field]).collect()
}

/// As `http :8081/movers tel=… location=… cost=…`: every value is a string.
pub(crate) fn order(location: &str, cost: &str) -> Value {
    json!({ "tel": "01012345678", "status": "호출", "location": location, "cost": cost })
}
