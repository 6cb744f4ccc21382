//! Drivers whose rides cannot be paid for at present.

use std::time::{Duration, Instant};

use hansom_activities::breaker::BreakerSettings;
use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};

use super::rig::{Answer, Rig, accept, entries};

const FARE: i64 = 15_000;

/// Who is refused because the breaker is open hears so within this.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How long the breaker stays open: longer than a busy machine takes for all that is asked then.
const OPEN: Duration = Duration::from_secs(30);

impl Rig {
    async fn end_of(&self, call: i64) -> Answer {
        let end = json!({ "taxiStatus": "운행종료", "payAmt": FARE.to_string() });
        self.patch(&format!("/taxis/{call}"), end).await
    }

    pub(crate) async fn charging(&self) -> Value {
        let mut activities = self.get("/v1/activities").await.body;
        let items = activities["items"].as_array_mut().expect("a list");
        let charge = items.iter_mut().find(|item| item["name"] == "charge");
        charge.expect("it is known")["breaker"]["state"].take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_while_the_breaker_is_open_a_driver_hears_so_at_once() {
    let settings = BreakerSettings { open: OPEN, ..BreakerSettings::default() };
    let rig = Rig::with_breakers(&[("payment", settings)].into()).await;
    // One ride that is paid, and one under way.
    rig.ended().await;
    assert_eq!(rig.call(1).await.status, 201);
    for say in [accept("12가3456"), json!({ "taxiStatus": "운행시작" })] {
        assert_eq!(rig.patch("/taxis/2", say).await.status, 200);
    }
    rig.fault("payment", json!({ "down": true })).await;
    while rig.charging().await != "open" {
        assert_eq!(rig.end_of(2).await.status, 503);
    }
    let so_far = rig.get("/v1/workflows/anycall.call.2").await.body["events"].take();
    assert!(so_far.is_i64(), "{so_far}");
    // The best of some: the machine may be busy with something else.
    let (mut best, mut tries) = (Duration::MAX, 0);
    while rig.charging().await == "open" && best > AT_ONCE && tries < 200 {
        tries += 1;
        let from = Instant::now();
        let answer = rig.end_of(2).await;
        assert_eq!(answer.body["code"], "anycall.payment_unavailable", "{answer:?}");
        best = best.min(from.elapsed());
    }
    assert!(best < AT_ONCE, "{best:?}");
    let ride = rig.get("/v1/workflows/anycall.call.2").await.body;
    assert_eq!(ride["events"], so_far, "nothing of it is written down");
    assert_eq!(rig.end_of(1).await.status, 200, "what is paid is paid");
    assert_eq!(rig.ledger().await, entries([("charge", FARE)]));
    rig.fault("payment", json!({})).await;
    let well_at = Instant::now();
    while rig.end_of(2).await.status != 200 {
        // How soon after is measured in `load`.
        assert!(well_at.elapsed() < PATIENCE, "it closes again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.ledger().await, entries([("charge", FARE), ("charge", FARE)]));
    rig.stop().await;
}
