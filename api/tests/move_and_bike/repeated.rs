//! What starts a saga is asked for again: by clients that have heard no answer, of all systems.

use axum::http::StatusCode;
use hansom::config::Gateway;
use hansom_activities::numbers::{Numbers, Series};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::rig::{Answer, Rig, order};

const CHARGED: &str = "select count(*) from taxisvc.payment where kind = 'charge'";

/// A request that starts a saga.
struct Start {
    path: &'static str,
    body: Value,
    /// As it, but for something else.
    other: Value,
    workflow: &'static str,
}

impl Start {
    fn new(
        path: &'static str,
        workflow: &'static str,
        body: Value,
        (field, value): (&str, &str),
    ) -> Self {
        let mut other = body.clone();
        other[field] = json!(value);
        Self { path, body, other, workflow }
    }

    async fn sagas(&self, rig: &Rig) -> usize {
        let page = rig.get(&format!("/v1/workflows?type={}", self.workflow)).await.body;
        page["items"].as_array().map_or(0, Vec::len)
    }
}

fn taxi_call() -> Value {
    json!({ "userId": "1", "userName": "nana", "distance": "20" })
}

/// All that there are, with a member, a bike and points behind them.
async fn starts(rig: &Rig) -> [Start; 5] {
    let member = json!({
        "memberName": "홍길동", "phoneNumber": "010-1111-2222", "creditCardNumber": "1234-5678",
        "friendPhoneNumber": "010-3333-4444",
    });
    assert_eq!(rig.post("/anycall/memberShips", member).await.status, StatusCode::CREATED);
    let red = json!({ "color": "red", "registeredDate": "20230207" });
    assert_eq!(rig.post("/bike/managements", red).await.status, StatusCode::CREATED);
    let call = json!({
        "memberId": "1", "phoneNumber": "010-7202-2664", "startAddress": "정자동",
        "endAddress": "목동", "callStatus": "택시호출",
    });
    let approval = json!({ "userId": "10", "price": "3000", "approveDate": "20230207" });
    let reservation = json!({ "userId": "10", "bikeId": "1" });
    [
        Start::new("/taxisvc/calls", "taxi_call", taxi_call(), ("distance", "21")),
        Start::new("/anycall/calls", "anycall_ride", call, ("endAddress", "판교")),
        Start::new("/move/movers", "move_order", order("mapo", "100"), ("cost", "1")),
        Start::new("/bike/approvals", "point_purchase", approval, ("price", "1000")),
        Start::new("/bike/reservations", "bike_reservation", reservation, ("userId", "11")),
    ]
}

