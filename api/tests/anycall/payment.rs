//! A ride ends when it is paid.

use serde_json::{Value, json};

use super::rig::{INFO, Rig, accept, entries};
use super::{CUSTOMER, FRIEND, pair};

#[tokio::test(flavor = "multi_thread")]
async fn b8_the_end_is_paid_first_and_then_told() {
    let rig = Rig::start().await;
    rig.ended().await;
    let taxi = rig.get("/taxis/1").await.body;
    assert_eq!((&taxi["taxiStatus"], &taxi["payAmt"]), (&json!("운행종료"), &json!(15_000)));
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]));
    let paid = rig.get("/payments/1").await.body;
    assert_eq!((&paid["payStatus"], &paid["callId"]), (&json!("결제승인"), &json!(1)));
    let told = rig.told_all(6).await;
    let ended = format!("택시운행이 종료되었습니다 : {INFO}");
    for expected in [
        pair(CUSTOMER, ended.clone()),
        pair(FRIEND, ended),
        pair(CUSTOMER, "택시비용 결제요청 되었습니다".to_owned()),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    assert_eq!(rig.end(15_000).await.status, 200, "it has ended so already");
    assert_eq!(rig.end(16_000).await.status, 409);
    assert_eq!(rig.ledger().await.len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b10_a_declined_card_leaves_the_ride_open_for_a_better_one() {
    let rig = Rig::start().await;
    let member = rig.member("1234-5678-9012-0002").await;
    assert_eq!(rig.call(member).await.status, 201);
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    let start = json!({ "taxiStatus": "운행시작" });
    assert_eq!(rig.patch("/taxis/1", start).await.status, 200);
    for _ in 0..2 {
        let declined = rig.end(15_000).await;
        let code = &declined.body["code"];
        assert_eq!((declined.status, code), (402, &json!("anycall.payment_declined")));
    }
    assert_eq!(rig.get("/taxis/1").await.body["taxiStatus"], "운행시작");
    assert!(rig.ledger().await.is_empty());
    let card = json!({ "creditCardNumber": "1234-5678-9012-3456" });
    assert_eq!(rig.patch(&format!("/memberShips/{member}"), card).await.status, 200);
    assert_eq!(rig.end(14_000).await.status, 200);
    assert_eq!(rig.ledger().await, entries([("charge", 14_000)]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_without_payment_the_ride_does_not_end_and_with_it_it_is_paid_once() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "down": true })).await;
    let failed = rig.end(15_000).await;
    assert_eq!((failed.status, &failed.body["code"]), (503, &json!("anycall.payment_unavailable")));
    assert!(failed.headers.contains_key("retry-after"));
    assert_eq!(rig.get("/taxis/1").await.body["taxiStatus"], "운행시작");
    rig.fault("payment", json!({})).await;
    assert_eq!(rig.end(15_000).await.status, 200);
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_may_have_been_paid_only_the_same_amount_is_taken() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "lose_answer": true })).await;
    let lost = rig.end(15_000).await;
    assert_eq!(lost.status, 503, "{lost:?}");
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]), "it was charged, and lost");
    rig.fault("payment", json!({})).await;
    let other = rig.end(14_000).await;
    let detail = other.body["detail"].as_str().unwrap_or_default();
    assert!(other.status == 409 && detail.contains("15000"), "{other:?}");
    assert_eq!(rig.end(15_000).await.status, 200);
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]));
    assert_eq!(rig.get("/taxis/1").await.body["payAmt"], 15_000);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ride_whose_account_belongs_to_another_run_cannot_be_paid_and_says_so() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.close_account("anycall.call.1").await;
    let closed = rig.end(15_000).await;
    assert_eq!((closed.status, &closed.body["code"]), (409, &json!("anycall.payment_closed")));
    assert!(!closed.headers.contains_key("retry-after"), "no time will make it better");
    assert!(rig.ledger().await.is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_cancels_a_ride_in_doubt_gives_back_what_was_taken() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "lose_answer": true })).await;
    assert_eq!(rig.end(15_000).await.status, 503);
    rig.fault("payment", json!({})).await;
    let cancel = rig.post("/v1/workflows/anycall.call.1/cancel", json!({})).await;
    assert_eq!(cancel.status, 202, "{cancel:?}");
    assert_eq!(rig.closed(1).await, "cancelled");
    let mut ledger = rig.ledger().await;
    ledger.sort();
    assert_eq!(ledger, entries([("charge", 15_000), ("refund", 15_000), ("void", 0)]));
    let taxi = rig.get("/taxis/1").await.body;
    assert_eq!((&taxi["callStatus"], &taxi["taxiNumber"]), (&json!("택시호출취소"), &json!(null)));
    assert_eq!(rig.get("/payments/1").await.body["payStatus"], "결제취소");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_slow_once_is_taken_once() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "latency_ms": 700 })).await;
    let end = rig.end(15_000);
    let recover = async {
        let history = "/v1/workflows/anycall.call.1/history?limit=200";
        let failed = |event: &Value| event.get("attempt_failed").is_some();
        rig.until(history, |shown| {
            shown["items"].as_array().is_some_and(|all| all.iter().any(failed))
        })
        .await;
        rig.fault("payment", json!({})).await;
    };
    let (end, ()) = tokio::join!(end, recover);
    assert_eq!(end.status, 200, "{end:?}");
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]));
    rig.stop().await;
}
