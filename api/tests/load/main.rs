//! Two hundred drivers at once, and a payment service that is too slow for them. A test of its own
//! process, in a release build: how soon somebody is answered can be told only where nothing else
//! is going on, and only of what is shipped.

#[path = "../canary/mod.rs"]
mod canary;
#[path = "../processes/mod.rs"]
mod processes;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::canary::Canary;
use self::processes::{Server, migrated, run, text};

const RIDES: usize = 200;
const FARE: i64 = 15_000;

/// How long the payment service is slow.
const TROUBLE: Duration = Duration::from_secs(20);

/// Who is refused because the breaker is open hears so within this.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A driver tries again after this at most, and after nothing at least: as the load generator of
/// the documents has it.
const THINK: Duration = Duration::from_secs(1);

/// After the service is well again the breaker has to be closed so soon. Five seconds, and one
/// probe; each probe that a busy machine is too slow for costs five more.
const RECOVERY: Duration = Duration::from_secs(10);
const OPEN: Duration = Duration::from_secs(5);

/// A driver's phone: it keeps its connection.
#[derive(Clone)]
struct Phone {
    http: reqwest::Client,
    url: String,
}

/// What a driver was told.
#[derive(Debug)]
struct Told {
    status: u16,
    retry_after: bool,
    body: Value,
    asked_at: Instant,
    took: Duration,
}

impl Phone {
    fn new(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("it has what it needs");
        Self { http, url: server.url.clone() }
    }

