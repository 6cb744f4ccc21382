//! Limits: refused early, with the limit named; and what no limit may stand in the way of.

use std::collections::BTreeMap;
use std::io;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use hansom_core::Payload;
use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::rig::Rig;

/// A history that grows past this leaves its workflow stuck.
const EVENTS_MAX: u64 = 50_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_two_megabytes_is_carried_and_one_byte_more_is_not() {
    let rig = Rig::start().await;
    let input = |bytes: usize| {
        let empty = r#"{"fare":1,"pad":""}"#.len();
        format!(r#"{{"fare":1,"pad":"{}"}}"#, "x".repeat(bytes - empty))
    };
    let start = |id: &str, bytes: usize| {
        format!(r#"{{"type":"trip","id":"{id}","input":{}}}"#, input(bytes))
    };
    let largest = rig.post("/v1/workflows", start("a", Payload::MAX)).await;
    assert_eq!(largest.status, 201, "{largest:?}");
    let larger = rig.post("/v1/workflows", start("b", Payload::MAX + 1)).await;
    assert_eq!((larger.status, larger.code()), (413, "payload.too_large"));
    assert_eq!(
        (&larger.body["limit"], rig.get("/v1/workflows/b").await.status),
        (&json!(2_097_152), 404)
    );
    rig.until("a", |trip| trip["events"].as_u64() == Some(3)).await;
    let payload = format!(r#"{{"payload":{}}}"#, input(Payload::MAX + 1));
    for door in ["signals/go", "updates/tip"] {
        let answer = rig.post(&format!("/v1/workflows/a/{door}"), payload.clone()).await;
        assert_eq!((answer.status, answer.code()), (413, "payload.too_large"), "{door}");
        assert_eq!(answer.body["limit"], 2_097_152, "{door}");
    }
    let shown = rig.get("/v1/workflows/a/history?limit=1").await;
    assert_eq!(shown.body["items"][0]["started"]["input"]["fare"], 1);
    rig.stop().await;
}

/// What all servers of these tests have logged, one event per line.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static LISTENING: LazyLock<()> = LazyLock::new(|| {
    struct Pages;

    impl io::Write for Pages {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            LOG.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    tracing_subscriber::fmt().json().with_writer(|| Pages).init();
});

/// The events of that name that were logged of a workflow.
fn logged(name: &str, workflow_id: &str) -> Vec<Value> {
    let log = LOG.lock().unwrap().clone();
    let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["fields"].take());
    events.filter(|event| event["message"] == name && event["workflow_id"] == workflow_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_large_is_carried_and_logged_with_its_size() {
    LazyLock::force(&LISTENING);
    let rig = Rig::start().await;
    for (id, bytes) in [("large", Payload::LARGE + 1), ("small", Payload::LARGE / 2)] {
        let pad = "x".repeat(bytes);
        let body = json!({"type": "trip", "id": id, "input": {"fare": 1, "pad": pad}});
        assert_eq!(rig.post("/v1/workflows", body.to_string()).await.status, 201);
        rig.until(id, |trip| trip["events"].as_u64() == Some(3)).await;
    }
    let end = Instant::now() + PATIENCE;
    while logged("payload_large", "large").is_empty() {
        assert!(Instant::now() < end, "it is not logged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let [large] = &logged("payload_large", "large")[..] else { panic!("it is logged once") };
    let bytes = usize::try_from(large["bytes"].as_u64().unwrap()).unwrap();
    assert!(bytes > Payload::LARGE && large["run"].is_string(), "{large}");
    assert!(logged("payload_large", "small").is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_nested_too_deeply_is_refused_at_every_door() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let start = |field: &str| format!(r#"{{"type":"trip","id":"b",{field}}}"#);
    for (door, body) in [
        ("", start(&format!(r#""input":{}"#, deep(64)))),
        ("", start(&format!(r#""input":{{}},"signal":{{"payload":{}}}"#, deep(63)))),
        ("/a/signals/go", format!(r#"{{"payload":{}}}"#, deep(64))),
        ("/a/updates/tip", format!(r#"{{"payload":{}}}"#, deep(64))),
        ("/a/cancel", format!(r#"{{"reason":{}}}"#, deep(64))),
    ] {
        let answer = rig.post(&format!("/v1/workflows{door}"), body).await;
        assert_eq!((answer.status, answer.code()), (422, "json.too_deep"), "{door}");
        assert_eq!(answer.body["limit"], 64, "{door}");
    }
    let fits =
        rig.post("/v1/workflows/a/updates/tip", format!(r#"{{"payload":{}}}"#, deep(63))).await;
    assert_eq!((fits.status, fits.code()), (422, "input.invalid"), "one level less is read");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_labels_and_reasons_have_limits_and_a_refusal_names_them() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    let long = "x".repeat(256);
    let many: BTreeMap<_, _> = (0..33).map(|n| (format!("k{n}"), "v")).collect();
    let start = |field: &str, value: Value| {
        let mut body = json!({"type": "trip", "id": "b", "input": {"fare": 1}});
        body[field] = value;
        body
    };
    for (door, body, code, limit) in [
        ("", start("id", json!(long)), "id.syntax", 255),
        ("", start("labels", json!(many)), "field.value", 32),
        ("", start("labels", json!({ long.as_str(): "v" })), "field.value", 255),
        ("", start("labels", json!({ "k": long })), "field.value", 255),
        ("", start("signal", json!({"name": "go", "signal_id": long})), "id.syntax", 255),
        ("/a/signals/go", json!({ "signal_id": long }), "id.syntax", 255),
        ("/a/updates/tip", json!({ "update_id": long }), "id.syntax", 255),
        ("/a/cancel", json!({ "reason": "x".repeat(1001) }), "field.value", 1000),
        ("/a/terminate", json!({ "reason": "x".repeat(1001) }), "field.value", 1000),
        ("/a/retry", json!({ "reason": "x".repeat(1001) }), "field.value", 1000),
    ] {
        let answer = rig.post(&format!("/v1/workflows{door}"), body.to_string()).await;
        assert_eq!((answer.status, answer.code()), (422, code), "{door}: {answer:?}");
        assert_eq!(answer.body["limit"], limit, "{door}: {answer:?}");
    }
    let largest: BTreeMap<_, _> =
        (0..32).map(|n| (format!("{n:0>255}"), "v".repeat(255))).collect();
    let fits = rig.post("/v1/workflows", start("labels", json!(largest)).to_string()).await;
    assert_eq!(fits.status, 201, "{fits:?}");
    assert_eq!(rig.get("/v1/workflows/b").await.body["labels"], json!(largest));
    rig.stop().await;
}

/// So many signals that nobody takes, as if they had been committed.
async fn grow(pool: &PgPool, workflow_id: &str, events: u64) {
    let found: (i32, uuid::Uuid) =
        sqlx::query_as("select part, run from hansom.workflow where workflow_id = $1")
            .bind(workflow_id)
            .fetch_one(pool)
            .await
            .unwrap();
    let rows = sqlx::query(
        "insert into hansom.history (part, run, event, at, events)
         select $1, $2, 3 + 100 * n, clock_timestamp(),
                (select json_agg(json_build_object('signalled', json_build_object(
                     'name', 'noise', 'id', n || '-' || m, 'payload', null)))::text
                 from generate_series(1, 100) m)
         from generate_series(0, $3) n",
    )
    .bind(found.0)
    .bind(found.1)
    .bind(i64::try_from(events / 100).unwrap())
    .execute(pool)
    .await
    .unwrap();
    assert!(rows.rows_affected() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_past_its_limit_can_be_looked_at_cancelled_and_terminated() {
    let rig = Rig::start().await;
    for id in ["shown", "cancelled", "asleep", "ended"] {
        rig.waiting_trip(id).await;
    }
    let rig = rig
        .again(async |pool| {
            for id in ["shown", "cancelled", "asleep", "ended"] {
                grow(pool, id, EVENTS_MAX).await;
            }
        })
        .await;
    // What wakes it finds that there is too much.
    for id in ["shown", "cancelled"] {
        rig.post_nothing(&format!("/v1/workflows/{id}/signals/go")).await;
        let stuck = rig.until(id, |trip| trip["status"] == "stuck").await;
        assert_eq!(stuck["stuck"]["reason"], "history_limit");
        assert!(stuck["stuck"]["detail"].as_str().unwrap().contains("50000"), "{stuck}");
        assert!(stuck["events"].as_u64().unwrap() > EVENTS_MAX, "{stuck}");
    }
    let plan = rig.get("/v1/workflows/shown/undo-plan").await.body;
    assert_eq!(plan["undos"][0]["activity"], "refund");
    let last = rig.get(&format!("/v1/workflows/shown/history?cursor={EVENTS_MAX}&limit=200")).await;
    let items = last.body["items"].as_array().unwrap();
    assert!(items.iter().any(|event| event["stuck"].is_object()), "its end can be paged to");
    assert_eq!(rig.get("/v1/workflows/shown/state").await.body["state"], Value::Null);

    // One that is stuck, and one that nobody has woken since.
    for id in ["cancelled", "asleep"] {
        assert_eq!(rig.post_nothing(&format!("/v1/workflows/{id}/cancel")).await.status, 202);
        let cancelled = rig.until(id, |trip| trip["status"] == "cancelled").await;
        assert_eq!(cancelled["undo"], "done", "it is undone as well");
    }
    // One that nobody has woken since.
    for id in ["ended", "shown"] {
        let path = format!("/v1/workflows/{id}/terminate");
        let ended = rig.post(&path, r#"{"reason":"too long"}"#).await;
        // It is closed with its owner's next commit, which may take longer than the answer waits.
        assert!(matches!(ended.status, 200 | 202), "{ended:?}");
        assert_eq!(ended.body["undos"][0]["activity"], "refund", "{ended:?}");
        rig.until(id, |trip| trip["status"] == "terminated").await;
        let owed = rig.get(&format!("/v1/workflows/{id}/undo-plan")).await.body;
        assert_eq!(owed["undos"][0]["activity"], "refund", "{owed}");
    }
    rig.stop().await;
}
