//! Transactional steps whatever happens to workers, connections and partitions meanwhile.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hansom_core::{Status, Workflow};
use hansom_engine::Settings;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::bank::{
    AT_ONCE, Bank, PATIENT, PROCESS, Transfer, Trick, at_the_gate, balance, entries, shut,
};
use crate::crew::{LEASE, Process, audit, count, held, shared_out, shares, sql, until};
use crate::kit::{SOON, fresh};
use crate::relay::Relay;

async fn bury(connection: &mut PgConnection, worker: Uuid) -> bool {
    let aged = "update hansom.worker set heartbeat_at = heartbeat_at - interval '1 h'
        where worker_id = $1";
    sqlx::query(aged).bind(worker).execute(&mut *connection).await.unwrap();
    let burial = sqlx::query_scalar("select hansom.bury($1, interval '1 s')").bind(worker);
    burial.fetch_one(connection).await.unwrap()
}

async fn owner(sql: &PgPool) -> Uuid {
    *shares(sql).await.keys().next().unwrap()
}

/// What the last owner did not see the end of.
async fn lost(sql: &PgPool) -> i64 {
    count(sql, "select count(*) from hansom.event where what ? 'attempt_lost'").await
}

#[tokio::test]
async fn a_worker_lost_between_the_commit_and_history_leaves_the_outcome_behind() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    until("the debit is under way", async || at_the_gate(&sql).await == 1).await;
    // From here on history is not written: its worker's heartbeat and commits wait behind this.
    let victim = owner(&sql).await;
    let mut grave = held(&sql).await;
    assert!(sqlx::query("select from hansom.fence for update").execute(&mut *grave).await.is_ok());
    drop(gate);
    until("the debit is committed", async || entries(&sql).await[0] == 1).await;
    assert!(bury(&mut grave, victim).await);
    grave.commit().await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((lost(&sql).await, entries(&sql).await, bank.calls()), (1, [1, 0, 1], 2));
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn an_undo_that_was_committed_before_its_worker_was_lost_is_not_made_again() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    client.start::<Transfer>("t1", &PATIENT).await.unwrap();
    until("it is debited", async || entries(&sql).await[0] == 1).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    client.cancel("t1", None).await.unwrap();
    until("the credit is under way", async || at_the_gate(&sql).await == 1).await;
    let victim = owner(&sql).await;
    let mut grave = held(&sql).await;
    assert!(sqlx::query("select from hansom.fence for update").execute(&mut *grave).await.is_ok());
    drop(gate);
    until("the credit is committed", async || entries(&sql).await[1] == 1).await;
    assert!(bury(&mut grave, victim).await);
    grave.commit().await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    assert_eq!((lost(&sql).await, entries(&sql).await, bank.calls()), (1, [1, 1, 0], 2));
    balance(&sql).await;
    worker.drain().await;
}

/// It has done all its work, and asks for nothing but the commit.
#[tokio::test]
async fn what_a_zombie_wrote_is_not_committed_and_its_successor_makes_it_anew() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (one, client) = bank.worker(&database).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    until("the debit is under way", async || at_the_gate(&sql).await == 1).await;
    let victim = owner(&sql).await;
    // In one transaction: it does not beat in between.
    let mut grave = held(&sql).await;
    until("it is buried", async || bury(&mut grave, victim).await).await;
    grave.commit().await.unwrap();
    until("the next attempt waits for this one", async || {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'
              and query like '%take_step%'";
        count(&sql, waiting).await == 1
    })
    .await;
    assert_eq!((bank.calls(), entries(&sql).await), (1, [0, 0, 0]));
    drop(gate);
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((lost(&sql).await, bank.calls()), (1, 3), "the debit was made anew");
    assert_eq!(entries(&sql).await, [1, 0, 1]);
    balance(&sql).await;
    audit(&sql).await;
    one.drain().await;
}

