//! Starts inside transactions: of Rust, and of whoever speaks SQL.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hansom_core::{Payload, Status};
use hansom_engine::{ClientError, Filter, IdReuse, SignalRequest, StartRequest};
use rand::RngExt;
use sqlx::PgPool;
use sqlx::postgres::PgDatabaseError;
use uuid::Uuid;

use crate::crew::{audit, count, shared_out, sql, until};
use crate::kit::{Arrive, Ride, SOON, Trip, World, fresh, worker};
use crate::rounds::{self, Lap};
use crate::stage::Stage;

const AT_ONCE: &str = r#"{"patience_ms": 0}"#;

fn request(id: &str, patience_ms: u64) -> StartRequest {
    StartRequest::new("trip", id, Payload::of(&Ride { patience_ms }).unwrap())
}

/// The plainest start in SQL.
async fn start(sql: &PgPool, id: &str, input: &str) -> Result<(Uuid, bool), sqlx::Error> {
    let start = "select run, existing from hansom.start_workflow($1, 'trip', $2::jsonb)";
    sqlx::query_as(start).bind(id).bind(input).fetch_one(sql).await
}

/// The code of a refusal, what it says, and its hint.
async fn refusal(sql: &PgPool, arguments: &str) -> (String, String, String) {
    let start = format!("select * from hansom.start_workflow({arguments})");
    let error = sqlx::query(sqlx::AssertSqlSafe(start)).execute(sql).await.unwrap_err();
    let error = error.as_database_error().expect("the database says no");
    let error = error.downcast_ref::<PgDatabaseError>();
    let hint = error.hint().unwrap_or_default();
    (error.code().to_owned(), error.message().to_owned(), hint.to_owned())
}

#[tokio::test]
async fn a_start_in_a_transaction_is_there_when_that_commits_and_never_was_when_it_does_not() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let mut tx = sql.begin().await.unwrap();
    client.start_in(&mut tx, request("t1", 0)).await.unwrap();
    let unseen = client.describe("t1").await;
    assert!(matches!(unseen, Err(ClientError::NotFound(_))), "{unseen:?}");
    tx.rollback().await.unwrap();
    for table in ["workflow", "history", "inbox", "alarm"] {
        let rows = format!("select count(*) from hansom.{table}");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).fetch_one(&sql).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }

    let mut tx = sql.begin().await.unwrap();
    let started = client.start_in(&mut tx, request("t1", 0)).await.unwrap();
    let again = client.start_in(&mut tx, request("t1", 0)).await.unwrap();
    assert_eq!((again.run, started.existing, again.existing), (started.run, false, true));
    let conflict = client.start_in(&mut tx, request("t1", 1)).await;
    assert!(matches!(conflict, Err(ClientError::InputConflict { .. })), "{conflict:?}");
    tx.commit().await.expect("a conflict leaves the transaction as it was");
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!(
        client.start::<Trip>("t1", &Ride { patience_ms: 0 }).await.unwrap().run,
        started.run
    );
    assert_eq!(world.count("charge"), 1);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn an_id_is_used_again_and_an_open_run_signalled_inside_the_transaction_too() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    client.start_raw(request("t1", 0)).await.unwrap();
    client.result("t1", SOON).await.unwrap();
    let anew = StartRequest { id_reuse: IdReuse::Allow, ..request("t1", 600_000) };
    for commits in [false, true] {
        let mut tx = sql.begin().await.unwrap();
        assert!(!client.start_in(&mut tx, anew.clone()).await.unwrap().existing);
        if commits {
            tx.commit().await.unwrap();
        }
    }
    let payload = Payload::of(&Arrive).unwrap();
    let signal = SignalRequest { name: "arrive".to_owned(), id: Some("s".to_owned()), payload };
    for commits in [false, true] {
        let mut tx = sql.begin().await.unwrap();
        let with_signal = StartRequest { signal: Some(signal.clone()), ..request("t1", 600_000) };
        assert!(client.start_in(&mut tx, with_signal).await.unwrap().existing);
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Completed);
    assert_eq!((world.count("notify"), count(&sql, RUNS).await), (2, 2));
    audit(&sql).await;
    worker.drain().await;
}

const RUNS: &str = "select count(*) from hansom.workflow";

