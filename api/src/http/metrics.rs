//! `GET /metrics`: what this process counts, for Prometheus.
//!
//! The engine counts through the `metrics` facade; nothing here asks the database, and no name of a
//! workflow or a schedule is ever a label.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::state::Api;

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Seconds, from a quick commit to an outage.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0, 3_600.0];

/// How long requests take, by method, route and status.
pub(super) const REQUEST_SECONDS: &str = "hansom_http_request_seconds";

/// What this process has taken on and not worked off.
const BACKLOG: &str = "hansom_backlog";
/// Starts that were refused because of that.
pub(super) const REFUSED: &str = "hansom_starts_refused_total";

/// What was measured is put together so often, also when nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);

/// Counts from now on, in the whole process.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS);
        let recorder = builder.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder, in a program that has one: this one stays empty.
        let _ = metrics::set_global_recorder(recorder);
        hansom_engine::describe_metrics();
        hansom_activities::breaker::describe_metrics();
        metrics::describe_gauge!(
            BACKLOG,
            "Starts that wait for their commit, and attempts that wait here or are under way"
        );
        metrics::describe_counter!(REFUSED, "Starts that were refused for too large a backlog");
        metrics::describe_histogram!(REQUEST_SECONDS, "How long requests took to be answered");
        metrics::describe_gauge!("hansom_build_info", "1, with the version of this binary");
        metrics::gauge!("hansom_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    })
}

/// Says where this process runs.
pub(super) fn landscape(name: &str) {
    const INFO: &str = "hansom_landscape_info";
    recorder();
    metrics::describe_gauge!(INFO, "1, with what the place where this process runs is called");
    metrics::gauge!(INFO, "landscape" => name.to_owned()).set(1.0);
}

/// Keeps what was measured small while nobody asks for it. Never ends.
pub(crate) async fn upkeep() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        recorder().run_upkeep();
    }
}

/// What this process counted since it was started, in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let backlog = u32::try_from(api.client().backlog()).unwrap_or(u32::MAX);
    metrics::gauge!(BACKLOG).set(f64::from(backlog));
    api.breakers().iter().for_each(|breaker| breaker.measure());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder().render())
}
