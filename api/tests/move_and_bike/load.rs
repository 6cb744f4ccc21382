//! Under load, with servers that come and go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::canary::Canary;
use super::processes::{Answer, Server, migrated};
use super::rig::{each, order};
use super::stopped::is_sound;

const CLIENTS: usize = 8;

/// Who is refused because a breaker is open waits for no attempt, and those take longer.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A server that is told to stop is there for a little longer than this, for what is on its way.
const NOTICE: Duration = Duration::from_millis(250);

/// The servers that a load balancer knows.
#[derive(Clone, Default)]
struct Balancer {
    urls: Arc<RwLock<Vec<String>>>,
    turn: Arc<AtomicUsize>,
}

impl Balancer {
    fn add(&self, url: &str) {
        self.urls.write().expect("nobody panics with it").push(url.to_owned());
    }

    fn remove(&self, url: &str) {
        self.urls.write().expect("nobody panics with it").retain(|known| known != url);
    }

    fn next(&self) -> String {
        let urls = self.urls.read().expect("nobody panics with it");
        urls[self.turn.fetch_add(1, Ordering::Relaxed) % urls.len()].clone()
    }
}

/// Registers bikes, each twice with its key, until it is told to stop; returns how many.
async fn administrator(
    number: usize,
    servers: Balancer,
    stop: Arc<AtomicBool>,
    canary: Arc<Canary>,
) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().expect("it has what it needs");
    let mut registered = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{number}-{registered}");
        let bike = json!({ "color": key, "registeredDate": "20230207" });
        let mut places = Vec::new();
        for _ in 0..2 {
            let answer = loop {
                let from = Instant::now();
                let asked = http.post(format!("{}/managements", servers.next())).json(&bike);
                match asked.header("idempotency-key", &key).send().await {
                    // Gone between the choice and the request: a load balancer asks the next.
                    Err(error) if error.is_connect() => {}
                    // Everything stood still, and it was on its way for longer than that.
                    Err(_) if canary.late(from, Instant::now()) >= NOTICE => {}
                    answer => break answer.expect("every request is answered"),
                }
            };
            assert_eq!(answer.status(), 201, "every request is available");
            places.push(answer.headers()["location"].to_str().expect("a path").to_owned());
        }
        assert_eq!(places[0], places[1], "a repetition is the same bike");
        registered += 1;
    }
    registered
}

