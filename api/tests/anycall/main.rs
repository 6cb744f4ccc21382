//! anycall over HTTP, as its document's clients use it.

mod apart;
mod card;
mod keys;
mod nothing;
mod overload;
mod payment;
#[path = "../processes/mod.rs"]
mod processes;
mod rig;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use hansom_activities::breaker::BreakerSettings;
use serde_json::{Value, json};

use self::rig::{INFO, Rig, accept, asked_by};

const CUSTOMER: &str = "010-7202-2664";
const FRIEND: &str = "010-3333-4444";

const SEARCHING: &str = "배차 중입니다";

/// Waits until the customer is told of the taxi, and of everything before; answers how often they
/// heard that one is looked for. Which of two notices arrives first is not promised.
async fn searches(rig: &Rig) -> u64 {
    let assigned = "택시가 배정되었습니다";
    rig.until("/notifies?size=1000", |page| page.to_string().contains(assigned)).await;
    rig.until("/v1/workflows?type=notice&status=running", |page| page["items"] == json!([])).await;
    let told = rig.told().await;
    let searches: Vec<_> = told.iter().filter(|(_, message)| message == SEARCHING).collect();
    assert!(searches.iter().all(|(to, _)| to == CUSTOMER), "{told:?}");
    assert_eq!(searches.len() + 1, told.len(), "{told:?}");
    searches.len() as u64
}

/// When notices were sent, from the end of the offer on, which intervals are counted from. Both by
/// the engine's clock: another one may say a little less.
async fn after_the_offer(rig: &Rig) -> Vec<TimeDelta> {
    let history = rig.get("/v1/workflows/anycall.call.1/history?limit=200").await.body;
    let items = history["items"].as_array().expect("a list of events");
    let is_notice = |item: &&Value| item.get("start_child").is_some();
    let before = items.iter().take_while(|item| !is_notice(item));
    let offered = before.filter(|item| item.get("done").is_some()).last();
    let offered = offered.expect("the member is attached");
    let at = |item: &Value| -> DateTime<Utc> {
        item["at"].as_str().and_then(|at| at.parse().ok()).expect("a time")
    };
    items.iter().filter(is_notice).map(|notice| at(notice) - at(offered)).collect()
}

