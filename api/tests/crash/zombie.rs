use serde_json::json;
use tokio::task::JoinHandle;

use crate::books;
use crate::history::History;
use crate::load::{Plan, Ride};
use crate::process::{Process, until};
use crate::town::{Api, Town, unlock};

/// The default.
const LEASE: &str = "5s";

/// Places calls, as many at a time; the answers may take until a takeover.
async fn place(api: &Api, count: usize) -> Vec<Ride> {
    let ask = json!({ "userId": 1, "userName": "nana", "distance": 20 });
    let placing = (0..count).map(|_| api.post("/calls", ask.clone()));
    let answers = futures_util::future::join_all(placing).await;
    let rides = answers.into_iter().zip(0..).map(|(answer, number)| {
        let answer = answer.expect("it is there");
        // Whose first attempt was lost has one more, and may not be paid.
        assert!(matches!(answer.status, 201 | 503 | 504), "{}", answer.body);
        let plan = if number % 2 == 0 { Plan::End } else { Plan::Cancel };
        let call = answer.body["callId"].as_i64().expect("a call has a number");
        Ride { plan, call, placed: answer.status, finished: None }
    });
    rides.collect()
}

async fn cancel(api: &Api, rides: &mut [Ride]) {
    for ride in rides.iter_mut().filter(|ride| ride.plan == Plan::Cancel && ride.placed != 503) {
        let answer = api.post("/calls/cancel", json!({ "callId": ride.call })).await;
        let status = answer.expect("it is there").status;
        assert!(matches!(status, 200 | 202), "{status}");
        ride.finished = Some(status);
    }
}

/// Stops it while charges are under way; answers the calls that were placed at the other one, and
/// those that it was caught at.
async fn fall_asleep(
    town: &Town,
    sleeper: &Process,
    heir: &Api,
) -> (Vec<JoinHandle<Vec<Ride>>>, Vec<i64>) {
    let worker = sleeper.worker();
    Api::to(&sleeper.url).fault("payment", json!({ "latency_ms": 300 })).await;
    let mut placing = Vec::new();
    loop {
        let api = heir.clone();
        placing.push(tokio::spawn(async move { place(&api, 12).await }));
        let seen = until("charges of the one are under way, or none any more", async || {
            let seen = town.in_flight(&worker, "charge_fare").await.len() >= 2;
            (seen || placing.iter().all(JoinHandle::is_finished)).then_some(seen)
        })
        .await;
        if seen {
            sleeper.signal("-STOP");
            let caught = town.in_flight(&worker, "charge_fare").await;
            if !caught.is_empty() {
                return (placing, caught);
            }
            // It fell asleep too late.
            sleeper.signal("-CONT");
        }
        assert!(placing.len() < 20, "it is never caught");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_slept_past_its_lease_writes_nothing_with_its_old_identity_and_joins_anew() {
    let town = Town::new().await;
    town.watch_writers().await;
    let sleeper = town.serve_as("sleeper", LEASE).await;
    let heir = town.serve_as("heir", LEASE).await;
    town.shared_by(&[&sleeper, &heir]).await;
    let (buried, api) = (sleeper.worker(), Api::to(&heir.url));
    // Its charges are on their way when it falls asleep, and arrive when it wakes up.
    let (placing, caught) = fall_asleep(&town, &sleeper, &api).await;
    let line = heir.log.until("buried").await;
    assert_eq!(line.field("worker"), buried);
    town.shared_by(&[&heir]).await;

    // All of it comes to its end before the sleeper wakes up, half of it with a refund.
    let mut rides = Vec::new();
    for placing in placing {
        rides.append(&mut placing.await.expect("the calls are answered"));
    }
    cancel(&api, &mut rides).await;
    books::close_all(&town.books, &api, &rides).await;
    books::check(&town.books, &api, &rides).await;
    for call in &caught {
        assert!(History::of_call(&api, *call).await.lost() > 0, "{call} was not taken over");
    }

    // Its heartbeat would tell it as well: this way a commit is what finds out.
    let workers = town.lock("hansom.worker").await;
    let rows = town.count("hansom.history").await;
    sleeper.signal("-CONT");
    sleeper.log.until("fenced").await;
    assert_eq!(town.count("hansom.history").await, rows, "it wrote before it noticed");
    unlock(workers).await;
    assert_eq!(sleeper.log.until("joining_anew").await.field("worker"), buried);
    until("it has a new name", async || (sleeper.worker() != buried).then_some(())).await;
    town.shared_by(&[&sleeper, &heir]).await;

    let awake = Api::to(&sleeper.url);
    awake.fault("payment", json!({})).await;
    let mut more = place(&awake, 12).await;
    cancel(&api, &mut more).await;
    rides.append(&mut more);
    books::close_all(&town.books, &api, &rides).await;
    let tally = books::check(&town.books, &api, &rides).await;
    println!("{} calls around a sleep of more than a lease: {tally:?}", rides.len());
    assert!(tally.completed > 0 && tally.cancelled > 0, "{tally:?}");
    assert_eq!(sleeper.log.all("joining_anew").len(), 1, "once is enough");
    town.assert_only_owners_wrote(&[("sleeper", &sleeper.log), ("heir", &heir.log)]).await;
    sleeper.log.assert_calm();
    heir.log.assert_calm();
}
