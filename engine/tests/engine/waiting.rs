//! What waits: signals, timers, retries, and who is woken by them.

use std::time::Duration;

use futures_util::future::{join, join_all};
use hansom_core::{Event, Status};
use hansom_engine::{Client, ClientError};

use crate::crew::{audit, count, sql, until};
use crate::kit::{Arrive, Name, Ride, Roll, SOON, Trip, World, fresh, worker};

const PATIENT: Ride = Ride { patience_ms: 600_000 };

#[tokio::test]
async fn signals_wait_in_order_each_id_once_and_no_more_than_a_thousand() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    client.start::<Roll>("r", &1_000).await.unwrap();
    let waiting = "select count(*) from hansom.inbox";
    until("it is under way", async || count(&sql, waiting).await == 0).await;
    one.drain().await;
    let name = |n: usize| Name(format!("n{n}"));
    for n in 0..1_000 {
        client.signal("r", &name(n), Some(&format!("s{n}"))).await.unwrap();
        if n % 10 == 0 && n > 0 {
            let repeated = n - 5;
            client.signal("r", &name(repeated), Some(&format!("s{repeated}"))).await.unwrap();
        }
    }
    let full = client.signal("r", &name(1_000), Some("s1000")).await.unwrap_err();
    assert!(matches!(full, ClientError::QueueFull { limit: 1_000, .. }), "{full}");
    assert_eq!(count(&sql, waiting).await, 1_000);
    let (two, client) = worker(&database, &world).await;
    let outcome = client.result("r", SOON).await.unwrap();
    let names: Vec<String> = outcome.output.unwrap().decode().unwrap();
    let expected: Vec<_> = (0..1_000).map(|n| format!("n{n}")).collect();
    assert_eq!(names, expected);
    let closed = client.signal("r", &name(0), None).await.unwrap_err();
    assert!(matches!(closed, ClientError::Closed { .. }), "{closed}");
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_signal_repeated_after_it_was_heard_is_not_heard_again() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    client.start::<Roll>("r", &3).await.unwrap();
    for id in ["a", "a", "b", "a", "b", "c"] {
        client.signal("r", &Name(id.to_owned()), Some(id)).await.unwrap();
        until("it is heard", async || heard(&client, "r").await.contains(&id.to_owned())).await;
    }
    let outcome = client.result("r", SOON).await.unwrap();
    assert_eq!(outcome.output.unwrap().get(), r#"["a","b","c"]"#);
    worker.drain().await;
}

async fn heard(client: &Client, id: &str) -> Vec<String> {
    let history = client.history(id, None, 1_000).await.unwrap();
    let events = history.items.into_iter().map(|event| event.what);
    let signals = events.filter_map(|what| match what {
        Event::Signalled { id, .. } => Some(id),
        _ => None,
    });
    signals.collect()
}