#[tokio::test]
async fn a_trigger_starts_a_saga_for_each_row_that_is_committed() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    for statement in [
        "create table ride (id text primary key, patience_ms int not null)",
        "create function start_ride() returns trigger language plpgsql as $$
         begin
             perform hansom.start_workflow(
                 workflow_id => 'ride.' || new.id, type => 'trip',
                 input => jsonb_build_object('patience_ms', new.patience_ms),
                 labels => jsonb_build_object('table', 'ride'));
             return new;
         end $$",
        "create trigger start_ride after insert on ride
         for each row execute function start_ride()",
        "insert into ride select n, 0 from generate_series(1, 20) n",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    let mut aborted = sql.begin().await.unwrap();
    let row = "insert into ride values ('aborted', 0)";
    sqlx::query(row).execute(&mut *aborted).await.unwrap();
    aborted.rollback().await.unwrap();
    for n in 1..=20 {
        let outcome = client.result(&format!("ride.{n}"), SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
    }
    let gone = client.describe("ride.aborted").await;
    assert!(matches!(gone, Err(ClientError::NotFound(_))), "{gone:?}");
    let labels = [("table".to_owned(), "ride".to_owned())].into();
    let found = client.list(&Filter { labels, limit: 200, ..Filter::default() }).await.unwrap();
    assert_eq!((found.items.len(), world.count("charge")), (20, 20));
    audit(&sql).await;
    worker.drain().await;
}

/// A hash that differs would put the run where nobody looks for it.
#[tokio::test]
async fn sql_finds_the_partition_of_every_id_that_rust_does() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let allowed: Vec<_> =
        ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("._:-".chars()).collect();
    let mut random = rand::rng();
    let ids: BTreeSet<String> = (0..3_000)
        .map(|_| {
            let length = random.random_range(1..=255);
            (0..length).map(|_| allowed[random.random_range(0..allowed.len())]).collect()
        })
        .collect();
    for some in Vec::from_iter(&ids).chunks(500) {
        let started = sqlx::query(
            "select hansom.start_workflow(id, 'roll', '1') from unnest($1::text[]) as i (id)",
        );
        started.bind(some).execute(&sql).await.unwrap();
    }
    let parts = "select count(distinct part) from hansom.workflow";
    assert_eq!(count(&sql, parts).await, 16);
    for id in &ids {
        assert!(client.watch(id).await.is_ok(), "{id} is where Rust looks for it");
    }
    worker.drain().await;
}

#[tokio::test]
async fn starts_in_sql_and_in_rust_of_one_id_are_one_run() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    shared_out(&sql, &[16]).await;
    for id in (0..10).map(|n| format!("t{n}")) {
        let in_sql = join_all((0..4).map(|_| start(&sql, &id, AT_ONCE)));
        let in_rust = join_all((0..4).map(|_| client.start_raw(request(&id, 0))));
        let (in_sql, in_rust) = futures_util::future::join(in_sql, in_rust).await;
        let in_sql = in_sql.into_iter().map(Result::unwrap);
        let in_rust = in_rust.into_iter().map(|s| s.map(|s| (s.run, s.existing)).unwrap());
        let started: Vec<_> = in_sql.chain(in_rust).collect();
        let runs: BTreeSet<_> = started.iter().map(|(run, _)| run).collect();
        assert_eq!(runs.len(), 1);
        assert_eq!(started.iter().filter(|(_, existing)| !existing).count(), 1);
        client.result(&id, SOON).await.unwrap();
    }
    assert_eq!((count(&sql, RUNS).await, world.count("charge")), (10, 10));
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn runs_that_sql_starts_sort_by_time_among_those_of_rust() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let mut expected = Vec::new();
    for n in 0..10 {
        let id = format!("t{n}");
        let run = if n % 2 == 0 {
            start(&sql, &id, AT_ONCE).await.unwrap().0
        } else {
            client.start_raw(request(&id, 0)).await.unwrap().run
        };
        assert_eq!((run.get_version_num(), run.get_variant()), (7, uuid::Variant::RFC4122));
        expected.insert(0, id);
        // Another millisecond.
        let now = Instant::now();
        until("time passes", async || now.elapsed() > Duration::from_millis(2)).await;
    }
    let page = client.list(&Filter { limit: 200, ..Filter::default() }).await.unwrap();
    let listed: Vec<_> = page.items.into_iter().map(|item| item.workflow_id).collect();
    assert_eq!(listed, expected, "newest first");
    worker.drain().await;
}

