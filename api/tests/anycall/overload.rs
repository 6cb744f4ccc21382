//! Many drivers at once, and a payment service that is too slow for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::rig::{Answer, Rig, accept, asked_by};

const RIDES: i64 = 200;
const FARE: i64 = 15_000;

/// How long the payment service is slow.
const TROUBLE: Duration = Duration::from_secs(20);

/// What a driver does between two attempts.
const THINK: Duration = Duration::from_secs(1);

/// After the service is well again the breaker has to be closed so soon.
const RECOVERY: Duration = Duration::from_secs(10);

impl Rig {
    async fn end_of(&self, call: i64) -> Answer {
        let end = json!({ "taxiStatus": "운행종료", "payAmt": FARE.to_string() });
        self.patch(&format!("/taxis/{call}"), end).await
    }

    async fn breaker_of(&self, activity: &str) -> Value {
        let all = self.get("/v1/activities").await.body;
        let mut items = all["items"].as_array().expect("a list").clone().into_iter();
        let charge = items.find(|item| item["name"] == activity).expect("it is known");
        charge["breaker"]["state"].clone()
    }
}

/// So many rides, all under way.
async fn riding(rig: &Arc<Rig>) {
    let member = rig.member("1234-5678-9012-3456").await;
    let mut rides = JoinSet::new();
    for _ in 0..RIDES {
        // Not so many at once that the machine itself is too slow for its breakers.
        if rides.len() >= 10 {
            rides.join_next().await.expect("there are some").expect("it is under way");
        }
        let rig = Arc::clone(rig);
        rides.spawn(async move {
            let placed = rig.post("/calls", asked_by(member)).await;
            assert_eq!(placed.status, 201, "{placed:?}");
            let path = format!("/taxis/{}", placed.body["callId"]);
            for say in [accept("114너7484"), json!({ "taxiStatus": "운행시작" })] {
                let answer = rig.patch(&path, say).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
    }
    rides.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_slow_payment_is_left_alone_and_no_ride_is_lost_or_paid_twice() {
    let rig = Arc::new(Rig::start().await);
    riding(&rig).await;
    rig.fault("payment", json!({ "latency_ms": 700 })).await;
    let well_at = Instant::now() + TROUBLE;
    let mut drivers = JoinSet::new();
    for call in 1..=RIDES {
        let rig = Arc::clone(&rig);
        drivers.spawn(async move {
            let mut attempts = 0_u64;
            loop {
                attempts += 1;
                let answer = rig.end_of(call).await;
                match answer.status {
                    200 => return (attempts, Instant::now()),
                    503 | 504 => assert!(answer.headers.contains_key("retry-after"), "{answer:?}"),
                    _ => panic!("{answer:?}"),
                }
                tokio::time::sleep(THINK).await;
            }
        });
    }
    while rig.breaker_of("charge").await != "open" {
        assert!(Instant::now() < well_at, "it opens while there is trouble");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep_until(well_at.into()).await;
    rig.fault("payment", json!({})).await;
    let well_at = Instant::now();
    while rig.breaker_of("charge").await != "closed" {
        assert!(well_at.elapsed() < RECOVERY, "it closes soon after");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = drivers.join_all().await;
    let attempts: u64 = ended.iter().map(|(attempts, _)| attempts).sum();
    assert!(attempts > ended.len() as u64 * 3, "{attempts} attempts");
    let charged = rig.ledger().await;
    assert_eq!(charged, vec![("charge".to_owned(), FARE); RIDES.try_into().expect("a few")]);
    let ended = rig.get("/taxis?size=1000").await.body;
    let ended = ended["_embedded"]["taxis"].as_array().expect("a list").clone();
    assert!(ended.iter().all(|taxi| taxi["taxiStatus"] == "운행종료" && taxi["payAmt"] == FARE));
    let last = well_at.elapsed();
    eprintln!("{attempts} attempts of {RIDES} drivers; all paid within {last:?} of the recovery");
    Arc::into_inner(rig).expect("nobody else has it").stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_while_the_breaker_is_open_a_driver_hears_so_at_once() {
    let rig = Rig::start().await;
    rig.riding().await;
    rig.fault("payment", json!({ "down": true })).await;
    while rig.breaker_of("charge").await != "open" {
        assert_eq!(rig.end_of(1).await.status, 503);
    }
    // The best of some: the machine may be busy with something else.
    let mut best = Duration::MAX;
    while rig.breaker_of("charge").await == "open" && best > Duration::from_millis(50) {
        let from = Instant::now();
        let answer = rig.end_of(1).await;
        assert_eq!(answer.body["code"], "anycall.payment_unavailable", "{answer:?}");
        best = best.min(from.elapsed());
    }
    assert!(best < Duration::from_millis(50), "{best:?}");
    assert!(rig.ledger().await.is_empty());
    rig.fault("payment", json!({})).await;
    let well_at = Instant::now();
    while rig.end_of(1).await.status != 200 {
        assert!(well_at.elapsed() < RECOVERY, "it closes soon after");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.ledger().await, [("charge".to_owned(), FARE)]);
    rig.stop().await;
}
