//! The same load through REST, on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hansom_core::Workflow;
use hansom_engine::Worker;
use serde_json::json;
use tokio::net::TcpListener;

use super::BenchError;
use super::report::Rate;
use super::saga::{Bench, Order};
use crate::http::{Api, app};

/// So many requests at a time: enough that batches are large.
const CONNECTIONS: usize = 512;

/// Starts `sagas` over HTTP, each request waiting for its saga; timed until the
/// last is answered. Drains the worker.
pub(super) async fn throughput(worker: Worker, sagas: u32) -> Result<Rate, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1/workflows?wait=60s", listener.local_addr()?);
    let api = Arc::new(Api::new(worker));
    let router = app(Arc::clone(&api), axum::Router::new());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let http = reqwest::Client::new();
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (http, url, next) = (http.clone(), url.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= u64::from(sagas) {
                        return Ok::<_, BenchError>(());
                    }
                    call(&http, &url, n).await?;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    let rate = f64::from(sagas) / begun.elapsed().as_secs_f64();
    server.abort();
    api.drain().await;
    Ok(Rate { sagas_per_s: rate })
}

async fn call(http: &reqwest::Client, url: &str, n: u64) -> Result<(), BenchError> {
    let body = json!({ "type": Bench::NAME, "id": format!("rest-{n}"), "input": Order::new(n) });
    let answer = http.post(url).json(&body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() && text.contains("completed") {
        return Ok(());
    }
    Err(BenchError::Rest(format!("{status}: {text}")))
}
