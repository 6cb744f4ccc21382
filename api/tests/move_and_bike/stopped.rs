//! With services as processes of their own, that are killed and started again.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::processes::{Server, migrated, run, text};
use super::rig::{items, order};

/// A server that reaches these services elsewhere, with the façade of `gateway` at the bare paths.
fn serve(database: &str, gateway: &str, elsewhere: &[(&str, &Server)]) -> Server {
    let flags: Vec<(String, &str)> =
        elsewhere.iter().map(|(name, at)| (format!("--{name}-url"), at.url.as_str())).collect();
    let mut args = vec!["--listen", "127.0.0.1:0", "--gateway", gateway];
    for (flag, url) in &flags {
        args.extend([flag.as_str(), url]);
    }
    Server::start_with(database, &args)
}

async fn status(server: &Server, workflow_id: &str) -> Value {
    server.get(&format!("/v1/workflows/{workflow_id}")).await.body["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_while_the_manager_is_gone_an_order_is_refused_and_leaves_nothing() {
    let database = migrated().await;
    let mut manage = Server::service("movemanage", database.url());
    let server = serve(database.url(), "move", &[("movemanage", &manage)]);
    manage.kill();
    let refused = server.post("/movers", order("mapo", "2500000")).await;
    assert_eq!((refused.status, &refused.body["path"]), (503, &json!("/movers")), "{refused:?}");
    assert_eq!(refused.body["error"], "Service Unavailable");
    assert_eq!(server.get("/movers").await.body["page"]["totalElements"], 0);
    // Nothing was sent, so nothing is owed either.
    server.until("/v1/workflows/move.order.1", |shown| shown["status"] == "failed").await;

    manage.revive("movemanage", database.url());
    let placed = server.post("/movers", order("mapo", "2500000")).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    server.until("/movers/2", |order| order["status"] == "호출확정").await;
    assert_eq!(server.get("/movers").await.body["page"]["totalElements"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_with_the_fallback_an_order_waits_for_a_manager_that_is_gone() {
    let database = migrated().await;
    let mut manage = Server::service("movemanage", database.url());
    let server = serve(database.url(), "move", &[("movemanage", &manage)]);
    manage.kill();
    let mut fallback = order("mapo", "2500000");
    fallback["policy"] = json!("fallback");
    let placed = server.post("/movers", fallback).await;
    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("호출")), "{placed:?}");
    assert_eq!(server.get("/movers/1").await.body["status"], "호출");
    assert_eq!(server.get("/movermanages").await.status, 503);
    let said = "Circuit breaker has been opened. Fallback returned instead. 1";
    server.until_logged(said).await;

    manage.revive("movemanage", database.url());
    server.until("/movers/1", |order| order["status"] == "호출확정").await;
    // It is told at the same time as the order, and may have it later.
    server.until("/movermanages/1", |request| request["status"] == "호출확정").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_orders_wait_for_an_assignment_that_is_gone_and_are_confirmed_by_themselves() {
    let database = migrated().await;
    let mut assign = Server::service("moveassign", database.url());
    let server = serve(database.url(), "move", &[("moveassign", &assign)]);
    assign.kill();
    for (location, cost) in [("mapo", "2500000"), ("guro", "1500000")] {
        assert_eq!(server.post("/movers", order(location, cost)).await.status, 201);
    }
    server.until("/movermanages/2", |request| request["status"] == "호출중").await;
    for order in items(&server.get("/movers").await.body, "movers") {
        assert_eq!(order["status"], "호출");
    }
    assign.revive("moveassign", database.url());
    for id in 1..=2 {
        server.until(&format!("/movers/{id}"), |order| order["status"] == "호출확정").await;
    }
    assert_eq!(server.send("DELETE", "/movers/1", None).await.status, 204);
    is_sound(database.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_the_gateway_answers_as_the_services_do() {
    let database = migrated().await;
    let mover = Server::service("mover", database.url());
    let bike = Server::service("bike", database.url());
    let at = [("mover", &mover), ("bike", &bike)];
    let server = serve(database.url(), "move", &at);
    assert_eq!(server.post("/movers", order("mapo", "2500000")).await.status, 201);
    server.until("/movers/1", |order| order["status"] == "호출확정").await;
    assert_eq!(server.get("/movers").await.body, mover.get("/movers").await.body);
    let red = json!({ "color": "red", "registeredDate": "20230207" });
    let registered = server.post("/bike/managements", red).await;
    assert_eq!(registered.headers["location"], "/bike/managements/1", "the links stay there");
    assert_eq!(bike.get("/managements/1").await.body["color"], "red");
}

/// Nothing is lost, taken twice or held for a saga that is closed.
pub(crate) fn is_sound(database: &str) {
    let audit = run(&["audit"], database);
    assert_eq!(audit.status.code(), Some(0), "{}{}", text(&audit.stdout), text(&audit.stderr));
}

/// Points of user 10, and a bike.
async fn ready(server: &Server) {
    let bought = json!({ "userId": "10", "price": "8000", "approveDate": "20230207" });
    assert_eq!(server.post("/approvals", bought).await.status, 201);
    server.until("/points/10", |points| points["totalPoint"] == 8000).await;
    let red = json!({ "color": "red", "registeredDate": "20230207" });
    assert_eq!(server.post("/managements", red).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_the_dashboard_answers_while_the_reservation_service_is_gone() {
    let database = migrated().await;
    let mut reservation = Server::service("reservation", database.url());
    let server = serve(database.url(), "bike", &[("reservation", &reservation)]);
    ready(&server).await;
    let reserved = json!({ "userId": "10", "bikeId": "1" });
    assert_eq!(server.post("/reservations", reserved.clone()).await.status, 201);
    server.until("/reservationDashboards/1", |row| row["reserveStatus"] == "예약시작").await;

    reservation.kill();
    assert_eq!(server.get("/reservations/1").await.status, 503);
    let dashboard = server.get("/reservationDashboards").await;
    assert_eq!(dashboard.status, 200);
    assert_eq!(items(&dashboard.body, "reservationDashboards")[0]["reserveStatus"], "예약시작");
    assert_eq!(server.post("/reservations", reserved).await.status, 503, "nobody writes it down");
    reservation.revive("reservation", database.url());
    let cancelled = server.post("/reservations/1/cancel", json!({})).await;
    assert_eq!((cancelled.status, &cancelled.body["reserveStatus"]), (200, &json!("예약취소")));
    let all = |points: &Value| points["totalPoint"] == 8000;
    server.until("/points/10", all).await;
    is_sound(database.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn d9_a_reservation_waits_for_a_point_service_that_is_gone_and_pays_once() {
    let database = migrated().await;
    let mut point = Server::service("point", database.url());
    let server = serve(database.url(), "bike", &[("point", &point)]);
    ready(&server).await;
    point.kill();
    let reserved = json!({ "userId": "10", "bikeId": "1" });
    assert_eq!(server.post("/reservations", reserved).await.status, 201);
    server.until("/managements/1", |bike| bike["status"] == "RESERVED").await;
    let row = server.get("/reservationDashboards/1").await.body;
    assert!(row["reserveStatus"].is_null(), "{row}");
    assert_eq!(status(&server, "bike.reservation.1").await, "running");

    point.revive("point", database.url());
    server.until("/reservationDashboards/1", |row| row["reserveStatus"] == "예약시작").await;
    assert_eq!(server.get("/points/10").await.body["totalPoint"], 7000);
    for _ in 0..2 {
        let cancelled = server.post("/reservations/1/cancel", json!({})).await;
        assert_eq!((cancelled.status, &cancelled.body["reserveStatus"]), (200, &json!("예약취소")));
        assert_eq!(server.get("/points/10").await.body["totalPoint"], 8000);
    }
    is_sound(database.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_long_could_not_be_given_back_are_within_seconds_of_their_service_coming_back()
{
    let database = migrated().await;
    let mut point = Server::service("point", database.url());
    let server = serve(database.url(), "bike", &[("point", &point)]);
    ready(&server).await;
    let reserved = json!({ "userId": "10", "bikeId": "1" });
    assert_eq!(server.post("/reservations", reserved).await.status, 201);
    server.until("/reservationDashboards/1", |row| row["reserveStatus"] == "예약시작").await;

    point.kill();
    server.post("/reservations/1/cancel", json!({})).await;
    let alarm = |saga: &Value| -> Option<DateTime<Utc>> {
        let held = saga["activities"].as_array()?.iter().find(|step| step["held_back"] == true)?;
        held["retry_at"].as_str()?.parse().ok()
    };
    // Each time that it rings in vain the next is further away.
    let far = |saga: &Value| alarm(saga) > Some(Utc::now() + TimeDelta::seconds(12));
    let held = server.until("/v1/workflows/bike.reservation.1", far).await;
    point.revive("point", database.url());
    server.until("/points/10", |points| points["totalPoint"] == 8000).await;
    assert!(Some(Utc::now()) < alarm(&held), "it did not wait for its alarm");
    server.until("/v1/workflows/bike.reservation.1", |saga| saga["status"] == "cancelled").await;
    is_sound(database.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_the_next_bike_after_a_restart_is_the_second() {
    let database = migrated().await;
    let red = json!({ "color": "red", "registeredDate": "20230207" });
    for id in 1..=2 {
        let mut server = serve(database.url(), "bike", &[]);
        let registered = server.post("/managements", red.clone()).await;
        assert_eq!(registered.headers["location"], format!("/managements/{id}"));
        server.kill();
    }
}