    async fn say(&self, call: usize, what: &Value) -> Told {
        let asked_at = Instant::now();
        let path = format!("{}/taxis/{call}", self.url);
        let answer = self.http.patch(path).json(what).send().await.expect("it answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers());
        let retry_after = headers.contains_key("retry-after");
        let text = answer.text().await.expect("it answers whole");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Told { status, retry_after, body, asked_at, took: asked_at.elapsed() }
    }
}

/// So many rides, all under way.
async fn riding(server: &Server, phone: &Phone) {
    let member = json!({
        "memberName": "홍길동", "phoneNumber": "010-1111-2222",
        "creditCardNumber": "1234-5678-9012-3456", "friendPhoneNumber": "010-3333-4444",
    });
    let member = server.post("/memberShips", member).await;
    assert_eq!(member.status, 201, "{member:?}");
    let mut rides = JoinSet::new();
    for call in 1..=RIDES {
        let asked = json!({
            "memberId": member.body["memberId"], "phoneNumber": "010-7202-2664",
            "startAddress": "경기도 분당구 정자동", "endAddress": "서울시 양천구 목동서로 400",
        });
        let placed = server.post("/calls", asked).await;
        assert_eq!((placed.status, &placed.body["callId"]), (201, &json!(call)), "{placed:?}");
        // Not so many at once that the machine itself is too slow for its breakers.
        if rides.len() >= 10 {
            rides.join_next().await.expect("there are some").expect("it is under way");
        }
        let phone = phone.clone();
        rides.spawn(async move {
            let taken = json!({ "taxiStatus": "배정됨", "taxiNumber": "114너7484" });
            for what in [taken, json!({ "taxiStatus": "운행시작" })] {
                let told = phone.say(call, &what).await;
                assert_eq!(told.status, 200, "{told:?}");
            }
        });
    }
    rides.join_all().await;
}

/// Tells the ride that it is over until it is; how often, when and how soon it was told that
/// payments are not asked for at present.
async fn end(phone: Phone, call: usize) -> Vec<Told> {
    let end = json!({ "taxiStatus": "운행종료", "payAmt": FARE.to_string() });
    let mut refused = Vec::new();
    loop {
        let told = phone.say(call, &end).await;
        match told.status {
            200 => return refused,
            503 | 504 => assert!(told.retry_after, "{told:?}"),
            _ => panic!("{told:?}"),
        }
        let left_alone = |detail: &str| detail.contains("left alone");
        if told.body["detail"].as_str().is_some_and(left_alone) {
            refused.push(told);
        }
        think().await;
    }
}

/// Who stood still with the machine thinks again: all others would ask at the same moment, which
/// nobody does who thinks for a while.
async fn think() {
    loop {
        let wait = THINK.mul_f64(rand::random_range(0.0..1.0));
        let due = Instant::now() + wait;
        tokio::time::sleep(wait).await;
        if due.elapsed() < canary::LATE {
            return;
        }
    }
}

/// The state of the breaker that charges go through.
async fn charging(server: &Server) -> Value {
    let mut activities = server.get("/v1/activities").await.body;
    let items = activities["items"].as_array_mut().expect("a list");
    let charge = items.iter_mut().find(|item| item["name"] == "charge");
    charge.expect("it is known")["breaker"]["state"].take()
}

/// Says how soon they were told who asked when it was open, and holds it against what was
/// promised. Who had asked before that was in the crowd that opened it. Of those who waited while
/// the whole machine stood still nothing is said; they have to be few.
fn are_told_at_once(refused: &[Told], opened: Instant, canary: &Canary) {
    let count = refused.len();
    let in_time = |told: &&Told| !canary.was_late(told.asked_at, told.asked_at + told.took);
    let refused: Vec<_> = refused.iter().filter(in_time).collect();
    let left_out = count - refused.len();
    eprintln!("{left_out} of {count} refusals left out: the machine stood still");
    assert!(left_out <= count / 10, "{left_out} of {count}: nothing can be measured here");
    let mut all: Vec<_> = refused.iter().map(|told| told.took).collect();
    all.sort_unstable();
    assert!(all[all.len() / 2] < AT_ONCE, "half of all within {:?}", all[all.len() / 2]);
    let beyond = refused.iter().filter(|told| told.asked_at > opened);
    let mut took: Vec<_> = beyond.map(|told| told.took).collect();
    took.sort_unstable();
    assert!(took.len() > 10 * RIDES, "{} refusals", took.len());
    let within = |percent: usize| took[(took.len() - 1) * percent / 100];
    eprintln!(
        "{} refusals: half within {:?}, 95 % within {:?}, 99 % within {:?}, all within {:?}; {} \
         took longer than {AT_ONCE:?}",
        took.len(),
        within(50),
        within(95),
        within(99),
        within(100),
        took.iter().filter(|took| **took > AT_ONCE).count(),
    );
    assert!(within(99) < AT_ONCE, "99 % of them within {:?}", within(99));
}

/// Each was paid once, and has ended.
async fn are_paid_once(server: &Server) {
    let taxis = server.get("/taxis?size=1000").await.body["_embedded"]["taxis"].take();
    let payments = server.get("/payments?size=1000").await.body["_embedded"]["payments"].take();
    let [taxis, payments] = [&taxis, &payments].map(|list| list.as_array().expect("a list"));
    let ended = |taxi: &&Value| taxi["taxiStatus"] == "운행종료" && taxi["payAmt"] == FARE;
    let paid = |paid: &&Value| paid["payStatus"] == "결제승인" && paid["payAmt"] == FARE;
    let counts = [taxis.iter().filter(ended).count(), payments.iter().filter(paid).count()];
    assert_eq!((counts, payments.len()), ([RIDES; 2], RIDES));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(debug_assertions, ignore = "measures: cargo test --release --workspace --test load")]
async fn b11_a_slow_payment_is_left_alone_and_no_ride_is_lost_or_paid_twice() {
    let database = migrated().await;
    let payment = Server::service("payment", database.url());
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "anycall", "--payment-url", &payment.url];
    let server = Server::start_with(database.url(), &flags);
    let (phone, canary) = (Phone::new(&server), Canary::start());
    riding(&server, &phone).await;
    let slow = payment.post("/faults", json!({ "latency_ms": 700 })).await;
    assert_eq!(slow.status, 200);
    let well_at = Instant::now() + TROUBLE;
    let mut drivers = JoinSet::new();
    for call in 1..=RIDES {
        drivers.spawn(end(phone.clone(), call));
    }
    while charging(&server).await != "open" {
        assert!(Instant::now() < well_at, "it opens while there is trouble");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let opened = Instant::now();
    tokio::time::sleep_until(well_at.into()).await;
    assert_eq!(payment.post("/faults", json!({})).await.status, 200);
    let well_at = Instant::now();
    while charging(&server).await != "closed" {
        // One that is let through while the machine stands still is slow once more.
        let stood_still = canary.late(well_at, Instant::now());
        let again = if stood_still.is_zero() { Duration::ZERO } else { OPEN + stood_still };
        assert!(well_at.elapsed() < RECOVERY + again, "it closes soon after");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed = well_at.elapsed();
    let refused: Vec<_> = drivers.join_all().await.into_iter().flatten().collect();
    eprintln!("closed {closed:?} after the recovery, all paid {:?} after", well_at.elapsed());
    are_told_at_once(&refused, opened, &canary);
    are_paid_once(&server).await;
    let audit = run(&["audit"], database.url());
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit.stdout));
}