/// A drain that runs out of patience: the attempt goes on in a process that owns nothing.
#[tokio::test]
async fn an_attempt_that_outlives_the_drain_of_its_worker_does_not_commit() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (bank, drain) = (Bank::open(&sql).await, Duration::from_millis(100));
    let settings = Settings { lease: LEASE, drain, ..Settings::default() };
    let (one, client) = bank.worker_at(database.url(), settings).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    until("the debit is under way", async || at_the_gate(&sql).await == 1).await;
    one.drain().await;
    drop(gate);
    until("it ends", async || {
        let open = "select count(*) from pg_stat_activity
            where datname = current_database() and backend_xid is not null";
        count(&sql, open).await == 0
    })
    .await;
    assert_eq!(entries(&sql).await, [0, 0, 0], "nobody owns the partition");
    let (two, client) = bank.worker(&database).await;
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 0, 1], 3));
    balance(&sql).await;
    two.drain().await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_for_and_found() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (bank, relay) = (Bank::open(&sql).await, Relay::open(&database));
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let (worker, client) = bank.worker_at(&relay.url, settings).await;
    relay.losses.answered.store(3, Ordering::SeqCst);
    for id in ["t1", "t2", "t3", "t4"] {
        client.start::<Transfer>(id, &AT_ONCE).await.unwrap();
        assert_eq!(client.result(id, SOON).await.unwrap().status, Status::Completed);
    }
    assert_eq!(relay.losses.answered.load(Ordering::SeqCst), 0, "all were lost");
    assert_eq!((entries(&sql).await, bank.calls()), ([4, 0, 4], 8));
    let failed =
        "select count(*) from hansom.event where what ?| array['attempt_failed', 'attempt_lost']";
    assert_eq!(count(&sql, failed).await, 0, "and history never knew");
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_looked_for_and_made_anew() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (bank, relay) = (Bank::open(&sql).await, Relay::open(&database));
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let (worker, client) = bank.worker_at(&relay.url, settings).await;
    relay.losses.asked.store(2, Ordering::SeqCst);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(relay.losses.asked.load(Ordering::SeqCst), 0, "both were lost");
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 0, 1], 4));
    let failed = "select count(*) from hansom.event where what ? 'attempt_failed'";
    assert_eq!(count(&sql, failed).await, 2);
    balance(&sql).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_backend_that_is_terminated_takes_its_attempt_with_it_and_nothing_else() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let bank = Bank::open(&sql).await;
    let (worker, client) = bank.worker(&database).await;
    let gate = shut(&sql).await;
    bank.next([Trick::Gate]);
    client.start::<Transfer>("t1", &AT_ONCE).await.unwrap();
    until("the debit is under way", async || at_the_gate(&sql).await == 1).await;
    let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and query like '%pg_advisory_xact_lock(7)%'
          and wait_event_type = 'Lock'";
    assert_eq!(count(&sql, killed).await, 1);
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((entries(&sql).await, bank.calls()), ([1, 0, 1], 3));
    drop(gate);
    // Connections that wait for the next attempt, all at once.
    let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and query = 'ROLLBACK' and state = 'idle'";
    until("an idle connection is found and killed", async || count(&sql, killed).await > 0).await;
    client.start::<Transfer>("t2", &AT_ONCE).await.unwrap();
    assert_eq!(client.result("t2", SOON).await.unwrap().status, Status::Completed);
    let failed = "select count(*) from hansom.event where what ? 'attempt_failed'";
    assert_eq!(count(&sql, failed).await, 1, "a dead connection that was idle fails nobody");
    balance(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn fifty_sagas_leave_exact_books_whoever_is_killed_meanwhile() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let _bank = Bank::open(&sql).await;
    let mut crew = vec![Process::of(&database, PROCESS), Process::of(&database, PROCESS)];
    shared_out(&sql, &[8, 8]).await;
    for round in 0..5 {
        for n in 0..10 {
            // Half of them are short of patience, and are undone.
            let patience = if n % 2 == 0 { 0 } else { 20 };
            let started = sqlx::query(START).bind(format!("t{round}.{n}")).bind(Transfer::NAME);
            started.bind(format!(r#"{{"patience_ms":{patience}}}"#)).execute(&sql).await.unwrap();
        }
        until("some are under way", async || {
            entries(&sql).await[0] >= round * 10 + rand::random_range(1..8)
        })
        .await;
        crew.remove(rand::random_range(0..2)).kill();
        crew.push(Process::of(&database, PROCESS));
        shared_out(&sql, &[8, 8]).await;
    }
    until("all are closed", async || {
        count(&sql, "select count(*) from hansom.workflow where status < 3").await == 0
    })
    .await;
    println!("{} lost", lost(&sql).await);
    assert_eq!(count(&sql, "select count(*) from hansom.workflow where status = 3").await, 25,);
    assert_eq!(entries(&sql).await, [50, 25, 25]);
    balance(&sql).await;
    audit(&sql).await;
}

const START: &str = "select hansom.start(
     ((('x' || encode(substr(sha256(convert_to('default', 'UTF8') || '\\x00' ||
       convert_to($1, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint & 4294967295) % 16)::int,
     'default', $1, 1, gen_random_uuid(), $2, '[{\"started\":{\"input\":' || $3 || '}}]', null)";