fn pair(to: &str, message: String) -> (String, String) {
    (to.to_owned(), message)
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_call_is_accepted_and_shown_to_taxis_with_its_member() {
    let rig = Rig::start().await;
    let member = rig.member("1234-5678-9012-3456").await;
    let call = rig.call(member).await;
    assert_eq!((call.status, &call.body["callStatus"]), (201, &json!("택시호출")), "{call:?}");
    assert_eq!(call.headers["location"], "/calls/1");
    assert_eq!(call.body["_links"]["call"]["href"], "/calls/1");
    rig.until("/calls/1", |call| call["callStatus"] == "택시호출").await;
    let taxi = rig.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    for (field, is) in [
        ("callStatus", "택시호출"),
        ("memberName", "홍길동"),
        ("phoneNumber", "010-1111-2222"),
        ("creditCardNumber", "****-****-****-3456"),
        ("friendPhoneNumber", FRIEND),
        ("startAddress", "경기도 분당구 정자동"),
    ] {
        assert_eq!(taxi[field], is, "{field}");
    }
    assert!(taxi["taxiStatus"].is_null());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_pay_cannot_call() {
    let rig = Rig::start().await;
    let nobody = rig.call(7).await;
    assert_eq!((nobody.status, &nobody.body["field"]), (404, &json!("/memberId")), "{nobody:?}");
    let poor = rig.member("").await;
    let poor = rig.call(poor).await;
    assert_eq!((poor.status, &poor.body["code"]), (402, &json!("anycall.no_card")));
    let member = rig.member("1").await;
    let mut silent = asked_by(member);
    silent["phoneNumber"] = Value::Null;
    assert_eq!(rig.post("/calls", silent).await.status, 400);
    let mut odd = asked_by(member);
    odd["callStatus"] = json!("호출취소");
    assert_eq!(rig.post("/calls", odd).await.status, 400);
    assert_eq!(rig.get("/calls").await.body["page"]["totalElements"], 0);
    // Nobody can say whether they can pay: it is accepted, and comes to nothing.
    rig.fault("membership", json!({ "down": true })).await;
    assert_eq!(rig.call(99).await.status, 201);
    rig.fault("membership", json!({})).await;
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "호출취소");
    assert_eq!(rig.told_all(1).await[0].0, CUSTOMER);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_a_customer_cancels_while_no_taxi_is_assigned() {
    let rig = Rig::start().await;
    rig.offered().await;
    let cancel = json!({ "callStatus": "호출취소" });
    let cancelled = rig.patch("/calls/1", cancel.clone()).await;
    assert_eq!((cancelled.status, &cancelled.body["callStatus"]), (200, &json!("호출취소")));
    assert_eq!(rig.closed(1).await, "cancelled");
    assert_eq!(rig.get("/taxis/1").await.body["callStatus"], "택시호출취소");
    assert_eq!(rig.patch("/calls/1", cancel).await.status, 200, "it is cancelled already");
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 409);
    assert_eq!(rig.patch("/calls/9", json!({ "callStatus": "호출취소" })).await.status, 404);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_after_the_assignment_it_is_too_late_to_cancel() {
    let rig = Rig::start().await;
    rig.assigned().await;
    let late = rig.patch("/calls/1", json!({ "callStatus": "호출취소" })).await;
    assert_eq!((late.status, &late.body["code"]), (409, &json!("anycall.stage")), "{late:?}");
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "택시호출");
    assert_eq!(rig.get("/taxis/1").await.body["taxiStatus"], "배정됨");
    let ride = rig.get("/v1/workflows/anycall.call.1").await.body;
    assert_eq!(ride["status"], "running");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_who_waits_is_told_so_once_an_interval_across_a_restart() {
    let rig = Rig::start().await;
    let from = Instant::now();
    rig.with_terms(json!({ "notice_every_ms": 1_000, "give_up_after_ms": 600_000 })).await;
    rig.told_all(1).await;
    // Two intervals and a half without an engine: of those there is one message, not two.
    let rig = rig.restart(Duration::from_millis(2_500)).await;
    rig.told_all(3).await;
    rig.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    let intervals = from.elapsed().as_secs();
    let searched = searches(&rig).await;
    assert!((3..intervals).contains(&searched), "{searched} in {intervals}");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(searches(&rig).await, searched, "it stops with the assignment");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_three_intervals_make_three_messages() {
    let rig = Rig::start().await;
    rig.with_terms(json!({ "notice_every_ms": 1_500, "give_up_after_ms": 600_000 })).await;
    rig.told_all(3).await;
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    // The fourth is an interval away, and comes where it took so long.
    let searched = i64::try_from(searches(&rig).await).expect("a few");
    let sent = after_the_offer(&rig).await;
    assert!(searched >= 3 && sent.len() as u64 >= searched.unsigned_abs(), "{searched}: {sent:?}");
    for (number, after) in (1..=searched).zip(sent) {
        let due = TimeDelta::milliseconds(number * 1_500);
        assert!(after >= due, "one an interval, no sooner: {number} after {after}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_the_start_is_told_to_the_customer_and_the_friend() {
    let rig = Rig::start().await;
    rig.riding().await;
    assert_eq!(rig.get("/taxis/1").await.body["taxiStatus"], "운행시작");
    let told = rig.told_all(3).await;
    let started = format!("택시운행이 시작되었습니다 : {INFO}");
    assert!(told.contains(&pair(CUSTOMER, started.clone())), "{told:?}");
    assert!(told.contains(&pair(FRIEND, started)), "{told:?}");
    let again = rig.patch("/taxis/1", json!({ "taxiStatus": "운행시작" })).await;
    assert_eq!(again.status, 200, "it is so already");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_a_review_is_for_the_taxi_and_for_after_the_end() {
    let rig = Rig::start().await;
    rig.riding().await;
    let review = json!({ "callStatus": "서비스평가", "estimateScore": "5" });
    let early = rig.patch("/calls/1", review.clone()).await;
    assert_eq!((early.status, &early.body["code"]), (409, &json!("anycall.stage")));
    assert_eq!(rig.end(15_000).await.status, 200);
    assert_eq!(rig.patch("/calls/1", json!({ "callStatus": "서비스평가" })).await.status, 400);
    let reviewed = rig.patch("/calls/1", review).await;
    assert_eq!((reviewed.status, &reviewed.body["callStatus"]), (200, &json!("서비스평가")));
    assert_eq!(rig.closed(1).await, "completed");
    assert_eq!(rig.get("/taxis/1").await.body["estimateScore"], "5");
    for (score, status) in [("5", 200), ("1", 409)] {
        let again = json!({ "callStatus": "서비스평가", "estimateScore": score });
        assert_eq!(rig.patch("/calls/1", again).await.status, status, "it was reviewed with 5");
    }
    // The first trip is rewarded; what is told on its own may come in between.
    let told = rig.told_all(7).await;
    let coupons: Vec<_> = told.iter().filter(|(_, message)| message.contains("쿠폰")).collect();
    assert!(matches!(coupons[..], [(to, _)] if to == CUSTOMER), "{told:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b13_every_stage_is_seen_while_no_service_answers() {
    let rig = Rig::start().await;
    let seen = async |field: &str| {
        rig.get("/taxiServiceInfos/1").await.body.get(field).cloned().unwrap_or_default()
    };
    rig.offered().await;
    assert_eq!(seen("callStatus").await, "택시호출");
    assert_eq!(rig.patch("/taxis/1", accept("114너7484")).await.status, 200);
    assert_eq!(seen("taxiStatus").await, "배정됨");
    let at = json!({ "latitude": "37.36", "longitude": "127.1" });
    assert_eq!(rig.patch("/taxis/1", at).await.status, 200);
    rig.until("/taxiServiceInfos/1", |info| info["latitude"] == 37.36).await;
    assert_eq!(rig.patch("/taxis/1", json!({ "taxiStatus": "운행시작" })).await.status, 200);
    assert_eq!(seen("taxiStatus").await, "운행시작");
    assert_eq!(rig.end(15_000).await.status, 200);
    let review = json!({ "callStatus": "서비스평가", "estimateScore": "5" });
    assert_eq!(rig.patch("/calls/1", review).await.status, 200);
    rig.until("/taxiServiceInfos/1", |info| info["estimateScore"] == "5").await;
    for service in ["anycall", "taxi", "membership", "payment", "notification"] {
        rig.fault(service, json!({ "down": true })).await;
    }
    assert_eq!(rig.get("/calls/1").await.status, 503);
    let info = rig.get("/taxiServiceInfos/1").await;
    assert_eq!(info.status, 200);
    for (field, is) in [
        ("callStatus", json!("서비스평가")),
        ("taxiStatus", json!("운행종료")),
        ("payAmt", json!(15_000)),
        ("creditCardNumber", json!("****-****-****-3456")),
        ("taxiNumber", json!("114너7484")),
    ] {
        assert_eq!(info.body[field], is, "{field}");
    }
    assert_eq!(info.body["_links"]["taxiServiceInfo"]["href"], "/taxiServiceInfos/1");
    let all = rig.get("/taxiServiceInfos").await.body;
    assert_eq!(all["page"]["totalElements"], 1, "{all}");
    assert_eq!(rig.get("/taxiServiceInfos/2").await.status, 404);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b14_the_gateway_shows_what_the_services_have() {
    let rig = Rig::start().await;
    rig.ended().await;
    rig.told_all(6).await;
    for path in
        ["/calls/1", "/taxis/1", "/notifies", "/notifies/1", "/payments/1", "/memberShips/1"]
    {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers["content-type"], "application/hal+json", "{path}");
        let named = rig.get(&format!("/anycall{path}")).await;
        let links = named.body.to_string().replace("/anycall/", "/");
        assert_eq!(serde_json::from_str::<Value>(&links).unwrap_or_default(), answer.body);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_messages_of_a_ride_without_its_notification_service_come_once_it_is_back() {
    // It never opens: with each answer lost, one that does would let one message through in five
    // seconds.
    let patient = BreakerSettings { calls: u32::MAX, ..BreakerSettings::default() };
    let rig = Rig::with_breakers(&[("notification", patient)].into()).await;
    rig.fault("notification", json!({ "down": true })).await;
    rig.ended().await;
    assert_eq!(
        rig.get("/v1/workflows?type=notice&status=running").await.body["items"]
            .as_array()
            .map(Vec::len),
        Some(6),
        "each waits by itself"
    );
    let review = json!({ "callStatus": "서비스평가", "estimateScore": "4" });
    assert_eq!(rig.patch("/calls/1", review).await.status, 200);
    assert_eq!(rig.closed(1).await, "completed");
    // It delivers, and its answers are lost: each is asked for again, and delivered once.
    rig.fault("notification", json!({ "lose_answer": true })).await;
    rig.until_table(7).await;
    rig.fault("notification", json!({})).await;
    rig.until("/v1/workflows?type=notice&status=completed", |all| {
        all["items"].as_array().is_some_and(|items| items.len() == 7)
    })
    .await;
    let mut told = rig.told().await;
    assert_eq!(told.len(), 7);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 7, "{told:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_of_two_drivers_at_a_time_one_gets_the_call() {
    let rig = Rig::start().await;
    rig.offered().await;
    let (one, two) =
        tokio::join!(rig.patch("/taxis/1", accept("1")), rig.patch("/taxis/1", accept("2")));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let winner = if one.status == 200 { "1" } else { "2" };
    assert_eq!(rig.get("/taxis/1").await.body["taxiNumber"], winner);
    assert_eq!(rig.patch("/taxis/1", accept(winner)).await.status, 200, "they have it already");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b17_the_data_of_the_member_who_calls_is_attached() {
    let rig = Rig::start().await;
    for card in ["a", "b", "c", "d", "e", "f"] {
        rig.member(card).await;
    }
    let seventh = rig.member("7777-7777-7777-7777").await;
    assert_eq!(seventh, 7);
    assert_eq!(rig.call(seventh).await.headers["location"], "/calls/1");
    let taxi = rig.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    assert_eq!(taxi["creditCardNumber"], "****-****-****-7777");
    assert_eq!(taxi["memberId"], 7);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_none_are_answered_with_those_that_are() {
    let rig = Rig::start().await;
    rig.offered().await;
    for (path, body, allowed) in [
        ("/calls/1", json!({ "callStatus": "취소" }), "호출취소, 서비스평가"),
        ("/taxis/1", json!({ "taxiStatus": "출발" }), "배정됨, 운행시작, 운행종료"),
    ] {
        let answer = rig.patch(path, body).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(answer.status == 400 && detail.contains(allowed), "{answer:?}");
    }
    for body in [
        json!({ "taxiStatus": "배정됨" }),
        json!({ "taxiStatus": "운행종료" }),
        json!({ "latitude": "91", "longitude": "0" }),
        json!({ "latitude": "37" }),
        json!({}),
    ] {
        assert_eq!(rig.patch("/taxis/1", body.clone()).await.status, 400, "{body}");
    }
    let early = rig.patch("/taxis/1", json!({ "latitude": 37.36, "longitude": "127.1" })).await;
    assert_eq!(early.status, 409, "{early:?}");
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    let late = rig.patch("/taxis/1", json!({ "latitude": 37.36, "longitude": "127.1" })).await;
    assert_eq!(late.status, 200, "{late:?}");
    let start = rig.patch("/taxis/1", json!({ "taxiStatus": "운행종료", "payAmt": "1" })).await;
    assert_eq!(start.status, 409, "it has not started");
    rig.stop().await;
}
