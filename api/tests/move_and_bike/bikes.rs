//! Bikes and points, through the real router and a real engine.

use axum::http::StatusCode;
use hansom::config::Gateway;
use serde_json::{Value, json};

use super::rig::{Answer, Rig, each};

/// A bike, and points of user 10.
async fn with_points(price: Option<&str>) -> Rig {
    let rig = Rig::start(Gateway::Bike).await;
    let red = json!({ "color": "red", "registeredDate": "20230207" });
    assert_eq!(rig.post("/managements", red).await.status, StatusCode::CREATED);
    if let Some(price) = price {
        buy(&rig, price).await;
        let total: i64 = price.parse().expect("a number");
        rig.until("/points/10", |points| points["totalPoint"] == total).await;
    }
    rig
}

async fn buy(rig: &Rig, price: &str) -> Answer {
    let body = json!({ "userId": "10", "price": price, "approveDate": "20230207" });
    rig.post("/approvals", body).await
}

async fn reserve(rig: &Rig, user: &str) -> Answer {
    rig.post("/reservations", json!({ "userId": user, "bikeId": "1" })).await
}

async fn change(rig: &Rig, status: &str) -> Answer {
    rig.send("PATCH", "/reservations/1", json!({ "reserveStatus": status })).await
}

async fn points(rig: &Rig) -> Value {
    rig.get("/points/10").await.body["totalPoint"].clone()
}

/// A reservation whose bike is in use.
async fn started() -> Rig {
    let rig = with_points(Some("8000")).await;
    assert_eq!(reserve(&rig, "10").await.status, StatusCode::CREATED);
    rig.until("/reservationDashboards/1", |row| row["reserveStatus"] == "예약시작").await;
    rig
}

