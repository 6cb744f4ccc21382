//! Sagas that someone starts by hand, with calls that are not theirs.

use axum::http::StatusCode;
use serde_json::json;

use super::rig::{Rig, entries};

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_started_by_hand_with_the_call_of_another_fails_and_refunds_nothing() {
    let rig = Rig::start().await;
    rig.ride().await;
    rig.post("/drives/end", json!({ "driveId": 1 })).await;
    assert_eq!(rig.closed(1).await, "completed");
    let events = rig.events().await;

    assert!(rig.by_hand("mine", 1, json!({})).await.status.is_success());
    assert_eq!(rig.over("mine").await, "failed");
    let again = rig.by_hand("taxisvc.call.1", 1, json!({ "id_reuse": "allow" })).await;
    assert!(again.status.is_success(), "{}", again.body);
    assert_eq!(rig.closed(1).await, "failed");

    assert_eq!(rig.ledger().await, entries([("charge", 200_000)]));
    assert_eq!(rig.events().await, events);
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "driveComplete");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_fresh_id_is_taken_is_a_conflict_and_the_next_one_is_placed() {
    let rig = Rig::start().await;
    // One by a saga of another name, one by a saga of the name the call would have.
    assert!(rig.by_hand("mine", 1, json!({})).await.status.is_success());
    rig.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    assert!(rig.by_hand("taxisvc.call.2", 2, json!({})).await.status.is_success());
    rig.until("/calls/2", |call| call["callStatus"] == "driveStart").await;
    for _ in 0..2 {
        let call = rig.call("30").await;
        assert_eq!(call.status, StatusCode::CONFLICT, "{}", call.body);
        assert_eq!(call.headers["content-type"], "application/problem+json");
        assert_eq!(call.body["code"], "taxisvc.call_taken");
        assert!(call.headers.contains_key("retry-after"), "the next one has another number");
    }
    assert_eq!(rig.call("20").await.headers["location"], "/calls/3");
    let charge = ("charge", 200_000);
    assert_eq!(rig.ledger().await, entries([charge, charge, charge]));
    rig.stop().await;
}