#[tokio::test]
async fn a_cancel_and_an_end_race_and_one_of_them_wins() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let ids: Vec<_> = (0..80).map(|n| format!("t{n}")).collect();
    join_all(ids.iter().map(|id| client.start::<Trip>(id, &PATIENT))).await;
    until("all are charged", async || world.count("charge") == 80).await;
    let mut ends = [0, 0];
    join_all(ids.iter().enumerate().map(async |(n, id)| {
        let (signal, cancel) = (client.signal(id, &Arrive, None), client.cancel(id, None));
        // Whoever is asked first is not always heard first.
        let (signalled, cancelled) = if n % 2 == 0 {
            join(signal, cancel).await
        } else {
            let (cancelled, signalled) = join(cancel, signal).await;
            (signalled, cancelled)
        };
        assert!(matches!(signalled, Ok(()) | Err(ClientError::Closed { .. })), "{signalled:?}");
        let late =
            matches!(cancelled, Err(ClientError::Closed { .. } | ClientError::AfterPivot(_)));
        assert!(cancelled.is_ok() || late, "{cancelled:?}");
    }))
    .await;
    for id in &ids {
        match client.result(id, SOON).await.unwrap().status {
            Status::Completed => ends[0] += 1,
            Status::Cancelled => ends[1] += 1,
            status => panic!("{id}: {status:?}"),
        }
    }
    assert!(ends[0] > 0 && ends[1] > 0, "each wins now and then: {ends:?}");
    assert_eq!([world.count("notify"), world.count("refund")], ends);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_timer_survives_its_worker_and_is_not_early() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    // One falls due while nobody is there, one after somebody is there again.
    client.start::<Trip>("soon", &Ride { patience_ms: 3_000 }).await.unwrap();
    client.start::<Trip>("later", &Ride { patience_ms: 8_000 }).await.unwrap();
    until("both are charged", async || count(&sql, "select count(*) from hansom.alarm").await == 2)
        .await;
    one.drain().await;
    until("one is due", async || {
        count(&sql, "select count(*) from hansom.alarm where due < clock_timestamp()").await == 1
    })
    .await;
    let (two, client) = worker(&database, &world).await;
    for id in ["soon", "later"] {
        assert_eq!(client.result(id, SOON).await.unwrap().status, Status::Failed);
    }
    let early = "select count(*) from hansom.event f, hansom.event s
        where f.what ? 'fired' and s.run = f.run and s.what ? 'start_timer'
          and f.at < timestamptz 'epoch'
              + (s.what -> 'start_timer' ->> 'at')::bigint * interval '1 microsecond'";
    assert_eq!(count(&sql, early).await, 0);
    assert_eq!(count(&sql, "select count(*) from hansom.event where what ? 'fired'").await, 2);
    assert_eq!(count(&sql, "select count(*) from hansom.alarm").await, 0);
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn what_is_parked_is_woken_by_a_signal_a_timer_and_a_cancel() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &world).await;
    for id in ["signal", "cancel"] {
        client.start::<Trip>(id, &PATIENT).await.unwrap();
    }
    client.start::<Trip>("timer", &Ride { patience_ms: 9_000 }).await.unwrap();
    let hot = "select count(*) from hansom.workflow where hot";
    until("all are charged", async || world.count("charge") == 3).await;
    until("all are parked", async || count(&sql, hot).await == 0).await;
    one.drain().await;
    // The next owner loads only what is hot, so that each of these is woken.
    let (two, client) = worker(&database, &world).await;
    client.signal("signal", &Arrive, None).await.unwrap();
    client.cancel("cancel", None).await.unwrap();
    assert_eq!(client.result("signal", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(client.result("cancel", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!(client.result("timer", SOON).await.unwrap().status, Status::Failed);
    assert_eq!((world.count("charge"), world.count("refund")), (3, 2));
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_retry_survives_its_worker_with_its_number() {
    let (database, failing) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &failing).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    until("it is charged", async || failing.count("charge") == 1).await;
    failing.fail(u32::MAX);
    client.signal("t1", &Arrive, None).await.unwrap();
    until("it was tried twice", async || failing.number("notify") >= Some(2)).await;
    one.drain().await;
    let tried = failing.number("notify").unwrap();
    let working = World::default();
    let (two, client) = worker(&database, &working).await;
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(working.number("notify"), Some(tried + 1));
    assert_eq!(working.attempts(), 1);
    let failed = "select count(*) from hansom.event where what ? 'attempt_failed'";
    assert_eq!(count(&sql, failed).await, i64::from(tried));
    audit(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_timer_set_as_soon_as_a_worker_is_there_is_in_time() {
    for _ in 0..10 {
        let (database, world) = (fresh().await, World::default());
        let (worker, client) = worker(&database, &world).await;
        client.start::<Trip>("t1", &Ride { patience_ms: 1 }).await.unwrap();
        let outcome = client.result("t1", Duration::from_secs(5)).await;
        assert_eq!(outcome.unwrap().status, Status::Failed);
        worker.drain().await;
    }
}
