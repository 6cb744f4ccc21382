//! `hansom audit`: the books of the services against what the sagas say.

#[path = "../processes/mod.rs"]
mod processes;

use serde_json::{Value, json};
use sqlx::PgPool;

use self::processes::{Server, migrated, run, text};

/// The exit code, and what was found.
fn audit(url: &str) -> (Option<i32>, Value) {
    let output = run(&["audit", "-o", "json"], url);
    let said = text(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).expect(&said))
}

fn found(report: &Value) -> Vec<(Option<&str>, &str)> {
    let examples = report["examples"].as_array().into_iter().flatten();
    examples
        .map(|breach| {
            (breach["workflow_id"].as_str(), breach["detail"].as_str().unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_is_earned_given_back_or_under_way_and_what_is_not_is_named() {
    let database = migrated().await;
    let server = Server::start(database.url());
    for (id, distance) in [(1, "20"), (2, "30"), (3, "101"), (4, "40")] {
        let call = json!({ "userId": "1", "userName": "nana", "distance": distance });
        assert_eq!(server.post("/calls", call).await.status, 201);
        // A drive has its number when it is asked for, which may be after the next call.
        server.until(&format!("/drives/{id}"), |drive| drive["callId"] == id).await;
    }
    server.until("/calls/1", |call| call["callStatus"] == "driveStart").await;
    assert_eq!(server.post("/drives/end", json!({ "driveId": 1 })).await.status, 200);
    server.until("/calls/2", |call| call["callStatus"] == "driveStart").await;
    assert_eq!(server.post("/calls/cancel", json!({ "callId": 2 })).await.status, 200);
    for (call, status) in [(1, "completed"), (2, "cancelled"), (3, "failed")] {
        let path = format!("/v1/workflows/taxisvc.call.{call}");
        server.until(&path, |workflow| workflow["status"] == status).await;
    }
    server.until("/calls/4", |call| call["callStatus"] == "driveStart").await;

    let (exit, report) = audit(database.url());
    let totals = json!({
        "charged": 1_910_000, "given_back": 1_310_000, "completed": 200_000,
        "under_way": 400_000, "difference": 0,
    });
    assert_eq!((exit, &report["totals"]["KRW"], &report["sagas"]), (Some(0), &totals, &json!(4)));
    let table = text(&run(&["audit"], database.url()).stdout);
    assert!(table.starts_with("CURRENCY") && table.contains("all adds up"), "{table}");

    let pool = PgPool::connect(database.url()).await.expect("it answers");
    for mistake in [
        "delete from taxisvc.payment where call_id = 2 and kind = 'refund'",
        "update taxisvc.drive set status = 'start' where call_id = 3",
        "insert into taxisvc.payment (call_id, run, kind, pay_id, fare, reason)
         values (99, 'r', 'charge', 99, 70, 'fare')",
    ] {
        sqlx::raw_sql(mistake).execute(&pool).await.expect("it is done");
    }
    let (exit, report) = audit(database.url());
    assert_eq!((exit, &report["breaches"]), (Some(6), &json!(3)), "{report}");
    assert_eq!(report["totals"]["KRW"]["difference"], 300_070, "{report}");
    let breaches = [
        (Some("taxisvc.call.2"), "it is cancelled, and 300000 KRW charged, 0 given back, 0 earned"),
        (Some("taxisvc.call.3"), "it is failed, and drive 3 is held"),
        (Some("taxisvc.call.99"), "no workflow has that id, and 70 KRW are charged for it"),
    ];
    let mut found = found(&report);
    found.sort_unstable();
    assert_eq!(found, breaches);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_started_under_an_id_of_ones_own_is_found_by_its_run() {
    let database = migrated().await;
    let server = Server::start(database.url());
    for (id, call) in [("trip-7", 7), ("trip-8", 8)] {
        let input =
            json!({ "call_id": call, "user_id": "1", "user_name": "nana", "distance": 2000 });
        let start = json!({ "type": "taxi_call", "id": id, "input": input });
        let started = server.post("/v1/workflows", start).await;
        assert_eq!(started.status, 201, "{started:?}");
        server.until(&format!("/calls/{call}"), |call| call["callStatus"] == "driveStart").await;
    }
    assert_eq!(server.post("/v1/workflows/trip-8/cancel", json!({})).await.status, 202);
    server.until("/v1/workflows/trip-8", |trip| trip["status"] == "cancelled").await;
    let (exit, report) = audit(database.url());
    let totals = json!({
        "charged": 400_000, "given_back": 200_000, "completed": 0, "under_way": 200_000,
        "difference": 0,
    });
    assert_eq!((exit, &report["totals"]["KRW"]), (Some(0), &totals), "{report}");
    let pool = PgPool::connect(database.url()).await.expect("it answers");
    let mistake = "delete from taxisvc.payment where call_id = 8 and kind = 'refund'";
    sqlx::raw_sql(mistake).execute(&pool).await.expect("it is done");
    let (exit, report) = audit(database.url());
    let breach = "it is cancelled, and 200000 KRW charged, 0 given back, 0 earned";
    assert_eq!((exit, found(&report)), (Some(6), vec![(Some("trip-8"), breach)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ride_that_is_paid_at_its_end_is_earned_and_a_taxi_of_a_cancelled_one_is_free() {
    let database = migrated().await;
    let server =
        Server::start_with(database.url(), &["--listen", "127.0.0.1:0", "--gateway", "anycall"]);
    let member = json!({
        "memberName": "홍길동", "phoneNumber": "010-1111-2222", "creditCardNumber": "1234",
        "friendPhoneNumber": "",
    });
    assert_eq!(server.post("/memberShips", member).await.status, 201);
    for _ in 0..2 {
        let call = json!({
            "memberId": 1, "phoneNumber": "010-7202-2664", "startAddress": "정자동",
            "endAddress": "목동", "callStatus": "택시호출",
        });
        assert_eq!(server.post("/calls", call).await.status, 201);
    }
    let cancelled = server.send("PATCH", "/calls/2", Some(json!({ "callStatus": "호출취소" })));
    assert_eq!(cancelled.await.status, 200);
    server.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    for step in [
        json!({ "taxiNumber": "114너7484", "taxiInfo": "x", "callStatus": "배정됨",
                "taxiStatus": "배정됨" }),
        json!({ "taxiStatus": "운행시작" }),
        json!({ "taxiStatus": "운행종료", "payAmt": "15000" }),
    ] {
        let answer = server.send("PATCH", "/taxis/1", Some(step)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server.until("/v1/workflows/anycall.call.2", |ride| ride["status"] == "cancelled").await;
    let (exit, report) = audit(database.url());
    let totals = json!({
        "charged": 15_000, "given_back": 0, "completed": 15_000, "under_way": 0, "difference": 0,
    });
    assert_eq!((exit, &report["totals"]["KRW"]), (Some(0), &totals), "{report}");

    let pool = PgPool::connect(database.url()).await.expect("it answers");
    let mistake = "update anycall.taxi set call_status = '택시호출' where call_id = 2";
    sqlx::raw_sql(mistake).execute(&pool).await.expect("it is done");
    let (exit, report) = audit(database.url());
    let breach = (Some("anycall.call.2"), "it is cancelled, and a dispatch is held");
    assert_eq!((exit, found(&report)), (Some(6), vec![breach]));
}
