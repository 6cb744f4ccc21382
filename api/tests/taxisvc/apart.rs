//! What riders hear while the breaker of the call service is open.

use std::time::Duration;

use axum::http::StatusCode;
use hansom_activities::breaker::BreakerSettings;
use serde_json::{Value, json};

use super::rig::{Rig, entries};

/// More than open the breaker with one attempt each.
const CALLS: usize = 30;

/// How long the breaker stays open: longer than it takes a busy machine to answer them all.
const OPEN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_written_down_is_refused_soon_and_never_charged() {
    let settings = BreakerSettings { open: OPEN, ..BreakerSettings::default() };
    let rig = Rig::with_breakers(&[("call", settings)].into()).await;
    // All are accepted before the first of them has failed.
    rig.fault("call", json!({ "error_rate": 1.0, "latency_ms": 500 })).await;
    let calls = futures_util::future::join_all((0..CALLS).map(|_| rig.call("20")));
    // Asked as soon as it is open: all their answers may come after it has closed again.
    let refused = async {
        rig.until("/v1/activities", |all| breaker_is(all, "open")).await;
        rig.call("20").await
    };
    let (calls, refused) = tokio::join!(calls, refused);
    for call in calls {
        assert_eq!(call.status, StatusCode::SERVICE_UNAVAILABLE, "{}", call.body);
        assert_eq!(call.body["code"], "service.down");
    }
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("left alone"), "the breaker is open: {detail}");
    let last = i64::try_from(CALLS).unwrap();
    assert!(rig.any_held_back(1..=last).await, "the breaker opened behind some of them");

    rig.fault("call", json!({})).await;
    for call in 1..=last {
        assert_eq!(rig.closed(call).await, "failed");
    }
    assert!(rig.ledger().await.is_empty());
    rig.until("/v1/activities", |all| breaker_is(all, "closed")).await;
    assert_eq!(rig.call("20").await.status, StatusCode::CREATED);
    assert_eq!(rig.ledger().await, entries([("charge", 200_000)]));
    rig.stop().await;
}

fn breaker_is(activities: &Value, state: &str) -> bool {
    let all = activities["items"].as_array().expect("a list");
    let one = all.iter().find(|one| one["name"] == "register_call");
    one.expect("it is performed")["breaker"]["state"] == state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_declined_is_told_also_while_the_call_cannot_be_marked_so() {
    let rig = Rig::start().await;
    rig.fault("payment", json!({ "decline": true })).await;
    // Also what is declined is written down. The attempt waits for that, and is not given up on.
    let ledger = rig.hold_ledger().await;
    let away = async {
        let charging = |flow: &Value| flow["activities"][0]["activity"] == "charge_fare";
        rig.until("/v1/workflows/taxisvc.call.1", charging).await;
        rig.fault("call", json!({ "down": true })).await;
        ledger.rollback().await.expect("it is let go");
    };
    let (call, ()) = tokio::join!(rig.call("20"), away);
    assert_eq!(call.status, StatusCode::PAYMENT_REQUIRED, "{}", call.body);
    assert_eq!(call.body["callStatus"], Value::Null, "nobody could mark it");
    rig.fault("call", json!({})).await;
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(rig.ledger().await, entries([("void", 0)]));
    rig.stop().await;
}
