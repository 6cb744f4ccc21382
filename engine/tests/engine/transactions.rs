//! Handlers that take the transaction: what they wrote and the outcome of their step are one.

use std::time::{Duration, Instant};

use hansom_core::{Status, UndoStatus};
use hansom_engine::{Client, Settings};
use sqlx::PgPool;

use crate::bank::{
    AT_ONCE, Bank, Half, Order, PATIENT, Transfer, Trick, at_the_gate, balance, entries, shut,
};
use crate::crew::{audit, count, sql, until};
use crate::kit::{Arrive, SOON, fresh};

async fn happened(client: &Client, id: &str, what: &str) -> usize {
    let history = client.history(id, None, 200).await.unwrap();
    let of_that_name = |event: &&hansom_engine::HistoryEvent| {
        serde_json::to_value(&event.what).unwrap().get(what).is_some()
    };
    history.items.iter().filter(of_that_name).count()
}

async fn outcomes(sql: &PgPool) -> i64 {
    count(sql, "select count(*) from hansom.outcome").await
}

#[tokio::test]
async fn what_a_handler_wrote_and_the_outcome_commit_together() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    for n in 0..5 {
        let id = format!("t{n}");
        client.start::<Transfer>(&id, &AT_ONCE).await.unwrap();
        let outcome = client.result(&id, SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
        // The handler's answer, as it was in the transaction.
        assert_eq!(outcome.output.unwrap().get(), (1_000_000 - 5 * (n + 1)).to_string());
    }
    assert_eq!((entries(&sql).await, outcomes(&sql).await, bank.calls()), ([5, 0, 5], 10, 10));
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn whatever_goes_wrong_in_an_attempt_takes_back_what_it_wrote() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    for (n, trick) in [Trick::Fail, Trick::Panic, Trick::Swallow].into_iter().enumerate() {
        let id = format!("t{n}");
        bank.next([trick, trick]);
        client.start::<Transfer>(&id, &AT_ONCE).await.unwrap();
        assert_eq!(client.result(&id, SOON).await.unwrap().status, Status::Completed, "{trick:?}");
        assert_eq!(happened(&client, &id, "attempt_failed").await, 2, "{trick:?}");
        balance(&sql).await;
    }
    assert_eq!((entries(&sql).await, bank.calls()), ([3, 0, 3], 12));
    worker.drain().await;
}

#[tokio::test]
async fn a_refusal_did_nothing_and_leaves_nothing_to_undo() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    bank.next([Trick::Refuse]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert_eq!(outcome.error.unwrap().get(), r#"{"refused":null}"#);
    assert_eq!((entries(&sql).await, outcomes(&sql).await, bank.calls()), ([0, 0, 0], 0, 1));
    balance(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_savepoint_is_the_handlers_own() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    bank.next([Trick::Savepoint]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 0, 1], 2));
    balance(&sql).await;
    worker.drain().await;
}

/// Whether an attempt that takes too long was answered, and its locks were free, not long after
/// its time. Never before it.
async fn in_time(client: &Client, sql: &PgPool, bank: &Bank, id: &str, trick: Trick) -> bool {
    let (limit, calls) = (Duration::from_millis(1_500), bank.calls());
    bank.next([trick]);
    let begun = Instant::now();
    let order = Order { limit_ms: Some(1_500), ..PATIENT };
    client.start::<Transfer>(id, &order).await.unwrap();
    until("the attempt is answered", async || happened(client, id, "attempt_failed").await > 0)
        .await;
    let answered = begun.elapsed();
    assert!(answered >= limit, "not before its time");
    let asleep = "select count(*) from pg_stat_activity
        where datname = current_database() and query like '%pg_sleep(60)%'
          and pid <> pg_backend_pid()";
    assert_eq!(count(sql, asleep).await, 0, "its backend is gone");
    // Its locks with it, well within the time of the next attempt.
    client.signal(id, &Arrive, None).await.unwrap();
    assert_eq!(client.result(id, SOON).await.unwrap().status, Status::Completed);
    let done = begun.elapsed();
    println!("{id}: answered after {answered:?}, done after {done:?}");
    balance(sql).await;
    answered < 2 * limit && done < Duration::from_secs(4) && bank.calls() == calls + 3
}

