//! More than one that claims from one queue, and whoever leaves it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hansom_core::Status;
use hansom_postgres::testing::PATIENCE;

use crate::crew::{audit, count, sql, until};
use crate::kit::{SOON, Trip, World, fresh};
use crate::remote::{AT_ONCE, TASKS, asking, claim, json, worker};

#[tokio::test]
async fn no_two_hold_one_attempt_and_the_oldest_is_claimed_first() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world, &["charge", "notify"]).await;
    for n in 0..20 {
        client.start::<Trip>(&format!("first{n}"), &AT_ONCE).await.unwrap();
        until("it is offered", async || count(&sql, TASKS).await == n + 1).await;
    }
    let mut order = Vec::new();
    for _ in 0..20 {
        let task = claim(&client, "charge").await;
        client.complete_task(&task.token, json("paid")).await.unwrap();
        order.push(task.workflow_id);
    }
    assert_eq!(order, (0..20).map(|n| format!("first{n}")).collect::<Vec<_>>());
    let ids: Vec<_> = (0..100).map(|n| format!("t{n}")).collect();
    let starts = join_all(ids.iter().map(|id| client.start::<Trip>(id, &AT_ONCE)));
    let claimed = AtomicUsize::new(0);
    let workers = join_all((0..8).map(async |n| {
        let mut held = Vec::new();
        let mut request = asking("charge", 1 + n % 3, Duration::from_secs(1));
        request.queues.push("notify".to_owned());
        let begun = Instant::now();
        while claimed.load(Ordering::SeqCst) < 100 + 120 && begun.elapsed() < PATIENCE {
            for task in client.claim_tasks(&request).await.unwrap() {
                claimed.fetch_add(1, Ordering::SeqCst);
                let output = if task.activity == "charge" { json("paid") } else { json(()) };
                client.complete_task(&task.token, output).await.unwrap();
                held.push((task.run, task.seq, task.attempt));
            }
        }
        held
    }));
    let (_, held) = tokio::join!(starts, workers);
    let held: Vec<_> = held.into_iter().flatten().collect();
    assert_eq!(held.len(), 100 + 120, "each is claimed");
    assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len(), "and each but once");
    for queue in ["charge", "notify"] {
        let none = client.claim_tasks(&asking(queue, 9, Duration::ZERO)).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
    }
    let open = "select count(*) from hansom.workflow where status <> 3";
    until("all are completed", async || count(&sql, open).await == 0).await;
    until("nothing is left", async || count(&sql, TASKS).await == 0).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn whoever_waits_is_woken_and_whoever_leaves_takes_nothing_with_him() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world, &["charge"]).await;
    let mut waited = Vec::new();
    // Others use this machine as well: the best of a few tries.
    for id in ["w1", "w2", "w3"] {
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { claim(&client, "charge").await }
        });
        // It has looked, and found nothing.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        client.start::<Trip>(id, &AT_ONCE).await.unwrap();
        let task = waiting.await.unwrap();
        waited.push(begun.elapsed());
        client.complete_task(&task.token, json("paid")).await.unwrap();
        if waited.last() < Some(&Duration::from_secs(1)) {
            break;
        }
    }
    assert!(
        waited.last() < Some(&Duration::from_secs(1)),
        "sooner than by looking again: {waited:?}"
    );

    client.start::<Trip>("t2", &AT_ONCE).await.unwrap();
    let (patience, mut attempt) = (asking("charge", 1, SOON), 1);
    for micros in (0..20_000).step_by(20) {
        let limit = Duration::from_micros(micros);
        if let Ok(tasks) = tokio::time::timeout(limit, client.claim_tasks(&patience)).await {
            // This one has arrived after all.
            let token = &tasks.unwrap()[0].token;
            client.fail_task(token, "as asked", None).await.unwrap();
            attempt += 1;
            break;
        }
    }
    let task = claim(&client, "charge").await;
    assert_eq!(task.attempt, attempt, "and not when it is too late for another");
    client.complete_task(&task.token, json("paid")).await.unwrap();
    assert_eq!(client.result("t2", SOON).await.unwrap().status, Status::Completed);
    worker.drain().await;
}