fn location(answer: &Answer) -> &str {
    answer.headers["location"].to_str().expect("a path")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_repeated_with_its_key_is_one_saga_and_another_body_is_refused() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    for start in starts(&rig).await {
        let Start { path, body, other, .. } = &start;
        let first = rig.post_with("a-key", path, body).await;
        assert_eq!(first.status, StatusCode::CREATED, "{path}: {first:?}");
        assert_eq!(location(&first), format!("{path}/1"));
        for _ in 0..2 {
            let again = rig.post_with("a-key", path, body).await;
            assert_eq!((again.status, location(&again)), (StatusCode::CREATED, location(&first)));
            assert_eq!(again.body, first.body);
        }
        let another = rig.post_with("a-key", path, other).await;
        assert_eq!(another.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {another:?}");
        assert_eq!(another.body["code"], "gateway.key_used");
        assert_eq!(another.body["field"], "Idempotency-Key");
        assert_eq!(start.sagas(&rig).await, 1, "{path}");
        for key in [None, Some("another-key")] {
            let anew = match key {
                None => rig.post(path, body.clone()).await,
                Some(key) => rig.post_with(key, path, body).await,
            };
            assert_eq!(anew.status, StatusCode::CREATED, "{path}: {anew:?}");
        }
        assert_eq!(start.sagas(&rig).await, 3, "{path}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_at_once_with_one_key_is_one_saga_and_one_answer() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    for start in starts(&rig).await {
        let (path, body) = (start.path, &start.body);
        let asked = (0..8).map(|_| rig.post_with("a-key", path, body));
        let answers = futures_util::future::join_all(asked).await;
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::CREATED, "{path}: {answer:?}");
            assert_eq!((location(answer), &answer.body), (location(&answers[0]), &answers[0].body));
        }
        assert_eq!(start.sagas(&rig).await, 1, "{path}");
    }
    assert_eq!(rig.count(CHARGED).await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_and_asks_again_with_the_key_pays_once() {
    let rig = std::sync::Arc::new(Rig::start(Gateway::Taxisvc).await);
    // It is paid no sooner, and the attempt is not given up on meanwhile.
    let ledger = rig.hold_ledger().await;
    let mut client = JoinSet::new();
    let asks = std::sync::Arc::clone(&rig);
    client.spawn(async move { asks.post_with("a-key", "/taxisvc/calls", &taxi_call()).await });
    rig.until("/v1/workflows/taxisvc.call.1", |flow| {
        flow["activities"][0]["activity"] == "charge_fare"
    })
    .await;
    client.shutdown().await;
    assert_eq!(rig.count(CHARGED).await, 0, "it hung up before it was paid");
    ledger.rollback().await.expect("it is let go");

    let again = rig.post_with("a-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!(again.status, StatusCode::CREATED, "{again:?}");
    assert_eq!(location(&again), "/taxisvc/calls/1");
    assert_eq!(rig.count(CHARGED).await, 1);
    std::sync::Arc::into_inner(rig).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hears_that_it_is_pending_and_asks_again_with_the_key_pays_once() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    // It is paid no sooner, and the attempt is not given up on meanwhile.
    let ledger = rig.hold_ledger().await;
    let away = async {
        rig.until("/v1/workflows/taxisvc.call.1", |flow| {
            flow["activities"][0]["activity"] == "charge_fare"
        })
        .await;
        // It is paid, and cannot be marked so.
        rig.fault("call", json!({ "down": true })).await;
        ledger.rollback().await.expect("it is let go");
    };
    let call = taxi_call();
    let (pending, ()) = tokio::join!(rig.post_with("a-key", "/taxisvc/calls", &call), away);
    assert_eq!(pending.status, StatusCode::GATEWAY_TIMEOUT, "{pending:?}");
    assert_eq!(location(&pending), "/taxisvc/calls/1");
    assert!(pending.headers.contains_key("retry-after"));
    let detail = pending.body["detail"].as_str().unwrap();
    assert!(detail.contains("with the same Idempotency-Key is safe"), "{detail}");

    rig.fault("call", json!({})).await;
    let again = rig.post_with("a-key", "/taxisvc/calls", &call).await;
    assert_eq!((again.status, location(&again)), (StatusCode::CREATED, "/taxisvc/calls/1"));
    assert_eq!(rig.count(CHARGED).await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_its_number_but_no_saga_yet_is_given_one() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    // As a server leaves it that is killed between the two.
    let numbers = Numbers::new(rig.pool.clone());
    assert_eq!(numbers.next_for(Series::TaxisvcCall, "a-key").await.unwrap(), 1);
    let other = rig.post("/taxisvc/calls", taxi_call()).await;
    assert_eq!(location(&other), "/taxisvc/calls/2");
    let again = rig.post_with("a-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!((again.status, location(&again)), (StatusCode::CREATED, "/taxisvc/calls/1"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_its_attempt_whatever_came_of_it_and_has_become_of_it() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    let [call, ride, order, ..] = starts(&rig).await;
    for (start, service, fault, status) in [
        (&call, "payment", json!({ "decline": true }), StatusCode::PAYMENT_REQUIRED),
        (&order, "movemanage", json!({ "down": true }), StatusCode::SERVICE_UNAVAILABLE),
    ] {
        rig.fault(service, fault).await;
        let refused = rig.post_with("a-key", start.path, &start.body).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body.to_string().contains("a new attempt takes a new one"), "{refused:?}");
        assert!(!refused.headers.contains_key("retry-after"), "to repeat it is in vain");
        rig.fault(service, json!({})).await;
        assert_eq!(rig.post_with("a-key", start.path, &start.body).await.status, status);
        let anew = rig.post_with("another-key", start.path, &start.body).await;
        assert_eq!(anew.status, StatusCode::CREATED, "{anew:?}");
    }
    let cancelled = rig.post("/taxisvc/calls/cancel", json!({ "callId": 2 })).await;
    assert_eq!(cancelled.status, StatusCode::OK);
    assert_eq!(rig.over("taxisvc.call.2").await, "cancelled");
    let again = rig.post_with("another-key", call.path, &call.body).await;
    assert_eq!((again.status, location(&again)), (StatusCode::CREATED, "/taxisvc/calls/2"));
    rig.fault("payment", json!({ "down": true })).await;
    let unpaid = rig.post_with("a-third-key", call.path, &call.body).await;
    assert_eq!(unpaid.body["code"], "taxisvc.payment_unavailable", "{unpaid:?}");
    assert!(!unpaid.headers.contains_key("retry-after"), "to repeat it is in vain");
    let unpaid = rig.post(call.path, call.body.clone()).await;
    assert_eq!(unpaid.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(unpaid.headers.contains_key("retry-after"), "the next one may be paid");
    rig.fault("payment", json!({})).await;

    assert_eq!(rig.post_with("a-key", ride.path, &ride.body).await.status, StatusCode::CREATED);
    let no_card = json!({ "creditCardNumber": "" });
    rig.send("PATCH", "/anycall/memberShips/1", no_card).await;
    let refused = rig.post_with("another-key", ride.path, &ride.body).await;
    assert_eq!(refused.body["code"], "anycall.no_card", "nothing is begun: {refused:?}");
    assert_eq!(rig.post_with("a-key", ride.path, &ride.body).await.status, StatusCode::CREATED);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_told_also_by_a_server_that_begins_nothing_more() {
    let rig = Rig::bounded(Gateway::Taxisvc, 1).await;
    // The attempt to find a driver is under way for as long as it may be.
    rig.fault("drive", json!({ "latency_ms": 60_000 })).await;
    let first = rig.post_with("a-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    rig.until("/v1/workflows/taxisvc.call.1", |flow| {
        flow["activities"][0]["activity"] == "request_drive"
    })
    .await;
    // The row is there before the engine has heard of its commit.
    rig.behind().await;
    let new = rig.post_with("another-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!(new.body["code"], "server.overloaded", "{new:?}");
    let again = rig.post_with("a-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!((again.status, location(&again)), (StatusCode::CREATED, location(&first)));
    rig.fault("drive", json!({})).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_1_to_255_visible_characters() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    for start in starts(&rig).await {
        for key in ["", "two words", "tab\there", "é", &"k".repeat(256)] {
            let answer = rig.post_with(key, start.path, &start.body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}: {key:?}", start.path);
            assert_eq!(answer.body["field"], "Idempotency-Key");
        }
        assert_eq!(start.sagas(&rig).await, 0);
        let longest = rig.post_with(&"/".repeat(255), start.path, &start.body).await;
        assert_eq!(longest.status, StatusCode::CREATED, "{longest:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_anothers_is_not_told_as_done() {
    let rig = Rig::start(Gateway::Taxisvc).await;
    let input = json!({ "call_id": 1, "user_id": "2", "user_name": "hand", "distance": 2_000 });
    let by_hand = json!({ "type": "taxi_call", "id": "taxisvc.call.1", "input": input });
    assert_eq!(rig.post("/v1/workflows", by_hand).await.status, StatusCode::CREATED);
    let answer = rig.post_with("a-key", "/taxisvc/calls", &taxi_call()).await;
    assert_eq!(answer.body["code"], "gateway.key_used", "{answer:?}");
    rig.stop().await;
}
