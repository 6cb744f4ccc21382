//! Many drivers at once, and a payment service that is too slow for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::apart::{member, patch};
use super::processes::{Server, migrated, run, text};
use super::rig::{Answer, Rig, accept, asked_by, entries};

const RIDES: usize = 200;
const FARE: i64 = 15_000;

/// How long the payment service is slow.
const TROUBLE: Duration = Duration::from_secs(20);

/// Who is refused because the breaker is open hears so within this.
const AT_ONCE: Duration = Duration::from_millis(50);

/// What a driver does between two attempts.
const THINK: Duration = Duration::from_secs(1);

/// After the service is well again the breaker has to be closed so soon. Five seconds, and one
/// probe; each probe that a busy machine is too slow for costs five more.
const RECOVERY: Duration = Duration::from_secs(10);

impl Rig {
    async fn end_of(&self, call: i64) -> Answer {
        let end = json!({ "taxiStatus": "운행종료", "payAmt": FARE.to_string() });
        self.patch(&format!("/taxis/{call}"), end).await
    }

    pub(crate) async fn charging(&self) -> Value {
        breaker(&self.get("/v1/activities").await.body)
    }
}

/// The state of the breaker that charges go through.
fn breaker(activities: &Value) -> Value {
    let mut items = activities["items"].as_array().expect("a list").iter();
    let charge = items.find(|item| item["name"] == "charge").expect("it is known");
    charge["breaker"]["state"].clone()
}

/// So many rides, all under way.
async fn riding(server: &Arc<Server>) {
    let member = member(server).await;
    let mut rides = JoinSet::new();
    for _ in 0..RIDES {
        // Not so many at once that the machine itself is too slow for its breakers.
        if rides.len() >= 10 {
            rides.join_next().await.expect("there are some").expect("it is under way");
        }
        let server = Arc::clone(server);
        rides.spawn(async move {
            let placed = server.post("/calls", asked_by(member)).await;
            assert_eq!(placed.status, 201, "{placed:?}");
            let path = format!("/taxis/{}", placed.body["callId"]);
            for say in [accept("114너7484"), json!({ "taxiStatus": "운행시작" })] {
                let answer = patch(&server, &path, say).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
    }
    rides.join_all().await;
}

/// Tells the ride that it is over until it is; how long it took to be told that payments are
/// not asked for at present.
async fn end(server: Arc<Server>, call: usize) -> Vec<Duration> {
    let (path, mut refused) = (format!("/taxis/{call}"), Vec::new());
    loop {
        let end = json!({ "taxiStatus": "운행종료", "payAmt": FARE.to_string() });
        let answer = patch(&server, &path, end).await;
        match answer.status {
            200 => return refused,
            503 | 504 => assert!(answer.headers.contains_key("retry-after"), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
        let left_alone = |detail: &str| detail.contains("left alone");
        if answer.body["detail"].as_str().is_some_and(left_alone) {
            refused.push(answer.took);
        }
        tokio::time::sleep(THINK).await;
    }
}

async fn charging(server: &Server) -> Value {
    breaker(&server.get("/v1/activities").await.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_slow_payment_is_left_alone_and_no_ride_is_lost_or_paid_twice() {
    let database = migrated().await;
    let payment = Server::service("payment", database.url());
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "anycall", "--payment-url", &payment.url];
    let server = Arc::new(Server::start_with(database.url(), &flags));
    riding(&server).await;
    let slow = payment.post("/faults", json!({ "latency_ms": 700 })).await;
    assert_eq!(slow.status, 200);
    let well_at = Instant::now() + TROUBLE;
    let mut drivers = JoinSet::new();
    for call in 1..=RIDES {
        drivers.spawn(end(Arc::clone(&server), call));
    }
    while charging(&server).await != "open" {
        assert!(Instant::now() < well_at, "it opens while there is trouble");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep_until(well_at.into()).await;
    assert_eq!(payment.post("/faults", json!({})).await.status, 200);
    let well_at = Instant::now();
    while charging(&server).await != "closed" {
        assert!(well_at.elapsed() < RECOVERY, "it closes soon after");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed = well_at.elapsed();
    let mut refused: Vec<_> = drivers.join_all().await.into_iter().flatten().collect();
    let over = well_at.elapsed();
    refused.sort_unstable();
    assert!(refused.len() > RIDES, "{} refusals", refused.len());
    let [tenth, half, most] = [10, 50, 95].map(|percent| refused[refused.len() * percent / 100]);
    eprintln!(
        "{} refusals, a tenth within {tenth:?}, half within {half:?}, 95 % within {most:?}; closed \
         {closed:?} after the recovery, all paid {over:?} after",
        refused.len()
    );
    assert!(half < AT_ONCE, "half of them within {half:?}");

    let taxis = server.get("/taxis?size=1000").await.body["_embedded"]["taxis"].take();
    let taxis = taxis.as_array().expect("a list");
    let ended = |taxi: &&Value| taxi["taxiStatus"] == "운행종료" && taxi["payAmt"] == FARE;
    let payments = server.get("/payments?size=1000").await.body["_embedded"]["payments"].take();
    let payments = payments.as_array().expect("a list");
    let paid = |paid: &&Value| paid["payStatus"] == "결제승인" && paid["payAmt"] == FARE;
    let counts = [taxis.iter().filter(ended).count(), payments.iter().filter(paid).count()];
    assert_eq!((counts, payments.len()), ([RIDES; 2], RIDES));
    let audit = run(&["audit"], database.url());
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_while_the_breaker_is_open_a_driver_hears_so_at_once() {
    let rig = Rig::start().await;
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
    let mut best = Duration::MAX;
    while rig.charging().await == "open" && best > AT_ONCE {
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
        assert!(well_at.elapsed() < RECOVERY, "it closes soon after");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.ledger().await, entries([("charge", FARE), ("charge", FARE)]));
    rig.stop().await;
}
