//! Before a deploy: what is stored is checked, and exported to be rehearsed.

use std::path::{Path, PathBuf};

use chrono::DateTime;
use hansom_core::testing::History;
use hansom_postgres::testing::TestDatabase;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::processes::{Server, empty_database, run, text};

/// A file of the workflows' tests.
fn of_workflows(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows/tests").join(path)
}

fn golden(name: &str) -> String {
    let path = of_workflows("golden/taxi_call").join(name).with_extension("json");
    std::fs::read_to_string(path).expect("it is kept")
}

async fn migrated() -> (TestDatabase, PgPool) {
    let database = empty_database().await;
    assert_eq!(run(&["migrate"], database.url()).status.code(), Some(0));
    let sql = PgPool::connect(database.url()).await.expect("it answers");
    (database, sql)
}

/// Where `address` finds a workflow, of 256 partitions.
const WORKFLOW: &str = "
insert into hansom.workflow
    (part, namespace, workflow_id, run_no, run, type, status, undo, hot, started_at)
values (
    (('x' || encode(substr(sha256(convert_to('default', 'UTF8') || '\\x00'
        || convert_to($1, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint & 4294967295) % 256,
    'default', $1, 1, $2, $3, $4, $5, false, now()
) returning part";

/// A kept history as a stored run that is `(status, undo)`.
async fn store(sql: &PgPool, id: &str, run: u128, json: &str, (status, undo): (i16, i16)) {
    let history = History::parse(json).expect("it is a history");
    let part: i32 = sqlx::query_scalar(WORKFLOW)
        .bind(id)
        .bind(Uuid::from_u128(run))
        .bind(history.workflow)
        .bind(status)
        .bind(undo)
        .fetch_one(sql)
        .await
        .expect("it is stored");
    let mut number = 0;
    for (at, events) in &history.commits {
        let insert = "insert into hansom.history (part, run, event, at, events)
                      values ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(part).bind(Uuid::from_u128(run)).bind(number);
        let insert = insert.bind(DateTime::from_timestamp_micros(at.0));
        let json = serde_json::to_string(events).expect("events have a JSON form");
        insert.bind(json).execute(sql).await.expect("it is stored");
        number += i32::try_from(events.len()).expect("they are few");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_fits_what_would_break_and_that_nothing_proves_nothing() {
    let empty = empty_database().await;
    let refused = run(&["check"], empty.url());
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("hint: run `hansom migrate`"));

    let nowhere = run(&["check"], "postgres://127.0.0.1:1/nowhere");
    assert_eq!(nowhere.status.code(), Some(7), "{}", text(&nowhere.stderr));

    let (database, sql) = migrated().await;
    let nothing = run(&["check"], database.url());
    let said = (nothing.status.code(), text(&nothing.stdout));
    assert_eq!(said, (Some(0), "0 open runs: this proves nothing\n".to_owned()));

    store(&sql, "taxisvc.call.1", 7, &golden("under_way"), (0, 0)).await;
    store(&sql, "taxisvc.call.2", 8, &golden("undo_exhausted"), (2, 3)).await;
    let fits = run(&["check"], database.url());
    assert_eq!(fits.status.code(), Some(0), "{}", text(&fits.stdout));
    let said = text(&fits.stdout);
    for words in ["taxi_call  fits     1", "taxi_call  stuck    1", "2 open runs: none would break"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }

    let other = golden("under_way").replace("\"fare\":200000", "\"fare\":199999");
    store(&sql, "taxisvc.call.3", 9, &other, (0, 0)).await;
    let broken = run(&["check"], database.url());
    assert_eq!(broken.status.code(), Some(6), "{}", text(&broken.stdout));
    let said = text(&broken.stdout);
    for words in [
        "taxi_call  nondeterminism  1",
        "taxisvc.call.3, event 3: the code asks for run charge_fare with another request",
        r#"history  {"run":{"activity":"charge_fare","request":{"call_id":1,"fare":199999}"#,
        r#"code     {"run":{"activity":"charge_fare","request":{"call_id":1,"fare":200000}"#,
        "3 open runs: 1 would break",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let ids = run(&["check", "-o", "ids"], database.url());
    assert_eq!((ids.status.code(), text(&ids.stdout)), (Some(6), "taxisvc.call.3\n".to_owned()));
    let json = run(&["check", "-o", "json", "--limit", "1"], database.url());
    let json: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!((json["runs"].as_u64(), json["would_break"].as_u64()), (Some(3), Some(1)));
    assert_eq!(json["counts"]["taxi_call"]["nondeterminism"], 1);
    assert!(json["examples"].as_array().is_some_and(|examples| examples.len() == 2), "{json}");
    let none = run(&["check", "--type", "trip"], database.url());
    assert_eq!(text(&none.stdout), "0 open runs of type trip: this proves nothing\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_run_is_exported_as_it_was_kept_and_as_the_test_that_holds_its_body() {
    let (database, sql) = migrated().await;
    store(&sql, "taxisvc.call.1", 7, &golden("under_way"), (0, 0)).await;
    store(&sql, "taxisvc.call.2", 8, &golden("undo_exhausted"), (2, 3)).await;
    let server = Server::start(database.url());
    let (exit, exported) = server.says(&["workflow", "export", "taxisvc.call.1"]);
    assert_eq!((exit, exported), (Some(0), golden("under_way")));

    let as_test = ["workflow", "export", "taxisvc.call.1", "--as-test"];
    let (exit, exported) = server.says(&as_test);
    assert_eq!(exit, Some(0), "{exported}");
    let kept = of_workflows("exported/taxisvc_call_1.rs");
    if std::env::var_os("HANSOM_UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &exported).expect("it can be written");
    }
    assert_eq!(exported, std::fs::read_to_string(&kept).expect("it is kept"));

    let named = ["workflow", "export", "taxisvc.call.2", "--as-test", "--rust-type", "a::b::Trip"];
    let (_, exported) = server.says(&named);
    for words in ["when it was stuck (undo_exhausted).", "use a::b::Trip;", "Golden::<Trip>::parse"]
    {
        assert!(exported.contains(words), "{words}: {exported}");
    }
    let (exit, _) = server.says(&["workflow", "export", "nobody"]);
    assert_eq!(exit, Some(4));
}
