//! The bundled services as processes of their own, killed, slowed and started again.

mod operations;
#[path = "../processes/mod.rs"]
mod processes;

use serde_json::{Value, json};

use self::processes::{Server, migrated, run, text};

pub(crate) fn call() -> Value {
    json!({ "userId": "1", "userName": "nana", "distance": "20" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_calls_wait_for_a_drive_service_that_is_gone_and_the_views_are_there_meanwhile() {
    let database = migrated().await;
    let mut drive = Server::service("drive", database.url());
    let at = ["--listen", "127.0.0.1:0", "--drive-url", &drive.url];
    let server = Server::start_with(database.url(), &at);
    assert_eq!(server.post("/calls", call()).await.status, 201);
    server.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    assert_eq!(server.get("/drives/1").await.body, drive.get("/drives/1").await.body);

    drive.kill();
    assert_eq!(server.post("/calls", call()).await.status, 201);
    let gone = server.get("/drives/1").await;
    assert_eq!((gone.status, &gone.body["code"]), (503, &json!("service.down")));
    assert_eq!(gone.headers["retry-after"], "1");
    let shown = server.get("/v1/workflows/taxisvc.call.2").await.body;
    assert_eq!(shown["status"], "running", "{shown}");
    assert_eq!(server.get("/calls/2").await.body["callStatus"], "driveRequest");
    let views = server.get("/callViews").await.body;
    assert_eq!(views["page"]["totalElements"], 2, "{views}");

    drive.revive("drive", database.url());
    server.until("/calls/2", |call| call["callStatus"] == "driveStart").await;
    assert_eq!(server.post("/drives/end", json!({ "driveId": 2 })).await.status, 200);
    server.until("/calls/2", |call| call["callStatus"] == "driveComplete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_answers_are_lost_on_the_way_is_taken_once_or_goes_back() {
    let database = migrated().await;
    let payment = Server::service("payment", database.url());
    let at = ["--listen", "127.0.0.1:0", "--payment-url", &payment.url];
    let server = Server::start_with(database.url(), &at);
    let lost = server.post("/faults/payment", json!({ "lose_answer": true })).await;
    assert_eq!(lost.status, 200, "the switches of a service elsewhere are at the gateway too");
    assert_eq!(payment.get("/faults").await.body["lose_answer"], true);
    assert_eq!(server.get("/faults").await.body["payment"]["lose_answer"], true);

    let call = server.post("/calls", call()).await;
    assert_eq!((call.status, &call.body["callStatus"]), (503, &json!("payFail")));
    assert_eq!(payment.post("/faults", json!({})).await.status, 200);
    let refunded = server.until("/payments/1", |payment| payment["status"] == "REFUNDED").await;
    assert_eq!(refunded["refund"]["fare"], 200_000);
    assert_eq!(payment.get("/taxisvc/payments").await.body["page"]["totalElements"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_refuses_what_it_does_not_perform_and_stops_when_it_is_told_to() {
    let database = migrated().await;
    let mut drive = Server::service("drive", database.url());
    let order = json!({
        "request": {}, "workflow_id": "w", "run": "r", "seq": 0, "direction": "do", "attempt": 1,
    });
    let unknown = drive.post("/activities/request_drives", order).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let detail = unknown.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("did you mean `request_drive`?"), "{detail}");
    assert_eq!(drive.post("/faults", json!({ "decline": true })).await.status, 400);
    assert_eq!(drive.get("/readyz").await.status, 200);
    drive.signal("-TERM");
    assert_eq!(drive.ended(), Some(0));

    let nameless = run(&["service", "drvie"], database.url());
    let said = text(&nameless.stderr);
    assert_eq!(nameless.status.code(), Some(2), "{said}");
    assert!(said.contains("'drive'"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_flipped_leaves_the_others_of_its_service_as_they_are() {
    let database = migrated().await;
    let drive = Server::service("drive", database.url());
    let at = ["--listen", "127.0.0.1:0", "--drive-url", &drive.url];
    let server = Server::start_with(database.url(), &at);
    let flip = async |switch: Value| server.send("PATCH", "/faults/drive", Some(switch)).await;
    let all = |down| json!({ "down": down, "latency_ms": 50, "error_rate": 0.5, "decline": false, "lose_answer": true });
    let set = json!({ "latency_ms": 50, "error_rate": 0.5, "lose_answer": true });
    assert_eq!(server.post("/faults/drive", set).await.body, all(false));
    assert_eq!(flip(json!({ "down": true })).await.body, all(true));
    assert_eq!(flip(json!({ "down": false, "decline": true })).await.status, 400);
    assert_eq!(flip(json!({ "dwon": false })).await.status, 422);
    assert_eq!(flip(json!({ "down": null })).await.body, all(true), "nothing is asked for");
    assert_eq!(flip(json!({ "down": false })).await.body, all(false));
    assert_eq!(server.post("/faults/drive", json!({ "down": true })).await.body["latency_ms"], 0);

    let of_all = server.post("/faults", json!({ "down": true })).await;
    assert_eq!((of_all.status, &of_all.headers["allow"]), (405, &"GET,HEAD".parse().unwrap()));
    assert!(of_all.body["detail"].as_str().unwrap().contains("/faults/{service}"), "{of_all:?}");
    let off = server.send("DELETE", "/faults/drive", None).await;
    assert_eq!(off.status, 405, "{off:?}");
    let allowed = off.headers["allow"].to_str().unwrap();
    assert!(["GET", "PUT", "POST", "PATCH"].iter().all(|way| allowed.contains(way)), "{allowed}");
}
