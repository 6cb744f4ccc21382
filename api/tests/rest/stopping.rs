//! Draining, and a database that is gone.

use std::sync::Arc;
use std::time::Duration;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_says_so_and_takes_nothing_new() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    assert_eq!(rig.get("/readyz").await.status, 200);
    rig.api.begin_drain();
    let ready = rig.get("/readyz").await;
    assert_eq!((ready.status, ready.code()), (503, "draining"));
    assert!(ready.headers.contains_key("retry-after"));
    let start = rig.start_trip("b", 1).await;
    assert_eq!((start.status, start.code()), (503, "draining"));
    let signal = rig.post_nothing("/v1/workflows/a/signals/go").await;
    assert_eq!((signal.status, signal.code()), (503, "draining"));
    for (verb, body) in [("cancel", "{}"), ("terminate", r#"{"reason":"x"}"#), ("retry", "{}")] {
        let asked = rig.post(&format!("/v1/workflows/a/{verb}"), body).await;
        assert_eq!((asked.status, asked.code()), (503, "draining"), "{verb}");
    }
    assert_eq!(rig.get("/v1/workflows/a").await.status, 200, "reading goes on");
    assert_eq!(rig.get("/v1/workflows/b").await.status, 404, "the refused start left nothing");
    assert_eq!(rig.get("/livez").await.status, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_result_is_sent_away_when_the_server_drains() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let api = Arc::clone(&rig.api);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        api.begin_drain();
    });
    let waited = rig.get("/v1/workflows/a/result?wait=60s");
    let answer = tokio::time::timeout(Duration::from_secs(10), waited).await.unwrap();
    assert_eq!((answer.status, answer.code()), (503, "draining"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_every_route_is_503_and_its_words_stay_inside() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    rig.pool.close().await;
    for path in [
        "/readyz",
        "/v1/workflows",
        "/v1/workflows/a",
        "/v1/workflows/a/history",
        "/v1/workflows/a/result",
        "/v1/workflows/a/undo-plan",
        "/v1/workflows/a/state",
        "/v1/views",
        "/v1/views/fares",
        "/v1/views/fares/1",
        "/v1/views/fares/events",
    ] {
        let answer = rig.get(path).await;
        assert_eq!((answer.status, answer.code()), (503, "store.unavailable"), "{path}");
        assert!(answer.headers.contains_key("retry-after"), "{path}");
        assert!(!answer.body.to_string().contains("pool"), "{answer:?}");
    }
    for path in ["signals/go", "updates/tip", "cancel", "retry"] {
        let answer = rig.post_nothing(&format!("/v1/workflows/a/{path}")).await;
        assert_eq!((answer.status, answer.code()), (503, "store.unavailable"), "{path}");
    }
    assert_eq!(rig.get("/livez").await.status, 200, "the process lives all the same");
}
