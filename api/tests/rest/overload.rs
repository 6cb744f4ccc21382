//! Services that are in trouble, and more to do than can be done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hansom_activities::breaker::BreakerSettings;
use serde_json::{Value, json};

use crate::rig::{Rig, Setup};

const SECOND: Duration = Duration::from_secs(1);

async fn metric(rig: &Rig, name: &str) -> String {
    let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let Ok(response) = tower::ServiceExt::oneshot(rig.router.clone(), request).await;
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_are_refused_while_there_is_too_much_to_do_and_what_was_accepted_is_done() {
    let rig = Rig::set_up(&Setup { max_backlog: 20, ..Setup::default() }).await;
    rig.waiting_trip("early").await;
    rig.think(true);
    let starts = (0..60).map(|n| {
        let rig = &rig;
        async move { (n, rig.start_trip(&format!("t{n}"), 1).await) }
    });
    // Not all at once: who is asked while others are only being written down is not refused.
    let mut answers = Vec::new();
    for start in starts {
        answers.push(start.await);
    }
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(_, answer)| answer.status == 201);
    assert!(accepted.len() >= 20 && refused.len() >= 20, "{} {}", accepted.len(), refused.len());
    for (n, answer) in &refused {
        assert_eq!((answer.status, answer.code()), (503, "server.overloaded"));
        assert_eq!(answer.headers["retry-after"], "2");
        assert_eq!((&answer.body["retry_after"], &answer.body["limit"]), (&json!(2), &json!(20)));
        let nothing = rig.get(&format!("/v1/workflows/t{n}")).await;
        assert_eq!(nothing.code(), "not_found", "nothing of it was written");
    }
    let backlog: u32 = metric(&rig, "hansom_backlog ").await.parse().unwrap();
    assert!((20..60).contains(&backlog), "{backlog}");
    // Whoever is there already is heard: signals, cancellations, and who only looks.
    assert_eq!(rig.post_nothing("/v1/workflows/early/signals/go").await.status, 202);
    assert_eq!(rig.get("/v1/workflows?limit=5").await.status, 200);
    let (cancelled, _) = &accepted[0];
    assert_eq!(rig.post_nothing(&format!("/v1/workflows/t{cancelled}/cancel")).await.status, 202);

    rig.think(false);
    let early = rig.get("/v1/workflows/early/result?wait=30s").await;
    assert_eq!(early.body["status"], "completed");
    for (n, _) in &accepted {
        let id = format!("t{n}");
        if n != cancelled {
            // More than these three, where an attempt took too long and was made again.
            let waits = |trip: &Value| trip["activities"] == json!([]);
            rig.until(&id, |trip| waits(trip) && trip["events"].as_u64() >= Some(3)).await;
            rig.post_nothing(&format!("/v1/workflows/{id}/signals/go")).await;
        }
        let end = rig.get(&format!("/v1/workflows/{id}/result?wait=30s")).await;
        let expected = if n == cancelled { "cancelled" } else { "completed" };
        assert_eq!(end.body["status"], expected, "{end:?}");
    }
    let backlog = metric(&rig, "hansom_backlog ").await;
    assert_eq!(backlog, "0");
    let (again, _) = &refused[0];
    assert_eq!(rig.start_trip(&format!("t{again}"), 1).await.status, 201);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_sleep_or_wait_for_a_signal_are_no_backlog() {
    let rig = Rig::set_up(&Setup { max_backlog: 5, ..Setup::default() }).await;
    for n in 0..30 {
        rig.waiting_trip(&format!("t{n}")).await;
    }
    rig.stop().await;
}

async fn breaker(rig: &Rig, activity: &str) -> Value {
    let mut list = rig.get("/v1/activities").await.body;
    let items = list["items"].as_array_mut().unwrap();
    let item = items.iter_mut().find(|item| item["name"] == activity);
    item.expect("it is there")["breaker"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_is_seen_and_holds_attempts_back_until_its_service_has_recovered() {
    let open = Duration::from_secs(10);
    let settings = BreakerSettings { open, ..BreakerSettings::default() };
    let rig = Rig::set_up(&Setup { breaker: Some(settings), ..Setup::default() }).await;
    assert_eq!(breaker(&rig, "book").await, Value::Null);
    let settings = json!({ "slow": "610ms", "window": "10s", "calls": 20, "failed_percent": 30, "open": "10s" });
    let closed = json!({
        "service": "bank", "state": "closed", "calls": 0, "failed": 0, "retry_at": null,
        "settings": settings,
    });
    assert_eq!(breaker(&rig, "charge").await, closed);
    rig.break_bank(true);
    for n in 0..20 {
        rig.start_trip(&format!("t{n}"), 1).await;
    }
    let is_open = async || breaker(&rig, "refund").await["state"] == "open";
    while !is_open().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let shown = breaker(&rig, "complete").await;
    assert!(shown["retry_at"].as_str().unwrap().ends_with('Z'), "{shown}");
    assert_eq!(metric(&rig, "hansom_breaker_state{service=\"bank\"} ").await, "2");

    rig.start_trip("late", 1).await;
    let held = rig.until("late", |trip| trip["activities"][0]["held_back"] == true).await;
    let charge = &held["activities"][0];
    let why = (&charge["last_failure"], &charge["attempt"]);
    assert_eq!(why, (&json!("breaker of bank is open"), &json!(1)));
    rig.break_bank(false);
    for n in 0..20 {
        rig.until(&format!("t{n}"), |trip| trip["activities"] == json!([])).await;
    }
    rig.until("late", |trip| trip["activities"] == json!([])).await;
    assert_eq!(breaker(&rig, "charge").await["state"], "closed");
    let history = rig.get("/v1/workflows/late/history").await.body;
    let events = history["items"].as_array().unwrap();
    let count = |name: &str| events.iter().filter(|event| event.get(name).is_some()).count();
    assert!(count("held_back") >= 1 && count("attempt_failed") == 0, "{history}");
    let rejected = metric(&rig, "hansom_breaker_rejected_total{service=\"bank\"} ").await;
    assert!(rejected.parse::<u32>().unwrap() >= 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_breaker_has_held_back_for_long_goes_on_within_seconds_of_its_closing() {
    let settings = BreakerSettings { open: SECOND, ..BreakerSettings::default() };
    let rig = Rig::set_up(&Setup { breaker: Some(settings), ..Setup::default() }).await;
    rig.break_bank(true);
    for n in 0..20 {
        rig.start_trip(&format!("t{n}"), 1).await;
    }
    // Of one of them, at least; each time that it is held back its alarm is further away.
    let alarm = loop {
        let now = Utc::now();
        let mut held = Vec::new();
        for n in 0..20 {
            let trip = rig.get(&format!("/v1/workflows/t{n}")).await.body;
            let charge = trip["activities"][0].clone();
            let at = charge["retry_at"].as_str().filter(|_| charge["held_back"] == true);
            held.extend(at.map(|at| at.parse::<DateTime<Utc>>().expect("a time")));
        }
        if let Some(alarm) = held.into_iter().max().filter(|at| *at > now + 20 * SECOND) {
            break alarm;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    rig.break_bank(false);
    for n in 0..20 {
        rig.until(&format!("t{n}"), |trip| trip["activities"] == json!([])).await;
    }
    assert_eq!(breaker(&rig, "charge").await["state"], "closed");
    assert!(Utc::now() < alarm - 5 * SECOND, "nobody waited for {alarm}");
    rig.stop().await;
}