fn replica(database: &str, balancer: &Balancer) -> Server {
    let server = Server::start_with(database, &["--listen", "127.0.0.1:0", "--gateway", "bike"]);
    balancer.add(&server.url);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_bikes_are_registered_while_servers_are_added_and_replaced_and_none_is_lost_or_twice() {
    let database = migrated().await;
    // It fails where another test has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (balancer, stop) = (Balancer::default(), Arc::new(AtomicBool::new(false)));
    let canary = Arc::new(Canary::start());
    let mut servers = vec![replica(database.url(), &balancer)];
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (stop, canary) = (Arc::clone(&stop), Arc::clone(&canary));
        clients.spawn(administrator(number, balancer.clone(), stop, canary));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        servers.push(replica(database.url(), &balancer));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // A new version is rolled out: one comes, one goes.
    for mut old in servers.split_off(0) {
        servers.push(replica(database.url(), &balancer));
        balancer.remove(&old.url);
        old.signal("-TERM");
        assert_eq!(old.ended(), Some(0));
    }
    stop.store(true, Ordering::Relaxed);
    let registered: usize = clients.join_all().await.into_iter().sum();
    assert!(registered > 100, "{registered} were registered");

    let page = servers[0].get("/managements?size=1").await.body;
    assert_eq!(page["page"]["totalElements"], Value::from(registered));
    eprintln!("{registered} bikes registered by {CLIENTS} clients over 6 servers, each twice");
}

/// So many orders at once.
async fn orders(server: &Arc<Server>, many: usize) -> Vec<Answer> {
    let mut placing = JoinSet::new();
    for _ in 0..many {
        let server = Arc::clone(server);
        placing.spawn(async move { server.post("/movers", order("mapo", "2500000")).await });
    }
    placing.join_all().await
}

fn accepted(answers: &[Answer]) -> usize {
    for answer in answers {
        assert!([201, 503].contains(&answer.status), "{answer:?}");
    }
    answers.iter().filter(|answer| answer.status == 201).count()
}

async fn breaker(server: &Server) -> Value {
    let activities = server.get("/v1/activities").await.body;
    let items = activities["items"].as_array().expect("a list").clone();
    let asked = items.into_iter().find(|item| item["name"] == "request_assignment");
    asked.expect("it is performed")["breaker"]["state"].clone()
}

/// How an order is refused while the breaker is open: the quickest of some, since the machine may
/// be busy with something else.
async fn refusal(server: &Arc<Server>) -> Answer {
    let (mut best, mut looks) = (None::<Answer>, 0);
    let from = Instant::now();
    while looks < 20 && best.as_ref().is_none_or(|best| best.took >= AT_ONCE) {
        assert!(from.elapsed() < PATIENCE, "the breaker opens");
        let is_open = breaker(server).await == "open";
        let refused = orders(server, 1).await.remove(0);
        assert_eq!((refused.status, &refused.body["path"]), (503, &json!("/movers")));
        if !is_open {
            // One that is half open opens again with the next, or with what is owed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        looks += 1;
        if best.as_ref().is_none_or(|best| refused.took < best.took) {
            best = Some(refused);
        }
    }
    best.expect("it has looked")
}

/// What came of an order that was pending when its client was answered.
async fn was_taken(server: &Server, pending: &Answer) -> bool {
    let place = pending.headers["location"].to_str().expect("a path");
    let number = place.rsplit('/').next().expect("a number");
    let saga = format!("/v1/workflows/move.order.{number}");
    let from = Instant::now();
    loop {
        let status = server.get(&saga).await.body["status"].take();
        let order = server.get(place).await;
        match order.status {
            200 if order.body["status"] == "호출확정" => return true,
            404 if status == "failed" => return false,
            _ => assert!(from.elapsed() < PATIENCE, "{status}, and {order:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_with_a_slow_manager_orders_are_refused_quickly_and_taken_again_when_it_has_recovered() {
    let database = migrated().await;
    let manage = Server::service("movemanage", database.url());
    let flags = ["--listen", "127.0.0.1:0", "--gateway", "move", "--movemanage-url", &manage.url];
    let server = Arc::new(Server::start_with(database.url(), &flags));
    assert_eq!(accepted(&orders(&server, 1).await), 1);

    let slow = json!({ "latency_ms": 900 });
    assert_eq!(manage.post("/faults", slow).await.status, 200);
    // Where the machine is slow some are told only that it takes longer.
    let answers = orders(&server, 200).await;
    let (pending, answers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 504);
    let mut taken = 1 + accepted(&answers);
    let refused = refusal(&server).await;
    assert!(refused.took < AT_ONCE, "{refused:?}");

    assert_eq!(manage.post("/faults", json!({})).await.status, 200);
    let recovered = Instant::now();
    while breaker(&server).await != "closed" {
        assert!(recovered.elapsed() < PATIENCE, "the breaker closes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed_after = recovered.elapsed();
    // What is owed to those that were refused is done with before the next ones come.
    let open = |status| format!("/v1/workflows?type=move_order&status={status}&limit=200");
    let none = |page: &Value| page["items"].as_array().is_some_and(Vec::is_empty);
    server.until(&open("compensating"), none).await;
    for answer in &pending {
        taken += usize::from(was_taken(&server, answer).await);
    }
    for _ in 0..2 {
        let answers = orders(&server, 8).await;
        assert_eq!(accepted(&answers), 8, "{answers:?}");
        taken += 8;
    }

    // What was taken is finished, and nothing is left of what was not.
    let confirmed = |page: &Value| {
        let statuses = each(page, "movers", "status");
        statuses.len() == taken && statuses.iter().all(|status| **status == "호출확정")
    };
    server.until("/movers?size=1000", confirmed).await;
    let running = server.get(&open("running")).await.body;
    assert_eq!(running["items"].as_array().map(Vec::len), Some(taken));
    is_sound(database.url());
    let took = refused.took;
    let pending = pending.len();
    eprintln!(
        "{taken} taken, {pending} of them late or refused late; refused in {took:?}; \
         closed {closed_after:?} after recovery"
    );
}
