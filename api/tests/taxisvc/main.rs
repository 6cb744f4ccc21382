//! The acceptance scenarios of taxisvc, through the real router and a real
//! engine. Each begins with the number it has in the specification.

mod apart;
#[path = "../canary/mod.rs"]
mod canary;
#[path = "../ledger/mod.rs"]
mod ledger;
mod owner;
mod rig;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use self::canary::Canary;
use self::rig::{Rig, entries};

/// As much of an attempt's 610 ms is no accident of a busy machine.
const STOOD_STILL: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a1_a_call_is_answered_when_it_is_paid_and_publishes_three_events_in_order() {
    let rig = Rig::start().await;
    let call = rig.call("20").await;
    assert_eq!(call.status, StatusCode::CREATED);
    assert_eq!(call.headers["location"], "/calls/1");
    assert_eq!(call.headers["content-type"], "application/hal+json");
    assert_eq!(
        call.body,
        json!({
            "callId": 1, "callStatus": "driveRequest", "distance": 20.0,
            "userId": "1", "userName": "nana",
            "_links": { "self": { "href": "/calls/1" }, "call": { "href": "/calls/1" } },
        })
    );
    let payment = rig.get("/payments/1").await.body;
    assert_eq!((&payment["callId"], &payment["fare"]), (&json!(1), &json!(200_000)));

    let feed = |body: &Value| body["events"].as_array().is_some_and(|events| events.len() >= 3);
    let feed = rig.until("/taxisvc/events", feed).await;
    let types: Vec<_> = feed["events"].as_array().into_iter().flatten().collect();
    let types: Vec<_> = types.iter().map(|event| event["eventType"].as_str()).collect();
    assert_eq!(types, [Some("FarePaid"), Some("CallPlaced"), Some("DriveStarted")]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_the_driver_ends_the_drive_and_the_call_is_complete() {
    let rig = Rig::start().await;
    rig.ride().await;
    let end = rig.post("/drives/end", json!({ "driveId": "1" })).await;
    assert_eq!((end.status, end.body), (StatusCode::OK, Value::Null));
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "driveComplete");
    assert_eq!(rig.get("/drives/1").await.body["driveStatus"], "end");
    assert_eq!(rig.closed(1).await, "completed");
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted", "DrivieEnded"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_hundred_kilometres_find_a_driver_and_a_hundredth_more_does_not() {
    let rig = Rig::start().await;
    assert_eq!(rig.call("100").await.status, StatusCode::CREATED);
    rig.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    for (id, distance) in [(2, "100.01"), (3, "101")] {
        assert_eq!(rig.call(distance).await.status, StatusCode::CREATED);
        assert_eq!(rig.closed(id).await, "failed");
        let call = rig.get(&format!("/calls/{id}")).await.body;
        assert_eq!(call["callStatus"], "requestCancel");
        let payment = rig.get(&format!("/payments/{id}")).await.body;
        assert_eq!(payment["status"], "REFUNDED");
        assert_eq!(payment["refund"]["fare"], payment["fare"]);
        let drive = rig.get(&format!("/drives/{id}")).await.body;
        assert_eq!(drive["driveStatus"], "requestCancel");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_without_a_driver_the_drive_then_the_call_then_the_payment_is_cancelled() {
    let rig = Rig::start().await;
    assert_eq!(rig.call("101").await.status, StatusCode::CREATED);
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(
        rig.events().await,
        ["FarePaid", "CallPlaced", "DriveNotAvailavled", "CallCancelled"]
    );
    assert_eq!(rig.undone(1).await, ["cancel_call", "refund_fare", "cancel_call"]);
    assert_eq!(rig.ledger().await, entries([("charge", 1_010_000), ("refund", 1_010_000)]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_cancel_under_way_releases_the_driver_and_refunds() {
    let rig = Rig::start().await;
    rig.ride().await;
    let cancel = rig.post("/calls/cancel", json!({ "callId": "1" })).await;
    assert_eq!((cancel.status, cancel.body), (StatusCode::OK, Value::Null));
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "requestCancel");
    assert_eq!(rig.get("/payments/1").await.body["status"], "REFUNDED");
    assert_eq!(rig.get("/drives/1").await.body["driveStatus"], "requestCancel");
    assert_eq!(rig.closed(1).await, "cancelled");
    assert_eq!(rig.undone(1).await, ["release_drive", "cancel_call", "refund_fare", "cancel_call"]);
    let again = rig.post("/calls/cancel", json!({ "callId": 1 })).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(rig.ledger().await, entries([("charge", 200_000), ("refund", 200_000)]));
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted", "CallCancelled"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_a_declined_payment_is_a_problem_and_leaves_no_drive_and_no_refund() {
    let rig = Rig::start().await;
    rig.fault("payment", json!({ "decline": true })).await;
    let call = rig.call("20").await;
    assert_eq!(call.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(call.headers["content-type"], "application/problem+json");
    assert_eq!(call.body["code"], "taxisvc.payment_declined");
    assert_eq!((&call.body["callId"], &call.body["callStatus"]), (&json!(1), &json!("payFail")));
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "payFail");
    for path in ["/drives", "/payments", "/callViews"] {
        assert_eq!(rig.get(path).await.body["page"]["totalElements"], 0, "{path}");
    }
    assert_eq!(rig.ledger().await, entries([("void", 0)]));
    assert!(rig.events().await.is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a_payment_whose_answer_is_slow_once_is_charged_once() {
    let canary = Canary::start();
    // There are two attempts, and one is spent here: a machine that stands still spends the other.
    for is_last in [false, false, true] {
        let rig = Rig::start().await;
        // The first gets no further than the ledger before it is given up on, and then does.
        let ledger = rig.hold_ledger().await;
        let recovery = async {
            let given_up = |history: &Value| history.to_string().contains("attempt_failed");
            rig.until("/v1/workflows/taxisvc.call.1/history?limit=200", given_up).await;
            ledger.rollback().await.expect("it is let go");
        };
        let asked_at = Instant::now();
        let (call, ()) = tokio::join!(rig.call("20"), recovery);
        let stood_still = canary.late(asked_at, Instant::now()) >= STOOD_STILL;
        if call.status == StatusCode::SERVICE_UNAVAILABLE && stood_still && !is_last {
            rig.stop().await;
            continue;
        }
        assert_eq!(call.status, StatusCode::CREATED);
        assert_eq!(rig.failed_attempts(1).await, 1);
        assert_eq!(rig.ledger().await, entries([("charge", 200_000)]));
        rig.stop().await;
        break;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a_payment_that_never_answers_in_time_is_payfail_and_what_it_took_goes_back() {
    let rig = Rig::start().await;
    rig.fault("payment", json!({ "latency_ms": 700 })).await;
    let call = rig.call("20").await;
    assert_eq!(call.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(call.body["code"], "taxisvc.payment_unavailable");
    assert_eq!(call.body["callStatus"], "payFail");
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(rig.ledger().await, entries([("charge", 200_000), ("refund", 200_000)]));
    assert_eq!(rig.get("/drives").await.body["page"]["totalElements"], 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_the_gateway_answers_as_the_services_do_and_its_links_stay_where_one_came_in() {
    let rig = Rig::start().await;
    rig.ride().await;
    // The row of the view comes with a commit of its own.
    rig.until("/callViews/1", |shown| shown["callStatus"] == "driveStart").await;
    for path in ["/calls", "/drives", "/payments", "/callViews", "/calls/1", "/drives/1"] {
        let (bare, own) = (rig.get(path).await, rig.get(&format!("/taxisvc{path}")).await);
        assert_eq!((bare.status, own.status), (StatusCode::OK, StatusCode::OK), "{path}");
        let own = own.body.to_string();
        assert!(own.contains("\"href\":\"/taxisvc/"), "{own}");
        assert_eq!(bare.body.to_string(), own.replace("\"/taxisvc/", "\"/"));
    }
    let calls = rig.get("/calls").await.body;
    assert_eq!(calls["_embedded"]["calls"][0]["callId"], 1);
    assert_eq!(
        calls["page"],
        json!({ "size": 20, "totalElements": 1, "totalPages": 1, "number": 0 })
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_while_drive_is_down_calls_are_taken_and_views_are_shown_and_then_it_goes_on() {
    let rig = Rig::start().await;
    rig.ride().await;
    rig.fault("drive", json!({ "down": true })).await;
    assert_eq!(rig.get("/drives").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.call("20").await.status, StatusCode::CREATED);
    let failed = |flow: &Value| flow["activities"][0]["last_failure"].is_string();
    rig.until("/v1/workflows/taxisvc.call.2", failed).await;
    assert_eq!(rig.get("/calls/2").await.body["callStatus"], "driveRequest");
    let views = rig.get("/callViews").await;
    assert_eq!(views.status, StatusCode::OK);
    assert_eq!(views.body["_embedded"]["callViews"][0]["driverName"], "driver1111");
    assert_eq!(views.body["_embedded"]["callViews"][1]["callStatus"], "driveRequest");
    rig.fault("drive", json!({})).await;
    rig.until("/calls/2", |call| call["callStatus"] == "driveStart").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_the_view_shows_call_and_drive_together_from_start_to_end() {
    let rig = Rig::start().await;
    rig.ride().await;
    let mut view = json!({
        "callId": 1, "callStatus": "driveStart", "driveId": 1, "driveStatus": "start",
        "driverName": "driver1111", "taxiNum": "1111", "userName": "nana",
        "_links": { "self": { "href": "/callViews/1" }, "callView": { "href": "/callViews/1" } },
    });
    // The row of the view comes with a commit of its own.
    rig.until("/callViews/1", |shown| shown["callStatus"] == "driveStart").await;
    assert_eq!(rig.get("/callViews").await.body["_embedded"]["callViews"], json!([view]));
    rig.post("/drives/end", json!({ "driveId": 1 })).await;
    view["driveStatus"] = json!("end");
    view["callStatus"] = json!("driveComplete");
    rig.until("/callViews/1", |shown| shown["callStatus"] == "driveComplete").await;
    assert_eq!(rig.get("/callViews/1").await.body, view);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_ending_twice_is_one_event_and_cancelling_after_the_end_is_refused() {
    let rig = Rig::start().await;
    rig.ride().await;
    for _ in 0..2 {
        let end = rig.post("/drives/end", json!({ "driveId": 1 })).await;
        assert_eq!(end.status, StatusCode::OK);
    }
    let cancel = rig.post("/calls/cancel", json!({ "callId": 1 })).await;
    assert_eq!(cancel.status, StatusCode::CONFLICT);
    assert_eq!(cancel.headers["content-type"], "application/problem+json");
    assert_eq!(cancel.body["code"], "taxisvc.call_completed");
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "driveComplete");
    assert_eq!(rig.ledger().await, entries([("charge", 200_000)]));
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted", "DrivieEnded"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_answer_was_lost_each_time_is_refunded() {
    let rig = Rig::start().await;
    rig.fault("payment", json!({ "lose_answer": true })).await;
    let call = rig.call("20").await;
    assert_eq!(call.body["code"], "taxisvc.payment_unavailable");
    assert_eq!(rig.ledger().await[0], ("charge".to_owned(), 200_000));
    rig.fault("payment", json!({})).await;
    assert_eq!(rig.closed(1).await, "failed");
    assert_eq!(rig.ledger().await, entries([("charge", 200_000), ("refund", 200_000)]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_the_driver_is_looked_for_leaves_no_drive_and_no_money_taken() {
    let rig = Rig::start().await;
    rig.fault("drive", json!({ "down": true })).await;
    assert_eq!(rig.call("20").await.status, StatusCode::CREATED);
    let cancel = rig.post("/calls/cancel", json!({ "callId": 1 })).await;
    assert_eq!(cancel.status, StatusCode::ACCEPTED, "the drive service has to hear of it first");
    rig.fault("drive", json!({})).await;
    assert_eq!(rig.closed(1).await, "cancelled");
    assert_eq!(rig.get("/drives").await.body["page"]["totalElements"], 0);
    assert_eq!(rig.ledger().await, entries([("charge", 200_000), ("refund", 200_000)]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_heard_of_is_cancelled_and_ended_without_effect() {
    let rig = Rig::start().await;
    assert_eq!(rig.post("/calls/cancel", json!({ "callId": 99 })).await.status, StatusCode::OK);
    assert_eq!(rig.post("/drives/end", json!({ "driveId": 99 })).await.status, StatusCode::OK);
    for path in ["/calls/99", "/drives/99", "/payments/99", "/callViews/99", "/calls/x"] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.body["code"], "gateway.not_found", "{path}");
    }
    assert!(rig.events().await.is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_one_is_refused_by_the_name_of_its_field_and_takes_no_id() {
    let rig = Rig::start().await;
    for distance in [json!("0"), json!(-1), json!("ten"), json!(null), json!("1.005"), json!(1e7)] {
        let call = rig.post("/calls", json!({ "userId": "1", "distance": distance })).await;
        assert_eq!(call.status, StatusCode::BAD_REQUEST, "{distance}");
        assert_eq!(call.body["field"], "/distance", "{distance}");
        assert_eq!(call.headers["content-type"], "application/problem+json");
    }
    let call = rig.post("/calls", json!({ "userId": 1, "distance": 0.5, "callStatus": "x" })).await;
    assert_eq!(call.headers["location"], "/calls/1");
    assert_eq!(call.body["userId"], "1");
    assert_eq!(call.body["distance"], 0.5);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_collections_do_not_know_says_what_they_know() {
    let rig = Rig::start().await;
    let answer = rig.send("DELETE", "/calls/1").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_where_its_other_pages_are() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        assert_eq!(rig.call("1").await.status, StatusCode::CREATED);
    }
    let page = rig.get("/calls?page=1&size=1&sort=callId").await.body;
    assert_eq!(page["_embedded"]["calls"][0]["callId"], 2);
    assert_eq!(page["_links"]["next"]["href"], "/calls?page=2&size=1");
    assert_eq!(page["_links"]["prev"]["href"], "/calls?page=0&size=1");
    assert_eq!(page["page"]["totalPages"], 3);
    assert_eq!(rig.get("/calls?page=x").await.status, StatusCode::BAD_REQUEST);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_not_there_is_refused_and_the_others_are_shown() {
    let rig = Rig::start().await;
    rig.fault("drive", json!({ "latency_ms": "50", "lose_answer": "false" })).await;
    assert_eq!(
        rig.get("/faults/drive").await.body,
        json!({ "down": false, "latency_ms": 50, "error_rate": 0.0, "decline": false, "lose_answer": false })
    );
    assert_eq!(rig.get("/faults/dirve").await.status, StatusCode::NOT_FOUND);
    assert_eq!(rig.get("/faults").await.body["call"]["down"], false);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_or_terminated_while_it_is_paid_says_so_however_long_it_unwinds() {
    for (verb, code, end) in [
        ("cancel", "taxisvc.call_cancelled", "cancelled"),
        ("terminate", "taxisvc.call_terminated", "terminated"),
    ] {
        let rig = Rig::start().await;
        rig.fault("payment", json!({ "latency_ms": 60_000 })).await;
        let close = async {
            let charging = |flow: &Value| flow["activities"][0]["activity"] == "charge_fare";
            rig.until("/v1/workflows/taxisvc.call.1", charging).await;
            // What was written down cannot be marked cancelled for longer than anyone waits.
            rig.fault("call", json!({ "down": true })).await;
            let path = format!("/v1/workflows/taxisvc.call.1/{verb}");
            let closing = rig.post(&path, json!({ "reason": "a test" })).await;
            assert!(closing.status.is_success(), "{}", closing.body);
        };
        let (call, ()) = tokio::join!(rig.call("20"), close);
        assert_eq!((call.status, &call.body["code"]), (StatusCode::CONFLICT, &json!(code)));
        rig.fault("call", json!({})).await;
        rig.fault("payment", json!({})).await;
        assert_eq!(rig.closed(1).await, end);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ride_that_an_operator_terminated_is_neither_ended_nor_cancelled() {
    let rig = Rig::start().await;
    assert_eq!(rig.call("20").await.status, StatusCode::CREATED);
    rig.until("/drives/1", |drive| drive["driveStatus"] == "start").await;
    let path = "/v1/workflows/taxisvc.call.1/terminate";
    assert!(rig.post(path, json!({ "reason": "a test" })).await.status.is_success());
    for (path, body) in
        [("/drives/end", json!({ "driveId": 1 })), ("/calls/cancel", json!({ "callId": 1 }))]
    {
        let refused = rig.post(path, body).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path}");
        assert_eq!(refused.body["code"], "taxisvc.call_terminated", "{path}");
        let kind = rig.get(refused.body["type"].as_str().expect("it links to its kind")).await;
        assert_eq!(kind.body["title"], "The call was terminated", "{path}");
    }
    assert_eq!(rig.get("/drives/1").await.body["driveStatus"], "start");
    assert_eq!(rig.ledger().await, entries([("charge", 200_000)]));
    rig.stop().await;
}
