//! Hansom as a browser finds it: engine, services, façades and pages on a port of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hansom::config::Gateway;
use hansom::http::{Api, app};
use hansom::page;
use hansom::systems::{Systems, Urls};
use hansom_engine::{Settings, Worker, connect, migrate};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// A server with a database of its own.
pub struct Server {
    url: String,
    api: Arc<Api>,
    router: Router,
    serving: JoinHandle<()>,
    _database: TestDatabase,
}

/// A template per state of the migrations.
fn template() -> String {
    let (engine, services) = (hansom_engine::migrator(), hansom_activities::migrator());
    let migrations = engine.iter().chain(services.iter());
    let bytes = migrations.flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("e2e_{hash:016x}")
}

impl Server {
    pub(crate) async fn start() -> Self {
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
        let worker = Worker::start(pool, registry, Settings::default()).await;
        let api = Arc::new(Api::new(worker.expect("the worker starts")));
        let facades = systems.routes(&api, Gateway::Taxisvc);
        let router = app(Arc::clone(&api), page::beside(&api, facades));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let served = router.clone();
        let serving = tokio::spawn(async move {
            axum::serve(listener, served).await.expect("it serves until it is told to stop");
        });
        Self { url, api, router, serving, _database: database }
    }

    /// Without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it answers to a `GET`, which does not go through the browser.
    pub async fn get(&self, path: &str) -> Value {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        serde_json::from_slice(&body).expect("it is JSON")
    }

    /// Looks again and again until it is as expected.
    pub async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + PATIENCE;
        loop {
            let body = self.get(path).await;
            if is(&body) {
                return body;
            }
            assert!(Instant::now() < patience, "{path} is still {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells it that it is about to be stopped: it starts nothing new, and lets go of who waits.
    pub fn begin_to_stop(&self) {
        self.api.begin_drain();
    }

    pub(crate) async fn stop(self) {
        self.serving.abort();
        self.api.drain().await;
    }
}