async fn shown(rig: &Rig) -> Value {
    rig.get("/reservationDashboards/1").await.body["reserveStatus"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_points_are_bought_and_added_up() {
    let rig = with_points(None).await;
    assert_eq!(rig.get("/points/10").await.status, StatusCode::NOT_FOUND);
    let bought = buy(&rig, "3000").await;
    assert_eq!((bought.status, &bought.body["price"]), (StatusCode::CREATED, &json!(3000)));
    assert_eq!(bought.headers["location"], "/approvals/1");
    assert_eq!(bought.body["approveDate"], "20230207");
    rig.until("/points/10", |points| points["totalPoint"] == 3000).await;
    buy(&rig, "5000").await;
    rig.until("/points/10", |points| points["totalPoint"] == 8000).await;
    assert_eq!(rig.over("bike.approval.2").await, "completed");
    let charged = "select sum(amount)::bigint from payment.entry where kind = 'charge' and account like 'bike.approval.%'";
    assert_eq!(rig.count(charged).await, 8000);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_are_not_paid_for_are_not_given() {
    let rig = with_points(None).await;
    rig.fault("payment", json!({ "decline": true })).await;
    assert_eq!(buy(&rig, "3000").await.status, StatusCode::CREATED);
    assert_eq!(rig.over("bike.approval.1").await, "failed");
    assert_eq!(rig.get("/approvals/1").await.body["cancelled"], true);
    assert_eq!(rig.get("/points/10").await.status, StatusCode::NOT_FOUND);
    for price in ["0", "-1", "many", ""] {
        assert_eq!(buy(&rig, price).await.status, StatusCode::BAD_REQUEST, "{price}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_reservation_is_answered_at_once_and_takes_a_thousand_points() {
    let rig = with_points(Some("8000")).await;
    let reserved = reserve(&rig, "10").await;
    assert_eq!(reserved.status, StatusCode::CREATED, "{reserved:?}");
    assert_eq!(reserved.headers["location"], "/reservations/1");
    assert_eq!(
        reserved.body,
        json!({
            "reserveNo": 1, "userId": 10, "bikeId": 1,
            "reserveDateTime": null, "reserveStatus": null, "returnDateTime": null,
            "_links": {
                "self": { "href": "/reservations/1" }, "reservation": { "href": "/reservations/1" },
            },
        })
    );
    let row = rig.until("/reservationDashboards/1", |row| row["reserveStatus"] == "예약시작").await;
    assert_eq!((&row["reserveNo"], &row["userId"]), (&json!("1"), &json!(10)));
    assert_eq!((&row["bikeId"], row.get("created")), (&json!(1), None));
    assert_eq!(points(&rig).await, 7000);
    assert_eq!(rig.get("/managements/1").await.body["status"], "RESERVED");
    assert_eq!(rig.get("/reservations/1").await.body["reserveStatus"], "예약시작");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_a_cancelled_reservation_gives_the_points_back_once() {
    let rig = started().await;
    let cancelled = change(&rig, "예약취소").await;
    assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
    assert_eq!(cancelled.body["reserveStatus"], "예약취소");
    assert_eq!((points(&rig).await, shown(&rig).await), (json!(8000), json!("예약취소")));
    assert_eq!(rig.get("/managements/1").await.body["status"], "AVAILABLE");
    let again = rig.post("/reservations/1/cancel", json!({})).await;
    assert_eq!(again.status, StatusCode::OK, "it is cancelled already");
    assert_eq!(points(&rig).await, 8000);
    let cancel = json!({ "reserveStatus": "예약취소" });
    let beside = rig.send("PATCH", "/bike/reservations/1", cancel).await;
    assert_eq!(beside.headers["content-type"], "application/hal+json");
    assert_eq!(beside.body["_links"]["self"]["href"], "/bike/reservations/1");
    let late = change(&rig, "사용완료").await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (StatusCode::CONFLICT, &json!("bike.reservation_over"))
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_returned_bike_is_used_and_gives_nothing_back() {
    let rig = started().await;
    let returned = change(&rig, "사용완료").await;
    assert_eq!(
        (returned.status, &returned.body["reserveStatus"]),
        (StatusCode::OK, &json!("사용완료"))
    );
    assert!(returned.body["returnDateTime"].is_string(), "{returned:?}");
    assert_eq!((points(&rig).await, shown(&rig).await), (json!(7000), json!("사용완료")));
    assert_eq!(rig.get("/managements/1").await.body["status"], "AVAILABLE");
    let again = rig.post("/reservations/1/return", json!({})).await;
    assert_eq!(again.status, StatusCode::OK, "it is back already");
    let late = rig.post("/reservations/1/cancel", json!({})).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{late:?}");
    assert_eq!(points(&rig).await, 7000);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_without_enough_points_a_reservation_is_rejected_and_its_bike_is_free() {
    for price in [None, Some("500")] {
        let rig = with_points(price).await;
        assert_eq!(reserve(&rig, "10").await.status, StatusCode::CREATED);
        assert_eq!(rig.over("bike.reservation.1").await, "failed");
        assert_eq!(shown(&rig).await, "예약거절");
        assert_eq!(rig.get("/reservations/1").await.body["reserveStatus"], "예약거절");
        assert_eq!(rig.get("/managements/1").await.body["status"], "AVAILABLE");
        if price.is_some() {
            assert_eq!(points(&rig).await, 500);
        }
        assert_eq!(change(&rig, "예약취소").await.status, StatusCode::CONFLICT);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_of_two_who_reserve_a_bike_at_once_one_holds_it_and_pays() {
    let rig = with_points(Some("8000")).await;
    let other = json!({ "userId": "11", "price": "8000", "approveDate": "20230207" });
    rig.post("/approvals", other).await;
    rig.until("/points/11", |points| points["totalPoint"] == 8000).await;
    let (one, two) = tokio::join!(reserve(&rig, "10"), reserve(&rig, "11"));
    assert_eq!((one.status, two.status), (StatusCode::CREATED, StatusCode::CREATED));
    let decided = |page: &Value| {
        let statuses = each(page, "reservationDashboards", "reserveStatus");
        statuses.contains(&&json!("예약시작")) && statuses.contains(&&json!("예약거절"))
    };
    rig.until("/reservationDashboards", decided).await;
    let all = rig.get("/points").await.body;
    let mut totals: Vec<_> =
        each(&all, "points", "totalPoint").into_iter().map(Value::as_i64).collect();
    totals.sort_unstable();
    assert_eq!(totals, [Some(7000), Some(8000)]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d9_a_pending_reservation_is_not_returned_but_may_be_cancelled() {
    let rig = with_points(Some("8000")).await;
    rig.fault("point", json!({ "down": true })).await;
    assert_eq!(reserve(&rig, "10").await.status, StatusCode::CREATED);
    rig.in_vain("bike.reservation.1").await;
    assert_eq!(rig.get("/managements/1").await.body["status"], "RESERVED");
    let early = change(&rig, "사용완료").await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert_eq!(early.body["code"], "bike.reservation_not_started");
    assert_eq!(change(&rig, "예약취소").await.status, StatusCode::ACCEPTED);
    rig.fault("point", json!({})).await;
    assert_eq!(rig.over("bike.reservation.1").await, "cancelled");
    assert_eq!((points(&rig).await, shown(&rig).await), (json!(8000), json!("예약취소")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_refused_by_its_name() {
    let rig = with_points(Some("8000")).await;
    assert_eq!(rig.post("/reservations/7/cancel", json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(rig.post("/reservations/7/return", json!({})).await.status, StatusCode::NOT_FOUND);
    let wrong = change(&rig, "예약시작").await;
    assert_eq!(
        (wrong.status, &wrong.body["field"]),
        (StatusCode::BAD_REQUEST, &json!("/reserveStatus"))
    );
    let nobody = rig.post("/reservations", json!({ "bikeId": "1" })).await;
    assert_eq!(
        (nobody.status, &nobody.body["field"]),
        (StatusCode::BAD_REQUEST, &json!("/userId"))
    );
    let nothing = rig.post("/reservations", json!({ "userId": "10", "bikeId": "7" })).await;
    assert_eq!(nothing.status, StatusCode::CREATED);
    assert_eq!(rig.over("bike.reservation.1").await, "failed");
    assert_eq!((points(&rig).await, shown(&rig).await), (json!(8000), json!("예약거절")));
    rig.stop().await;
}
