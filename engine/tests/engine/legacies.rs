//! Transactional steps that one run took and another has undone.

use hansom_core::Status;

use crate::bank::{AT_ONCE, Bank, Family, Order, Trick, at_the_gate, entries, shut};
use crate::crew::{audit, count, sql, until};
use crate::kit::{SOON, fresh};

/// Steps by the run that took them, and undos beside them.
const ROWS: &str = "select count(*) from hansom.outcome o
    join hansom.workflow w on w.part = o.part and w.run = o.run where w.type = 'errand'";

#[tokio::test]
async fn what_a_child_did_is_undone_once_beside_its_own_outcome() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    client.start::<Family>("f1", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("f1", SOON).await.unwrap().status, Status::Failed);
    assert_eq!(client.result("errand", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 1, 0], 2));
    assert_eq!(
        (count(&sql, ROWS).await, count(&sql, "select count(*) from hansom.outcome").await),
        (2, 2)
    );
    audit(&sql).await;
    worker.drain().await;
}

/// The child closed, and its attempt goes on: nobody waits for it, and it is owed an undo.
#[tokio::test]
async fn an_attempt_that_its_run_did_not_wait_for_is_waited_for_by_its_undo() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    let order = Order { patience_ms: 2_000, limit_ms: None };
    client.start::<Family>("f1", &order).await.unwrap();
    until("the debit is under way", async || at_the_gate(&sql).await == 1).await;
    assert_eq!(client.result("errand", SOON).await.unwrap().status, Status::Completed);
    let voiding = "select count(*) from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query like '%void_step%'";
    until("its undo waits for it", async || count(&sql, voiding).await == 1).await;
    assert_eq!((entries(&sql).await, bank.calls()), ([0, 0, 0], 1));
    drop(gate);
    assert_eq!(client.result("f1", SOON).await.unwrap().status, Status::Failed);
    assert_eq!(
        (entries(&sql).await, bank.calls()),
        ([1, 1, 0], 2),
        "it took place, and was undone"
    );
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn an_attempt_that_nobody_waited_for_and_that_failed_is_not_undone_nor_made_again() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    // Over its time, long after its run has closed.
    let order = Order { patience_ms: 2_000, limit_ms: Some(5_000) };
    client.start::<Family>("f1", &order).await.unwrap();
    assert_eq!(client.result("f1", SOON).await.unwrap().status, Status::Failed);
    assert_eq!((entries(&sql).await, bank.calls()), ([0, 0, 0], 1));
    let void = "select count(*) from hansom.outcome where void and not undo";
    assert_eq!(count(&sql, void).await, 1, "and never will be");
    drop(gate);
    assert_eq!(count(&sql, "select cents from account").await, 1_000_000);
    audit(&sql).await;
    worker.drain().await;
}
