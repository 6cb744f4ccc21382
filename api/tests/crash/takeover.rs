use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;

use crate::books;
use crate::canary::Canary;
use crate::history::workflow_id;
use crate::load::{Load, slow_down};
use crate::process::until;
use crate::town::{Api, Town, rows};

const RIDERS: u64 = 10;
const SEED: u64 = 3;

/// The default.
const LEASE: &str = "5s";

/// What is promised with it.
const PROMISED: Duration = Duration::from_secs(10);

/// How often a worker was lost to each of these calls: an attempt, or, unwinding, its outcome.
async fn losses(books: &PgPool, calls: &[i64]) -> BTreeMap<String, i64> {
    let ids: Vec<_> = calls.iter().map(|call| format!("'{}'", workflow_id(*call))).collect();
    let counted: Vec<(String, i64)> = rows(
        books,
        &format!(
            "select w.workflow_id, count(*) from hansom.workflow w join hansom.event e using (part, run)
             where w.workflow_id in ({}) and e.what::text like '%lost%' group by 1",
            ids.join(",")
        ),
    )
    .await;
    counted.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_two_servers_is_killed_the_other_moves_its_sagas_on_within_ten_seconds() {
    let town = Town::new().await;
    town.watch_writers().await;
    let doomed = town.serve_as("doomed", LEASE).await;
    let heir = town.serve_as("heir", LEASE).await;
    town.shared_by(&[&doomed, &heir]).await;
    let (worker, of_heir) = (doomed.worker(), Api::to(&heir.url));
    slow_down(&Api::to(&doomed.url)).await;
    slow_down(&of_heir).await;
    let load = Load::start(RIDERS, SEED);
    load.go_to(&[&doomed.url, &heir.url]);
    load.until_more(20).await;
    // Attempts that are certain to be under way: its driver service takes its time from now on.
    Api::to(&doomed.url).fault("drive", json!({ "latency_ms": 60_000 })).await;
    let caught = until("sagas of the one wait for its driver service", async || {
        let waiting = town.in_flight(&worker, "request_drive").await;
        (waiting.len() >= 4).then_some(waiting)
    })
    .await;
    let before = losses(&town.books, &caught).await;
    let of_doomed = doomed.log.clone();
    let canary = Canary::start();
    doomed.kill();
    let killed = Instant::now();
    load.go_to(&[&heir.url]);
    assert!(before.is_empty(), "nothing was lost before: {before:?}");

    let first = OnceLock::new();
    let all = until("all of them move again", async || {
        let moved = losses(&town.books, &caught).await.len();
        (moved > 0).then(|| first.get_or_init(|| killed.elapsed()));
        (moved == caught.len()).then(|| killed.elapsed())
    })
    .await;
    let first = first.get().expect("the first comes before the last");
    println!(
        "{} sagas of the killed one move again: the first after {} ms, all after {} ms",
        caught.len(),
        first.as_millis(),
        all.as_millis()
    );
    town.shared_by(&[&heir]).await;
    // Nobody can promise what a machine does that stands still.
    let stood_still = canary.late(killed, killed + all);
    assert!(
        all.saturating_sub(stood_still) < PROMISED,
        "{all:?}, and the machine stood still {stood_still:?}"
    );
    let buried = heir.log.all("buried");
    assert_eq!(buried.len(), 1);
    assert_eq!(buried[0].field("worker"), worker);
    load.until_more(5).await;

    let rides = load.stop().await;
    books::close_all(&town.books, &of_heir, &rides).await;
    let tally = books::check(&town.books, &of_heir, &rides).await;
    println!("{} calls answered: {tally:?}", rides.len());
    assert!(tally.lost_in >= caught.len(), "{tally:?}");
    town.assert_only_owners_wrote(&[("doomed", &of_doomed), ("heir", &heir.log)]).await;
    heir.log.assert_calm();
}