#[tokio::test]
async fn a_deadline_given_in_sql_cancels() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let start = "select run from hansom.start_workflow('t1', 'trip', '{\"patience_ms\": 600000}',
        deadline => clock_timestamp() + interval '300 ms')";
    let mut tx = sql.begin().await.unwrap();
    sqlx::query(start).execute(&mut *tx).await.unwrap();
    let alarms = sqlx::query_scalar("select count(*) from hansom.alarm");
    let alarms: i64 = alarms.fetch_one(&mut *tx).await.unwrap();
    assert_eq!(alarms, 1, "it rings also for a run that nobody has in memory");
    tx.commit().await.unwrap();
    assert_eq!(client.result("t1", SOON).await.unwrap().status, Status::Cancelled);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_in_sql_with_its_code_and_nothing_is_kept() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    // Nobody has ever joined: who knows what will be known.
    assert!(!start(&sql, "early", AT_ONCE).await.unwrap().1);
    let (worker, client) = worker(&database, &world).await;
    client.result("early", SOON).await.unwrap();
    let (long, deep) = ("'x'", "'t1', 'trip', ");
    let nested = |depth: usize| format!("{deep}'{}1{}'", "[".repeat(depth), "]".repeat(depth));
    let cases = [
        (format!("repeat({long}, 256), 'trip', '{{}}'"), "HS010", "1 to 255 of"),
        ("'a b', 'trip', '{}'".to_owned(), "HS010", "A-Z a-z 0-9 . _ : -"),
        ("E'a\\n', 'trip', '{}'".to_owned(), "HS010", ""),
        ("'é', 'trip', '{}'".to_owned(), "HS010", ""),
        ("null, 'trip', '{}'".to_owned(), "HS010", ""),
        ("'t1', 'tripp', '{}'".to_owned(), "HS011", "there are: late, roll, trip"),
        (format!("{deep}to_jsonb(repeat({long}, 2097152))"), "HS012", ""),
        (nested(65), "HS012", ""),
        (format!("{deep}'[1e309]'"), "HS012", ""),
        (format!("{deep}'{{\"a\": [-1e309]}}'"), "HS012", ""),
        (format!("{deep}'1e-400'"), "HS012", ""),
        (format!("{deep}'{{}}', '[]'"), "HS013", "at most 32"),
        (format!("{deep}'{{}}', '{{\"a\": 1}}'"), "HS013", ""),
        (format!("{deep}'{{}}', jsonb_build_object('a', repeat({long}, 256))"), "HS013", ""),
        (format!("{deep}'{{}}', jsonb_build_object(repeat({long}, 256), 'a')"), "HS013", ""),
        (
            format!(
                "{deep}'{{}}', (select jsonb_object_agg(n, 'a') from generate_series(1, 33) n)"
            ),
            "HS013",
            "",
        ),
        (format!("{deep}null"), "HS015", "the JSON null"),
        (format!("{deep}'{{}}', namespace => 'other'"), "HS015", "`default`"),
        (format!("{deep}'{{}}', id_reuse => 'always'"), "HS015", "allow_failed"),
        (format!("{deep}'{{}}', deadline => 'infinity'"), "HS015", "year 10000"),
        ("'early', 'trip', '{\"patience_ms\": 1}'".to_owned(), "HS014", "another id"),
        ("'early', 'roll', '{\"patience_ms\": 0}'".to_owned(), "HS014", ""),
    ];
    for (arguments, code, hint) in cases {
        let refused = refusal(&sql, &arguments).await;
        assert_eq!(refused.0, code, "{arguments}: {refused:?}");
        assert!(refused.2.contains(hint), "{arguments}: {refused:?}");
    }
    assert_eq!(count(&sql, RUNS).await, 1);
    sqlx::query(sqlx::AssertSqlSafe(format!("select hansom.start_workflow({})", nested(64))))
        .execute(&sql)
        .await
        .expect("as deep as may be");
    worker.drain().await;
}

#[tokio::test]
async fn an_id_is_used_again_in_sql_as_the_start_says() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let start = async |reuse: &str| -> (Uuid, bool) {
        let start = "select run, existing from hansom.start_workflow(
            't1', 'trip', '{\"patience_ms\": 0}', id_reuse => $1)";
        let started = sqlx::query_as(start).bind(reuse).fetch_one(&sql).await.unwrap();
        client.result("t1", SOON).await.unwrap();
        started
    };
    world.refuse(1);
    let first = start("reject").await;
    assert_eq!(client.describe("t1").await.unwrap().status, Status::Failed);
    assert_eq!(start("reject").await, (first.0, true));
    let second = start("allow_failed").await;
    assert_eq!((second.1, client.describe("t1").await.unwrap().run), (false, second.0));
    assert_eq!(start("allow_failed").await, (second.0, true), "it has completed");
    assert!(!start("allow").await.1);
    assert_eq!(count(&sql, RUNS).await, 3);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_start_repeated_in_sql_is_compared_with_what_was_started_and_not_with_what_it_became() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let (worker, client) = rounds::worker(&database, &Stage::default()).await;
    let start = async |lap: &Lap| -> Result<(Uuid, bool), sqlx::Error> {
        let start = "select run, existing from hansom.start_workflow('r', 'rounds', $1::jsonb)";
        let lap = Payload::of(lap).unwrap();
        sqlx::query_as(start).bind(lap.get()).fetch_one(&sql).await
    };
    let first = Lap { of: 3, ..Lap::default() };
    assert!(!start(&first).await.unwrap().1);
    until("it is on its last lap", async || count(&sql, RUNS).await == 4).await;
    let now = client.describe("r").await.unwrap().run;
    assert_eq!(start(&first).await.unwrap(), (now, true));
    let conflict = start(&Lap { number: 3, ..first }).await.unwrap_err();
    assert_eq!(conflict.as_database_error().unwrap().code().unwrap(), "HS014");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_deadline_that_json_cannot_carry_is_refused_at_the_door() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let far = Some(chrono::DateTime::<chrono::Utc>::MAX_UTC);
    let started = client.start_raw(StartRequest { deadline: far, ..request("t1", 0) }).await;
    assert!(matches!(started, Err(ClientError::InvalidInput(_))), "{started:?}");
    let mut tx = sql.begin().await.unwrap();
    let started =
        client.start_in(&mut tx, StartRequest { deadline: far, ..request("t1", 0) }).await;
    assert!(matches!(started, Err(ClientError::InvalidInput(_))), "{started:?}");
    client.start_in(&mut tx, request("t1", 0)).await.expect("the transaction is as it was");
    worker.drain().await;
}