#[tokio::test]
async fn an_attempt_over_time_is_answered_when_it_is_rolled_back_and_not_long_after_its_time() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    let mut runs = 0;
    for trick in [Trick::Sleep, Trick::Dream] {
        // Others use this machine as well: the best of a few tries.
        let mut timely = false;
        for attempt in 0..3 {
            runs += 1;
            timely = in_time(&client, &sql, &bank, &format!("{trick:?}{attempt}"), trick).await;
            if timely {
                break;
            }
        }
        assert!(timely, "{trick:?}");
    }
    assert_eq!(entries(&sql).await, [runs, 0, runs]);
    worker.drain().await;
}

#[tokio::test]
async fn an_undo_takes_place_once_as_well() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    client.start::<Transfer>("t1", &PATIENT).await.unwrap();
    until("it is debited", async || entries(&sql).await[0] == 1).await;
    bank.next([Trick::Fail, Trick::Panic]);
    client.cancel("t1", None).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 1, 0], 4));
    assert_eq!(client.describe("t1").await.unwrap().undo, UndoStatus::Done);
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

/// Of a plain step the undo would have to find out by itself whether there is anything to undo.
#[tokio::test]
async fn a_step_that_was_given_up_is_undone_only_if_it_took_place() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    bank.next([Trick::Fail, Trick::Fail, Trick::Fail]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    assert!(outcome.error.unwrap().get().contains("the lights went out"));
    assert_eq!(happened(&client, "t1", "unknown").await, 1, "history does not know");
    assert_eq!(happened(&client, "t1", "undo").await, 1, "and has it undone");
    assert_eq!((entries(&sql).await, bank.calls()), ([0, 0, 0], 3), "but there is nothing to undo");
    let void = "select count(*) from hansom.outcome where void and not undo and seq = 0";
    assert_eq!(count(&sql, void).await, 1, "and there never will be");
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_plain_undo_of_a_step_that_never_took_place_is_spared_too() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    bank.next([Trick::Fail, Trick::Fail, Trick::Fail]);
    client.start::<Half>("t1", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Failed);
    assert_eq!(happened(&client, "t1", "undo").await, 1);
    let void = "select count(*) from hansom.outcome where void";
    assert_eq!(count(&sql, void).await, 1);
    worker.drain().await;
}

#[tokio::test]
async fn a_handler_that_ends_its_transaction_by_itself_fails_loudly_and_does_not_run_again() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    bank.next([Trick::Commit]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    let outcome = client.result("t1", SOON).await.unwrap();
    let error = outcome.error.unwrap();
    assert!(error.get().contains("ended its transaction by itself"), "{error:?}");
    assert_eq!(happened(&client, "t1", "attempt_failed").await, 2);
    // What it wrote has taken place, and is undone.
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 1, 0], 2));
    worker.drain().await;
}

#[tokio::test]
async fn handlers_that_hold_on_to_their_transactions_are_in_nobody_elses_way() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let lease = Duration::from_secs(1);
    let settings = Settings { lease, transactions: 2, ..Settings::default() };
    let (worker, client) = bank.worker_at(database.url(), settings).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate; 6]);
    for n in 0..6 {
        client.start::<Transfer>(&format!("t{n}"), &AT_ONCE).await.unwrap();
    }
    until("two hold on", async || at_the_gate(&sql).await > 0).await;
    let own = "select count(distinct pid) from pg_locks
        where relation = 'hansom.outcome'::regclass and mode = 'RowExclusiveLock'
          and database = (select oid from pg_database where datname = current_database())";
    let begun = Instant::now();
    while begun.elapsed() < lease {
        assert!(count(&sql, own).await <= 2, "no more than two at a time");
        assert!(worker.is_ready(), "the heartbeat goes on");
        assert_eq!(client.describe("t5").await.unwrap().status, Status::Running);
    }
    client.start::<Transfer>("t6", &AT_ONCE).await.unwrap();
    drop(gate);
    for n in 0..7 {
        let outcome = client.result(&format!("t{n}"), SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
    }
    balance(&sql).await;
    worker.drain().await;
}
