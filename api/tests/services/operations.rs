//! What an operator does while customers are there: load, a deploy, another log level.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::call;
use super::processes::{Server, http, migrated};

/// The sum of a histogram's counts over all labels that contain `labels`.
fn counted(metrics: &str, labels: &str) -> u64 {
    let counts = metrics.lines().filter(|line| {
        line.starts_with("hansom_http_request_seconds_count{") && line.contains(labels)
    });
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_twenty_clients_at_once_meet_no_error_and_are_seen_in_the_metrics() {
    let database = migrated().await;
    let server = Arc::new(Server::start(database.url()));
    assert_eq!(server.post("/calls", call()).await.status, 201);
    let end = Instant::now() + Duration::from_secs(8);
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let server = Arc::clone(&server);
        clients.spawn(async move {
            let mut answers = 0_u64;
            while Instant::now() < end {
                assert_eq!(server.get("/calls").await.status, 200);
                answers += 1;
            }
            answers
        });
    }
    let answers: u64 = clients.join_all().await.into_iter().sum();
    assert!(answers >= 100, "only {answers} in 8 s");
    let metrics = server.get("/metrics").await.body;
    let metrics = metrics.as_str().expect("a text");
    let of_calls = r#"method="GET",route="/calls",status="200""#;
    assert_eq!(counted(metrics, of_calls), answers, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_a_rolling_restart_under_load_is_not_noticed() {
    let database = migrated().await;
    let first = Server::start(database.url());
    // As a load balancer has it: who is asked, and nobody is asked who is not ready.
    let ready = Arc::new(RwLock::new(first.url.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let (ready, stop) = (Arc::clone(&ready), Arc::clone(&stop));
        clients.spawn(async move {
            let http = http();
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                // Another is chosen when those who were sent here have their answers.
                let url = ready.read().await;
                let asked = http.post(format!("{url}/calls")).json(&call());
                answers.push(asked.send().await.map(|answer| answer.status().as_u16()));
            }
            answers
        });
    }
    let mut running = first;
    for _ in 0..3 {
        let mut next = Server::start(database.url());
        next.until("/readyz", |well| well["status"] == "ok").await;
        *ready.write().await = next.url.clone();
        std::mem::swap(&mut running, &mut next);
        next.signal("-TERM");
        assert_eq!(next.ended(), Some(0));
    }
    stop.store(true, Ordering::Relaxed);
    let answers = clients.join_all().await.into_iter().flatten().collect::<Vec<_>>();
    let bad: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Ok(201))).collect();
    assert!(bad.is_empty(), "of {} answers: {bad:?}", answers.len());
    assert!(answers.len() >= 20, "only {} calls were placed", answers.len());
    let calls = running.get("/calls?size=1").await.body;
    assert_eq!(calls["page"]["totalElements"], answers.len(), "each call was placed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_the_log_level_is_a_setting_and_the_data_is_there_after_a_restart() {
    let database = migrated().await;
    let with = |level| {
        let flags = ["--listen", "127.0.0.1:0", "--log", level];
        Server::start_with(database.url(), &flags)
    };
    let mut debug = with("debug");
    assert_eq!(debug.post("/calls", call()).await.status, 201);
    debug.signal("-TERM");
    assert_eq!(debug.ended(), Some(0));
    assert!(debug.log().contains(r#""level":"DEBUG""#), "{}", debug.log());

    let mut info = with("info");
    info.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    info.signal("-TERM");
    assert_eq!(info.ended(), Some(0));
    let log = info.log();
    assert!(log.contains("server.stopped") && !log.contains("DEBUG"), "{log}");
}
