//! The services of anycall as processes of their own, killed and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::processes::{Answer, Server, http, migrated, run, text};
use super::rig::{accept, asked_by};

pub(super) async fn member(server: &Server) -> i64 {
    let member = json!({
        "memberName": "홍길동", "phoneNumber": "010-1111-2222",
        "creditCardNumber": "1234-5678-9012-3456", "friendPhoneNumber": "010-3333-4444",
    });
    let answer = server.post("/memberShips", member).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["memberId"].as_i64().expect("a number")
}

pub(super) async fn patch(server: &Server, path: &str, body: Value) -> Answer {
    server.send("PATCH", path, Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_calls_are_accepted_while_no_taxi_can_be_reached_and_reach_them_later() {
    let database = migrated().await;
    let mut taxi = Server::service("taxi", database.url());
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "anycall", "--taxi-url", &taxi.url];
    let server = Server::start_with(database.url(), &flags);
    let member = member(&server).await;
    taxi.kill();
    for call in 1..=3 {
        let placed = server.post("/calls", asked_by(member)).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        server.until(&format!("/calls/{call}"), |call| call["callStatus"] == "택시호출").await;
    }
    assert_eq!(server.get("/calls").await.body["page"]["totalElements"], 3);
    assert_eq!(server.get("/taxis").await.status, 503);
    // One of them cannot wait: it is marked at once, and closed when that can be told.
    let cancelled = patch(&server, "/calls/3", json!({ "callStatus": "호출취소" })).await;
    assert_eq!((cancelled.status, &cancelled.body["callStatus"]), (200, &json!("호출취소")));

    taxi.revive("taxi", database.url());
    for taxi in ["/taxis/1", "/taxis/2"] {
        let offered = server.until(taxi, |taxi| taxi["memberName"] == "홍길동").await;
        assert_eq!(offered["callStatus"], "택시호출");
    }
    server.until("/v1/workflows/anycall.call.3", |ride| ride["status"] == "cancelled").await;
    let all = taxi.get("/taxis").await.body["_embedded"]["taxis"].take();
    let all = all.as_array().expect("a list").iter();
    assert_eq!(all.filter(|taxi| taxi["callStatus"] == "택시호출").count(), 2);
    assert_eq!(patch(&server, "/taxis/1", accept("1")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_ride_does_not_end_while_payment_is_gone_and_is_paid_once() {
    let database = migrated().await;
    let mut payment = Server::service("payment", database.url());
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "anycall", "--payment-url", &payment.url];
    let server = Server::start_with(database.url(), &flags);
    let member = member(&server).await;
    assert_eq!(server.post("/calls", asked_by(member)).await.status, 201);
    assert_eq!(patch(&server, "/taxis/1", accept("1")).await.status, 200);
    let start = json!({ "taxiStatus": "운행시작" });
    assert_eq!(patch(&server, "/taxis/1", start).await.status, 200);

    payment.kill();
    let end = json!({ "taxiStatus": "운행종료", "payAmt": "15000" });
    let failed = patch(&server, "/taxis/1", end.clone()).await;
    assert_eq!((failed.status, &failed.body["code"]), (503, &json!("anycall.payment_unavailable")));
    assert_eq!(server.get("/taxis/1").await.body["taxiStatus"], "운행시작");

    payment.revive("payment", database.url());
    let ended = patch(&server, "/taxis/1", end).await;
    assert_eq!((ended.status, &ended.body["taxiStatus"]), (200, &json!("운행종료")), "{ended:?}");
    let paid = server.get("/payments").await.body;
    assert_eq!(paid["page"]["totalElements"], 1, "{paid}");
    assert_eq!(payment.get("/anycall/payments").await.body, paid);
    let audit = run(&["audit"], database.url());
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_a_hundred_clients_do_not_notice_a_deploy() {
    let database = migrated().await;
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "anycall"];
    let mut old = Server::start_with(database.url(), &flags);
    let member = member(&old).await;
    assert_eq!(old.post("/calls", asked_by(member)).await.status, 201);
    // As a load balancer has it: who is asked, and nobody is asked who is not ready.
    let ready = Arc::new(RwLock::new(old.url.clone()));
    let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        let (ready, stop, heard) = (Arc::clone(&ready), Arc::clone(&stop), Arc::clone(&heard));
        clients.spawn(async move {
            let (http, mut answers) = (http(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let url = ready.read().await;
                let asked = http.get(format!("{url}/taxiServiceInfos/1")).send().await;
                answers.push(asked.map(|answer| answer.status().as_u16()));
                heard.fetch_add(1, Ordering::Relaxed);
                drop(url);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answers
        });
    }
    let (from, mut deploys) = (Instant::now(), 0);
    // Where the machine is slow, a few more: there have to be some who could notice.
    while deploys < 2 || (heard.load(Ordering::Relaxed) < 300 && from.elapsed() < PATIENCE) {
        deploys += 1;
        let mut new = Server::start_with(database.url(), &flags);
        new.until("/readyz", |well| well["status"] == "ok").await;
        *ready.write().await = new.url.clone();
        std::mem::swap(&mut old, &mut new);
        new.signal("-TERM");
        assert_eq!(new.ended(), Some(0));
    }
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    let bad: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Ok(200))).collect();
    assert!(bad.is_empty(), "of {} answers: {bad:?}", answers.len());
    assert!(answers.len() >= 300, "only {} answers", answers.len());
}
