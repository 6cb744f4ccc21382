//! move24mall, through the real router and a real engine.

use axum::http::StatusCode;
use hansom::config::Gateway;
use serde_json::{Value, json};

use super::rig::{Rig, each, items, order};

const SIX: [&str; 6] = ["백영곤", "안채우", "임광현", "장윤정", "옥준삼", "유승오"];

fn all(page: &Value, of: &str, status: &str) -> bool {
    let statuses = each(page, of, "status");
    !statuses.is_empty() && statuses.iter().all(|found| **found == status)
}

/// Both orders of the documents, confirmed.
async fn two_orders() -> Rig {
    let rig = Rig::start(Gateway::Move).await;
    for (location, cost) in [("mapo", "2500000"), ("guro", "1500000")] {
        assert_eq!(rig.post("/movers", order(location, cost)).await.status, StatusCode::CREATED);
    }
    for (path, of) in [("/movers", "movers"), ("/movermanages", "movermanages")] {
        rig.until(path, |page| items(page, of).len() == 2 && all(page, of, "호출확정")).await;
    }
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_orders_are_confirmed_with_a_mover_of_the_six() {
    let rig = two_orders().await;
    let orders = rig.get("/movers").await.body;
    assert_eq!(each(&orders, "movers", "cost"), [&json!(2_500_000), &json!(1_500_000)]);
    let requests = rig.get("/movermanages").await.body;
    assert_eq!(each(&requests, "movermanages", "orderId"), ["1", "2"]);
    for request in items(&requests, "movermanages") {
        let assigned = rig.get(&format!("/moverassigns/{}", request["id"])).await.body;
        assert_eq!(assigned["status"], "할당확정");
        for field in ["mover", "moverid", "movertel"] {
            assert_eq!(request[field], assigned[field]);
        }
        assert!(SIX.iter().any(|name| request["mover"] == *name), "{request}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_the_customer_hears_of_the_request_the_confirmation_and_the_mover() {
    let rig = Rig::start(Gateway::Move).await;
    rig.post("/movers", order("mapo", "2500000")).await;
    let told = |page: &Value| items(page, "kakaotalks").len() == 3;
    let feed = rig.until("/kakaotalks?tel=01012345678", told).await;
    let mover = rig.get("/moverassigns/1").await.body;
    let field = |name: &str| mover[name].as_str().expect("a text").to_owned();
    let assigned =
        format!("할당확정 : {} {} {}", field("mover"), field("movertel"), field("moverid"));
    let (asked, confirmed) = ("호출중 : mapo 2500000원", "호출확정 : mapo 2500000원");
    let mut heard = each(&feed, "kakaotalks", "message");
    // Of the mover they hear after the confirmation. The request is told on its own, which holds
    // up nothing: its place is not promised.
    let request = heard.iter().position(|message| **message == asked).expect("it is told");
    heard.remove(request);
    assert_eq!(heard, [confirmed, assigned.as_str()]);
    assert!(items(&rig.get("/kakaotalks?tel=0").await.body, "kakaotalks").is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_cancelled_order_is_released_everywhere_and_the_customer_is_told() {
    let rig = two_orders().await;
    assert_eq!(rig.delete("/movers/1").await, StatusCode::NO_CONTENT);
    let orders = rig.get("/movers").await.body;
    assert_eq!(each(&orders, "movers", "id"), [&json!(2)]);
    assert_eq!(rig.get("/movers/1").await.status, StatusCode::NOT_FOUND);
    let requests = rig.get("/movermanages").await.body;
    assert_eq!(each(&requests, "movermanages", "status"), ["호출요청취소됨", "호출확정"]);
    assert_eq!(rig.get("/moverassigns/1").await.body["status"], "할당취소");
    assert_eq!(rig.over("move.order.1").await, "cancelled");
    let told = |page: &Value| {
        each(page, "kakaotalks", "message").contains(&&json!("호출취소 : mapo 2500000원"))
    };
    rig.until("/kakaotalks?size=100", told).await;

    assert_eq!(rig.delete("/movers/1").await, StatusCode::NO_CONTENT, "it is cancelled already");
    assert_eq!(rig.delete("/movers/7").await, StatusCode::NOT_FOUND);
    let cancelled = "select count(*) from notification.message where message like '호출취소%'";
    assert_eq!(rig.count(cancelled).await, 1, "and is told once");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_without_its_manager_a_strict_order_is_refused_as_upstream_words_it() {
    let rig = Rig::start(Gateway::Move).await;
    rig.fault("movemanage", json!({ "down": true })).await;
    let refused = rig.post("/movers", order("mapo", "2500000")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.body["error"], "Service Unavailable");
    assert_eq!((&refused.body["status"], &refused.body["path"]), (&json!(503), &json!("/movers")));
    assert!(refused.body["timestamp"].is_string() && refused.body["message"].is_string());
    let orders = rig.get("/movers").await.body;
    assert_eq!(orders["page"]["totalElements"], 0);
    assert_eq!(rig.count("select count(*) from move.mover").await, 0, "not even a tombstone");
    assert_eq!(rig.get("/moverinfos").await.body["page"]["totalElements"], 0);

    rig.fault("movemanage", json!({})).await;
    assert_eq!(rig.over("move.order.1").await, "failed");
    let placed = rig.post("/movers", order("mapo", "2500000")).await;
    assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("호출")));
    assert_eq!(rig.delete("/movers/1").await, StatusCode::NOT_FOUND, "it never was an order");
    rig.until("/movers/2", |order| order["status"] == "호출확정").await;
    assert_eq!(
        rig.count("select count(*) from notification.message where about = 'move.order.1'").await,
        0
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_with_the_fallback_an_order_is_taken_without_its_manager_and_finished_later() {
    let rig = Rig::start(Gateway::Move).await;
    rig.fault("movemanage", json!({ "down": true })).await;
    let mut fallback = order("mapo", "2500000");
    fallback["policy"] = json!("fallback");
    let placed = rig.post("/movers", fallback).await;
    assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("호출")));
    assert_eq!(rig.get("/movers/1").await.body["status"], "호출");
    rig.in_vain("move.order.1").await;
    rig.fault("movemanage", json!({})).await;
    rig.until("/movers/1", |order| order["status"] == "호출확정").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_an_order_cancelled_while_a_mover_is_looked_for_never_ends_up_assigned() {
    let rig = Rig::start(Gateway::Move).await;
    rig.fault("moveassign", json!({ "down": true })).await;
    assert_eq!(rig.post("/movers", order("mapo", "2500000")).await.status, StatusCode::CREATED);
    rig.in_vain("move.order.1").await;
    assert_eq!(rig.get("/movermanages/1").await.body["status"], "호출중");
    assert_eq!(rig.get("/movers/1").await.body["status"], "호출");
    assert_eq!(rig.delete("/movers/1").await, StatusCode::ACCEPTED);
    rig.fault("moveassign", json!({})).await;
    assert_eq!(rig.over("move.order.1").await, "cancelled");
    assert_eq!(rig.get("/movers/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(rig.get("/movermanages/1").await.body["status"], "호출요청취소됨");
    assert_eq!(rig.get("/moverassigns/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(rig.get("/moverinfos/1").await.body["status"], "호출취소");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_a_customer_finds_the_orders_of_a_number_while_all_services_are_away() {
    let rig = two_orders().await;
    let other = json!({ "tel": "010-2", "location": "jongno", "cost": 1 });
    assert_eq!(rig.post("/movers", other).await.status, StatusCode::CREATED);
    rig.until("/moverinfos/3", |info| info["lastMessage"].is_string()).await;
    assert_eq!(rig.delete("/movers/1").await, StatusCode::NO_CONTENT);
    for service in ["mover", "movemanage", "moveassign", "notification"] {
        rig.fault(service, json!({ "down": true })).await;
    }
    let infos = rig.get("/moverinfos?tel=01012345678").await.body;
    assert_eq!(each(&infos, "moverinfos", "id"), [&json!(1), &json!(2)]);
    assert_eq!(each(&infos, "moverinfos", "status"), ["호출취소", "호출확정"]);
    let info = &items(&infos, "moverinfos")[1];
    assert_eq!((&info["location"], &info["cost"]), (&json!("guro"), &json!(1_500_000)));
    assert!(SIX.iter().any(|name| info["mover"] == *name), "{info}");
    let said = info["lastMessage"].as_str().expect("a message");
    assert!(said.starts_with("할당확정") && info.get("placed").is_none(), "{info}");
    let labelled = rig.get("/v1/workflows?label.tel=010-2").await.body;
    assert_eq!(labelled["items"][0]["workflow_id"], "move.order.3");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_done_cannot_be_cancelled_any_more() {
    let rig = two_orders().await;
    let done = rig.post("/movers/1/complete", json!({})).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(rig.over("move.order.1").await, "completed");
    assert_eq!(rig.delete("/movers/1").await, StatusCode::CONFLICT);
    assert_eq!(rig.get("/movers/1").await.body["status"], "호출확정");
    let again = rig.post("/movers/1/complete", json!({})).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(rig.post("/movers/7/complete", json!({})).await.status, StatusCode::NOT_FOUND);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_sent_hold_up_neither_an_order_nor_its_cancellation() {
    let rig = Rig::start(Gateway::Move).await;
    rig.fault("notification", json!({ "down": true })).await;
    assert_eq!(rig.post("/movers", order("mapo", "2500000")).await.status, StatusCode::CREATED);
    rig.until("/movers/1", |order| order["status"] == "호출확정").await;
    assert_eq!(rig.delete("/movers/1").await, StatusCode::NO_CONTENT);
    assert_eq!(rig.over("move.order.1").await, "cancelled");
    rig.in_vain("move.order.1.cancelled").await;
    rig.fault("notification", json!({})).await;
    assert_eq!(rig.over("move.order.1.cancelled").await, "completed");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_id_somebody_else_has_holds_up_neither_an_order_nor_its_cancellation() {
    let rig = Rig::start(Gateway::Move).await;
    for name in ["requested", "cancelled"] {
        let id = format!("move.order.1.{name}");
        let input =
            json!({ "about": "x", "channel": "kakao", "from": "", "to": "", "message": "" });
        let squatter = json!({ "type": "notice", "id": id, "input": input });
        assert_eq!(rig.post("/v1/workflows", squatter).await.status, StatusCode::CREATED);
    }
    assert_eq!(rig.post("/movers", order("mapo", "2500000")).await.status, StatusCode::CREATED);
    rig.until("/movers/1", |order| order["status"] == "호출확정").await;
    assert_eq!(rig.delete("/movers/1").await, StatusCode::NO_CONTENT);
    assert_eq!(rig.over("move.order.1").await, "cancelled");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_used_is_refused_by_its_field() {
    let rig = Rig::start(Gateway::Move).await;
    for (body, field) in [
        (json!({ "location": "mapo", "cost": "1" }), "/tel"),
        (json!({ "tel": "1", "cost": "-1" }), "/cost"),
        (json!({ "tel": "1", "cost": "many" }), "/cost"),
        (json!({ "tel": "1", "moveType": "box" }), "/moveType"),
        (json!({ "tel": "1", "policy": "lax" }), "/policy"),
    ] {
        let refused = rig.post("/movers", body).await;
        assert_eq!(
            (refused.status, &refused.body["field"]),
            (StatusCode::BAD_REQUEST, &json!(field))
        );
    }
    let packed = json!({ "tel": "1", "location": "mapo", "cost": 1, "moveType": "반포장" });
    let placed = rig.post("/move/movers", packed).await;
    assert_eq!(placed.headers["location"], "/move/movers/1");
    assert_eq!(placed.body["moveType"], "반포장");
    rig.stop().await;
}
