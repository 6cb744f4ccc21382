//! What is asked for again with its `Idempotency-Key`.

use std::time::Duration;

use hansom_activities::breaker::BreakerSettings;
use serde_json::{Value, json};

use super::rig::{Answer, Rig, accept, asked_by, entries};

const STANDS: &str = "the Idempotency-Key stands for this answer";

fn end(pay_amt: &str) -> Value {
    json!({ "taxiStatus": "운행종료", "payAmt": pay_amt })
}

fn detail(answer: &Answer) -> &str {
    answer.body["detail"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_repeats_a_key_hears_the_same_again_and_of_a_ride_that_has_gone_on_too() {
    let rig = Rig::start().await;
    rig.offered().await;
    let start = json!({ "taxiStatus": "운행시작" });
    for (key, say, status) in [
        ("a", accept("1"), 200),
        ("a", start.clone(), 200),
        ("a", start.clone(), 200),
        ("b", end("15000"), 200),
        ("a", start.clone(), 200),
        ("c", start, 409),
        ("no key at all", accept("1"), 400),
    ] {
        let answer = rig.patch_with(key, "/taxis/1", say.clone()).await;
        assert_eq!(answer.status, status, "{key}: {say}: {answer:?}");
    }
    assert_eq!(rig.ledger().await.len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_refused_says_whether_its_key_stands_for_that() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "down": true })).await;
    let refused = rig.patch_with("a", "/taxis/1", end("15000")).await;
    assert_eq!(refused.body["code"], "anycall.payment_unavailable", "{refused:?}");
    rig.fault("payment", json!({})).await;
    // Not only while payment is down: no time will make it another answer.
    let again = rig.patch_with("a", "/taxis/1", end("15000")).await;
    for answer in [&refused, &again] {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(detail(answer).contains(STANDS), "{answer:?}");
        assert!(!answer.headers.contains_key("retry-after"), "to repeat it is in vain");
    }
    assert_eq!(rig.patch_with("b", "/taxis/1", end("15000")).await.status, 200);
    assert_eq!(rig.ledger().await, entries([("charge", 15_000)]));
    let late = rig.patch_with("c", "/calls/1", json!({ "callStatus": "호출취소" })).await;
    assert_eq!((late.status, &late.body["code"]), (409, &json!("anycall.stage")));
    assert!(detail(&late).contains(STANDS), "{late:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_drivers_with_one_key_one_gets_the_call_and_the_other_hears_so() {
    let rig = Rig::start().await;
    rig.offered().await;
    for (number, status) in [("1", 200), ("2", 409), ("1", 200)] {
        let answer = rig.patch_with("1", "/taxis/1", accept(number)).await;
        assert_eq!(answer.status, status, "{number}: {answer:?}");
    }
    assert_eq!(rig.get("/taxis/1").await.body["taxiNumber"], "1");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_the_same_when_the_terms_of_the_server_have_changed() {
    let rig = Rig::start().await;
    assert_eq!(rig.drawn("a").await, 1);
    // As a server with other terms has started it, which did not hear of its end.
    rig.with_terms(json!({ "give_up_after_ms": 3_000_000 })).await;
    let mut call = asked_by(1);
    call["startAddress"] = json!("정자동");
    call["endAddress"] = json!("목동");
    let again = rig.post_with("a", "/calls", call.clone()).await;
    assert_eq!((again.status, &again.body["callId"]), (201, &json!(1)), "{again:?}");
    call["endAddress"] = json!("판교");
    let other = rig.post_with("a", "/calls", call).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("gateway.key_used")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taxi_that_is_called_again_is_the_same_whatever_its_member_says_by_now() {
    let rig = Rig::start().await;
    let member = rig.member("1234-5678-9012-3456").await;
    let call = json!({ "memberId": member, "startAddress": "정자동" });
    let first = rig.post_with("a", "/taxis", call.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    for change in [json!({ "phoneNumber": "010-9999-9999" }), json!({ "creditCardNumber": "" })] {
        let changed = rig.patch(&format!("/memberShips/{member}"), change).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let again = rig.post_with("a", "/taxis", call.clone()).await;
        assert_eq!((again.status, &again.body), (201, &first.body), "{again:?}");
    }
    let anew = rig.post_with("b", "/taxis", call).await;
    assert_eq!((anew.status, &anew.body["code"]), (402, &json!("anycall.no_card")));
    let other = json!({ "memberId": member, "startAddress": "판교" });
    assert_eq!(rig.post_with("a", "/taxis", other).await.body["code"], "gateway.key_used");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_breaker_is_open_a_key_hears_what_became_of_it() {
    // Longer than a busy machine takes for all of it.
    let settings = BreakerSettings { open: Duration::from_secs(15), ..BreakerSettings::default() };
    let rig = Rig::with_breakers(&[("payment", settings)].into()).await;
    rig.riding().await;
    rig.fault("payment", json!({ "decline": true })).await;
    let declined = rig.patch_with("a", "/taxis/1", end("15000")).await;
    assert_eq!(
        (declined.status, &declined.body["code"]),
        (402, &json!("anycall.payment_declined"))
    );
    rig.fault("payment", json!({ "down": true })).await;
    while rig.charging().await != "open" {
        assert_eq!(rig.end(15_000).await.status, 503);
    }
    for amount in ["0", "-1", "1000000001", "9223372036854775807"] {
        let wrong = rig.patch("/taxis/1", end(amount)).await;
        assert_eq!((wrong.status, &wrong.body["field"]), (400, &json!("/payAmt")), "{wrong:?}");
    }
    let left_alone = rig.end(15_000).await;
    assert!(detail(&left_alone).contains("left alone"), "{left_alone:?}");
    let again = rig.patch_with("a", "/taxis/1", end("15000")).await;
    assert_eq!((again.status, &again.body["code"]), (402, &declined.body["code"]), "{again:?}");
    assert_eq!(rig.charging().await, "open", "nothing has changed meanwhile");
    rig.fault("payment", json!({})).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ride_that_unwinds_is_over_for_who_asks_it_for_something() {
    let rig = Rig::start().await;
    rig.offered().await;
    // Its taxis cannot be told yet that it is off.
    rig.fault("taxi", json!({ "down": true })).await;
    let cancel = json!({ "callStatus": "호출취소" });
    assert_eq!(rig.patch("/calls/1", cancel.clone()).await.status, 200);
    let ride = "/v1/workflows/anycall.call.1";
    rig.until(ride, |ride| ride["status"] == "compensating").await;
    let (again, late) = tokio::join!(
        rig.patch_with("a", "/calls/1", cancel),
        rig.patch("/calls/1", json!({ "callStatus": "서비스평가", "estimateScore": "5" })),
    );
    assert_eq!(again.status, 200, "it is as they want it: {again:?}");
    assert_eq!((late.status, &late.body["code"]), (409, &json!("anycall.over")), "{late:?}");
    assert_eq!(rig.get(ride).await.body["status"], "compensating");
    rig.fault("taxi", json!({})).await;
    assert_eq!(rig.closed(1).await, "cancelled");
    rig.stop().await;
}
