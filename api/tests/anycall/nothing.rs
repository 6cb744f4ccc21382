//! Rides that come to nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{Answer, Rig, accept};
use super::{CUSTOMER, FRIEND};

/// By then who is ahead is so by a tenth of a second.
const MOST_CALLS: i64 = 100;

fn cancel() -> Value {
    json!({ "callStatus": "호출취소" })
}

fn word<'a>(answer: &'a Answer, field: &str) -> Option<&'a str> {
    answer.body[field].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_cancels_while_a_driver_accepts_gets_their_way_or_the_taxi() {
    let rig = Rig::start().await;
    let member = rig.member("1234-5678-9012-3456").await;
    let (mut cancelled, mut assigned) = (0, 0);
    for call in 1..=MOST_CALLS {
        if call > 12 && cancelled > 0 && assigned > 0 {
            break;
        }
        assert_eq!(rig.call(member).await.status, 201);
        let (calls, taxis) = (format!("/calls/{call}"), format!("/taxis/{call}"));
        rig.until(&taxis, |taxi| !taxi["memberName"].is_null()).await;
        // Now the one is a little ahead, and now the other, and each time a little more.
        let ahead = |is_late| Duration::from_millis(if is_late { call.unsigned_abs() } else { 0 });
        let customer = async {
            tokio::time::sleep(ahead(call % 2 == 0)).await;
            rig.patch(&calls, cancel()).await
        };
        let driver = async {
            tokio::time::sleep(ahead(call % 2 == 1)).await;
            rig.patch(&taxis, accept("1")).await
        };
        let (customer, driver) = tokio::join!(customer, driver);
        let (stands, taxi) = (rig.get(&calls).await, rig.get(&taxis).await);
        match (customer.status, driver.status) {
            (200, 409) => {
                cancelled += 1;
                assert_eq!(word(&stands, "callStatus"), Some("호출취소"));
                assert_eq!(rig.closed(call).await, "cancelled");
                let taxi = rig.get(&taxis).await;
                assert_eq!(word(&taxi, "callStatus"), Some("택시호출취소"));
                assert_eq!(word(&taxi, "taxiStatus"), None);
            }
            (409, 200) => {
                assigned += 1;
                assert_eq!(word(&stands, "callStatus"), Some("택시호출"));
                assert_eq!(word(&taxi, "taxiStatus"), Some("배정됨"));
            }
            both => panic!("{both:?}: {customer:?} {driver:?}"),
        }
    }
    assert!(cancelled > 0 && assigned > 0, "{cancelled} and {assigned}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taxi_that_does_not_come_is_let_go_and_the_customer_is_told() {
    let rig = Rig::start().await;
    rig.with_terms(json!({ "no_show_after_ms": 1_000 })).await;
    assert_eq!(rig.patch("/taxis/1", accept("1")).await.status, 200);
    assert_eq!(rig.closed(1).await, "failed");
    let taxi = rig.get("/taxis/1").await;
    assert_eq!(
        (word(&taxi, "callStatus"), word(&taxi, "taxiNumber")),
        (Some("택시호출취소"), None)
    );
    assert_eq!(rig.get("/calls/1").await.body["callStatus"], "호출취소");
    let told = rig.told_all(2).await;
    // After the assignment or, told on its own as that is, before it.
    let sorry = told.iter().find(|(_, message)| message.contains("오지 않아"));
    assert_eq!(sorry.map(|(to, _)| to.as_str()), Some(CUSTOMER), "{told:?}");
    assert!(told.iter().all(|(to, _)| to != FRIEND), "there was no ride to tell of");
    let late = rig.patch("/taxis/1", json!({ "taxiStatus": "운행시작" })).await;
    assert_eq!((late.status, word(&late, "code")), (409, Some("anycall.over")), "{late:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_positions_no_more_are_kept_than_a_history_has_room_for() {
    let rig = Rig::start().await;
    rig.assigned().await;
    let from = std::time::Instant::now();
    for step in 0..40 {
        let at = json!({ "latitude": 37.0 + f64::from(step) / 100.0, "longitude": 127.1 });
        assert_eq!(rig.patch("/taxis/1", at).await.status, 200);
    }
    let most = usize::try_from(from.elapsed().as_secs() / 2 + 2).expect("a few");
    rig.until("/taxiServiceInfos/1", |info| info["latitude"].is_number()).await;
    // What waited is heard before the start.
    assert_eq!(rig.patch("/taxis/1", json!({ "taxiStatus": "운행시작" })).await.status, 200);
    let history = rig.get("/v1/workflows/anycall.call.1/history?limit=200").await.body.to_string();
    let kept = history.matches("\"latitude\"").count();
    assert!((1..=most).contains(&kept), "{kept} of {most}");
    rig.stop().await;
}
