//! What a caller sees of one saga.

use hansom_core::{Status, UndoStatus};
use hansom_engine::ClientError;

use crate::crew::LAG;
use crate::kit::{Arrive, Ride, SOON, Trip, World, fresh, worker};

const AT_ONCE: Ride = Ride { patience_ms: 0 };
const PATIENT: Ride = Ride { patience_ms: 600_000 };

#[tokio::test]
async fn a_saga_runs_to_its_end_and_its_history_is_gapless() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    assert!(!client.start::<Trip>("t1", &AT_ONCE).await.unwrap().existing);
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Completed);
    assert_eq!(outcome.output.unwrap().get(), "\"paid\"");
    let history = client.history("t1", None, 100).await.unwrap();
    let numbers: Vec<_> = history.items.iter().map(|event| event.event).collect();
    assert_eq!(numbers, (0..7).collect::<Vec<_>>());
    assert_eq!((world.count("charge"), world.count("notify"), world.attempts()), (1, 1, 2));
    worker.drain().await;
}

#[tokio::test]
async fn a_start_repeated_is_one_start_and_another_input_is_a_conflict() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let first = client.start::<Trip>("t1", &PATIENT).await.unwrap();
    let again = client.start::<Trip>("t1", &PATIENT).await.unwrap();
    assert_eq!((first.run, again.existing), (again.run, true));
    let other = client.start::<Trip>("t1", &AT_ONCE).await.unwrap_err();
    assert!(matches!(other, ClientError::InputConflict { .. }), "{other}");
    worker.drain().await;
}

#[tokio::test]
async fn fifty_starts_of_one_id_at_once_are_one_saga() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let starts = (0..50).map(|_| client.start::<Trip>("t1", &AT_ONCE));
    let started = futures_util::future::join_all(starts).await;
    let runs: Vec<_> = started.iter().map(|started| started.as_ref().unwrap().run).collect();
    assert!(runs.iter().all(|run| *run == runs[0]));
    assert_eq!(started.iter().filter(|started| !started.as_ref().unwrap().existing).count(), 1);
    client.result("t1", SOON).await.unwrap();
    assert_eq!(world.count("charge"), 1);
    worker.drain().await;
}

#[tokio::test]
async fn a_signal_is_delivered_once_and_a_timer_is_not_early() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    client.signal("t1", &Arrive, Some("s1")).await.unwrap();
    let again = client.signal("t1", &Arrive, Some("s1")).await;
    assert!(matches!(again, Ok(()) | Err(ClientError::Closed { .. })), "{again:?}");
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    let begun = std::time::Instant::now();
    client.start::<Trip>("t2", &Ride { patience_ms: 300 }).await.unwrap();
    assert_eq!(client.result("t2", SOON).await.unwrap().status, Status::Failed);
    assert!((begun.elapsed() + LAG).as_millis() >= 300);
    assert_eq!(world.count("refund"), 1);
    worker.drain().await;
}

#[tokio::test]
async fn a_cancel_refunds_and_a_second_cancel_is_no_error() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    client.start::<Trip>("t1", &PATIENT).await.unwrap();
    client.cancel("t1", Some("changed my mind")).await.unwrap();
    client.cancel("t1", None).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    client.cancel("t1", None).await.unwrap();
    let now = client.describe("t1").await.unwrap();
    let charged = world.count("charge");
    assert_eq!(world.count("refund"), charged);
    assert_eq!(now.undo == UndoStatus::Done, charged == 1);
    worker.drain().await;
}

#[tokio::test]
async fn a_refusal_is_final_and_leaves_nothing_to_undo() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    world.refuse(1);
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert_eq!(outcome.error.unwrap().get(), r#"{"refused":null}"#);
    assert_eq!((world.attempts(), world.count("refund")), (1, 0));
    worker.drain().await;
}

#[tokio::test]
async fn technical_failures_are_retried_with_the_same_key() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    world.fail(2);
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((world.attempts(), world.count("charge")), (4, 1));
    worker.drain().await;
}

#[tokio::test]
async fn a_charge_whose_outcome_is_unknown_is_refunded() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    world.fail(6);
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.error.unwrap().get().contains("the network is down"));
    assert_eq!((world.count("charge"), world.count("refund")), (0, 1));
    worker.drain().await;
}

#[tokio::test]
async fn an_undo_that_keeps_failing_leaves_the_saga_stuck_and_the_debt_owed() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    world.fail(8);
    client.start::<Trip>("t1", &AT_ONCE).await.unwrap();
    let stuck = loop {
        let now = client.describe("t1").await.unwrap();
        if now.status == Status::Stuck {
            break now;
        }
        client.watch("t1").await.unwrap().changed(SOON / 100).await;
    };
    assert_eq!(stuck.now.stuck.unwrap().reason, "undo_exhausted");
    assert_eq!(stuck.undo, UndoStatus::Owed);
    assert_eq!(client.undo_plan("t1").await.unwrap().undos[0].activity, "refund");
    worker.drain().await;
}
