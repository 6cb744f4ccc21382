//! `/v1/schedules`, `hansom schedule`, and what is counted of them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use chrono::{Timelike as _, Utc};
use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::rig::{Answer, Rig};

fn books(change: &Value) -> String {
    let mut definition = json!({
        "id": "books", "type": "trip", "input": { "fare": 1 }, "spec": "30 2 * * *",
        "zone": "Europe/Berlin", "overlap": "allow_all",
    });
    for (field, value) in change.as_object().unwrap() {
        definition[field] = value.clone();
    }
    definition.to_string()
}

impl Rig {
    async fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let request = request.header("content-length", body.len());
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn text(&self, path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let Ok(response) = self.router.clone().oneshot(request).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// Looks again and again until so many of its fires had that outcome.
    async fn until_fires(&self, id: &str, outcome: &str, count: usize) -> Vec<Value> {
        let path = format!("/v1/schedules/{id}/fires?outcome={outcome}");
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(&path).await;
            let items = answer.body["items"].as_array().cloned().unwrap_or_default();
            if items.len() >= count {
                return items;
            }
            assert!(Instant::now() < end, "{path} is still {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_created_once_shown_changed_and_forgotten() {
    let rig = Rig::start().await;
    let created = rig.post("/v1/schedules", books(&json!({}))).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.headers["location"], "/v1/schedules/books");
    assert_eq!(created.body["catchup_window"], "1h");
    assert_eq!(created.body["workflow_id_prefix"], "books");
    let next = created.body["next"].as_array().unwrap();
    assert_eq!(next.len(), 5);
    let again = rig.post("/v1/schedules", books(&json!({}))).await;
    assert_eq!((again.status, &again.body["created_at"]), (200, &created.body["created_at"]));
    let other = rig.post("/v1/schedules", books(&json!({ "spec": "0 3 * * *" }))).await;
    assert_eq!((other.status, other.code()), (409, "schedule.exists"));
    let mut definition: Value = serde_json::from_str(&books(&json!({ "zone": "UTC" }))).unwrap();
    definition.as_object_mut().unwrap().remove("id");
    let changed = rig.send_json("PUT", "/v1/schedules/books", &definition).await;
    assert_eq!(changed.status, 200);
    assert!(changed.body["next"][0].as_str().unwrap().ends_with("T02:30:00Z"), "{changed:?}");
    let shown = rig.get("/v1/schedules/books?next=7&fires=0").await.body;
    assert_eq!((shown["next"].as_array().unwrap().len(), &shown["zone"]), (7, &json!("UTC")));
    let gone = rig.delete("/v1/schedules/books").await;
    assert_eq!(gone.status, 204);
    for answer in [
        rig.get("/v1/schedules/books").await,
        rig.get("/v1/schedules/books/fires").await,
        rig.delete("/v1/schedules/books").await,
        rig.send_json("PUT", "/v1/schedules/books", &definition).await,
        rig.post_nothing("/v1/schedules/books/pause").await,
        rig.post_nothing("/v1/schedules/books/trigger").await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, "schedule.not_found"));
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_paused_fired_by_hand_and_made_up_for() {
    let rig = Rig::start().await;
    // It is due by itself half an hour from now, when all of this is over.
    let phase = (Utc::now().minute() + 30) % 60;
    let spec = format!("every 1h phase {phase}m");
    let paused = books(&json!({ "paused": true, "note": "not yet", "spec": spec }));
    let paused = rig.post("/v1/schedules", paused).await.body;
    assert_eq!((&paused["paused"], &paused["note"]), (&json!(true), &json!("not yet")));
    let resumed = rig.post("/v1/schedules/books/resume", "{}").await.body;
    assert_eq!((&resumed["paused"], &resumed["note"]), (&json!(false), &Value::Null));
    let asked = rig.post_nothing("/v1/schedules/books/trigger").await;
    assert_eq!(asked.status, 202);
    assert_eq!(asked.headers["location"], "/v1/schedules/books/fires");
    let started = &rig.until_fires("books", "started", 1).await[0];
    assert_eq!(started["workflow_id"], asked.body["workflow_id"]);
    let id = started["workflow_id"].as_str().unwrap();
    assert!(id.starts_with("books-20"), "{id}");
    let trip = rig.until(id, |trip| trip["status"] == "running").await;
    assert_eq!(trip["labels"], json!({ "schedule": "books" }));
    let listed = rig.get("/v1/workflows?label.schedule=books").await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let range = json!({
        "from": format!("2026-01-01T00:{phase:02}:00Z"),
        "to": format!("2026-01-01T05:{phase:02}:00Z"), "overlap": "allow_all",
    });
    let made_up = rig.post("/v1/schedules/books/backfill", range.to_string()).await;
    assert_eq!((made_up.status, &made_up.body["fires"]), (202, &json!(6)));
    rig.until_fires("books", "started", 7).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = rig.get(&format!("/v1/schedules/books/fires?limit=3{cursor}")).await.body;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|fire| fire["nominal"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|one, other| one > other), "latest first, each once: {seen:?}");
    let running = rig.get("/v1/schedules/books").await.body["running"].clone();
    assert_eq!(running.as_array().unwrap().len(), 7);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let rig = Rig::start().await;
    for (change, status, code, field) in [
        (json!({ "spec": "61 * * * *" }), 422, "schedule.spec", "/spec"),
        (json!({ "spec": "0 30 2 * * *" }), 422, "schedule.spec", "/spec"),
        (json!({ "zone": "Europe/Berlim" }), 422, "schedule.zone", "/zone"),
        (json!({ "overlap": "skipp" }), 422, "field.value", "/overlap"),
        (json!({ "catchup_window": "9s" }), 422, "field.value", "/catchup_window"),
        (json!({ "catchup_window": "3650d" }), 422, "field.value", "/catchup_window"),
        (json!({ "jitter": "1.5h" }), 422, "duration.syntax", "/jitter"),
        (json!({ "start_at": "tomorrow" }), 422, "time.syntax", "/start_at"),
        (json!({ "limited_actions": 0 }), 422, "field.value", "/limited_actions"),
        (json!({ "limited_actions": 4_294_967_296_u64 }), 422, "number.range", "/limited_actions"),
        (json!({ "pause_on_failure": "yes" }), 422, "field.type", "/pause_on_failure"),
        (json!({ "workflow_id_prefix": "a b" }), 422, "field.value", "/workflow_id_prefix"),
        (json!({ "type": "tripp" }), 422, "workflow.unknown", "/type"),
        (json!({ "input": 7 }), 422, "input.invalid", "/input"),
        (json!({ "note": "why" }), 422, "field.value", "/note"),
        (json!({ "id": "a b" }), 422, "id.syntax", "/id"),
        (json!({ "cron": "* * * * *" }), 422, "field.unknown", "/cron"),
    ] {
        let refused = rig.post("/v1/schedules", books(&change)).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{change}: {refused:?}");
        assert_eq!(refused.body["field"], field, "{change}: {refused:?}");
    }
    let near = rig.post("/v1/schedules", books(&json!({ "zone": "Europe/Berlim" }))).await;
    assert!(near.detail().contains("did you mean `Europe/Berlin`?"), "{near:?}");
    assert_eq!(rig.get("/v1/schedules").await.body["items"], json!([]));
    rig.post("/v1/schedules", books(&json!({ "spec": "* * * * *" }))).await;
    let range = |from: &str, to: &str| json!({ "from": from, "to": to }).to_string();
    for (range, code) in [
        (range("2016-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "schedule.catchup_limit"),
        (range("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "field.value"),
        (range("2026-01-01T00:00:00Z", "2199-01-01T00:00:00Z"), "field.value"),
        (range("2026-01-01", "2026-01-02"), "time.syntax"),
        (json!({ "from": "2026-01-01T00:00:00Z" }).to_string(), "field.required"),
    ] {
        let refused = rig.post("/v1/schedules/books/backfill", range.clone()).await;
        assert_eq!((refused.status, refused.code()), (422, code), "{range}");
    }
    for (path, code) in [
        ("/v1/schedules/books?next=101", "page.limit"),
        ("/v1/schedules?cursor=a%20b", "id.syntax"),
        ("/v1/schedules/books/fires?outcome=lost", "filter.value"),
        ("/v1/schedules/books/fires?cursor=x", "page.cursor"),
        ("/v1/schedules/a%20b", "id.syntax"),
    ] {
        assert_eq!(rig.get(path).await.code(), code, "{path}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_page_by_page_and_a_draining_server_takes_nothing() {
    let rig = Rig::start().await;
    for n in 0..5 {
        let created = rig.post("/v1/schedules", books(&json!({ "id": format!("s{n}") }))).await;
        assert_eq!(created.status, 201);
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = rig.get(&format!("/v1/schedules?limit=2{cursor}")).await.body;
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["schedule_id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids, ["s0", "s1", "s2", "s3", "s4"]);
    rig.api.begin_drain();
    for answer in [
        rig.post("/v1/schedules", books(&json!({}))).await,
        rig.post_nothing("/v1/schedules/s0/trigger").await,
        rig.delete("/v1/schedules/s0").await,
    ] {
        assert_eq!((answer.status, answer.code()), (503, "draining"));
    }
    rig.stop().await;
}

/// The value of a line of the metrics.
async fn metric(rig: &Rig, line: &str) -> f64 {
    let text = rig.text("/metrics").await;
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    value.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn fires_are_counted_by_what_became_of_them_and_never_by_name() {
    let rig = Rig::start().await;
    let count = async |outcome: &str| {
        let line = format!("hansom_schedule_fires_total{{outcome=\"{outcome}\"}}");
        metric(&rig, &line).await
    };
    // Other tests of this process count as well.
    let (started, skipped) = (count("started").await, count("skipped").await);
    rig.post("/v1/schedules", books(&json!({ "overlap": "skip", "spec": "every 1s" }))).await;
    rig.until_fires("books", "started", 1).await;
    rig.until_fires("books", "skipped", 1).await;
    let end = Instant::now() + PATIENCE;
    while count("started").await < started + 1.0 || count("skipped").await < skipped + 1.0 {
        assert!(Instant::now() < end, "{}", rig.text("/metrics").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for name in [
        "hansom_build_info{",
        "hansom_partitions_owned ",
        "hansom_commit_seconds_bucket{",
        "hansom_schedule_lag_seconds_count ",
        "hansom_schedule_last_look_timestamp_seconds ",
    ] {
        while !rig.text("/metrics").await.contains(name) {
            assert!(Instant::now() < end, "no {name} in {}", rig.text("/metrics").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(!rig.text("/metrics").await.contains("books"));
    let answer = rig.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    rig.stop().await;
}

/// Runs `hansom schedule ..` against the server.
async fn hansom(url: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
    command.arg("schedule").args(args).env_clear().env("HANSOM_URL", url);
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_all_that_rest_does() {
    let rig = Rig::start().await;
    let url = rig.serve().await;
    let run = async |args: &[&str]| hansom(&url, args).await;
    let (exit, out, err) = run(&[
        "create",
        "books",
        "trip",
        "--spec",
        "30 2 * * *",
        "--zone",
        "Europe/Berlin",
        "--input",
        r#"{"fare":1}"#,
        "--label",
        "city=seoul",
        "--overlap",
        "allow_all",
        "--jitter",
        "30s",
    ])
    .await;
    assert_eq!(exit, 0, "{err}");
    for word in ["books", "30 2 * * *", "Europe/Berlin", "city=seoul", "30s", "next"] {
        assert!(out.contains(word), "no {word} in {out}");
    }
    let (exit, _, err) =
        run(&["create", "books", "trip", "--spec", "@daily", "--input", r#"{"fare":1}"#]).await;
    assert_eq!(exit, 5, "{err}");
    let (exit, _, err) = run(&["create", "b", "trip", "--spec", "61 * * * *"]).await;
    assert!(exit == 2 && err.contains("schedule.spec") && err.contains("minute"), "{err}");
    let (_, ids, _) = run(&["list", "-o", "ids"]).await;
    assert_eq!(ids, "books\n");
    let (exit, _, err) = run(&["update", "books", "--spec", "@yearly", "--pause-on-failure"]).await;
    assert_eq!(exit, 0, "{err}");
    let shown = rig.get("/v1/schedules/books").await.body;
    assert_eq!((&shown["spec"], &shown["pause_on_failure"]), (&json!("@yearly"), &json!(true)));
    for (field, kept) in [("zone", json!("Europe/Berlin")), ("jitter", json!("30s"))] {
        assert_eq!(shown[field], kept, "what is not given stays");
    }
    assert_eq!((&shown["input"], &shown["labels"]["city"]), (&json!({"fare": 1}), &json!("seoul")));
    let (exit, _, err) = run(&["pause", "books", "--note", "audit"]).await;
    assert!(exit == 0 && err.contains("books: paused"), "{err}");
    let (_, out, _) = run(&["list"]).await;
    assert!(out.contains("paused: audit"), "{out}");
    assert_eq!(run(&["resume", "books"]).await.0, 0);
    let (exit, _, err) = run(&["trigger", "books"]).await;
    assert!(exit == 0 && err.contains("`books-20"), "{err}");
    let (from, to) = ("2020-06-01T00:00:00Z", "2022-06-01T00:00:00Z");
    let range = ["--from", from, "--to", to, "--overlap", "allow_all"];
    let (exit, _, err) = run(&[&["backfill", "books"], &range[..]].concat()).await;
    assert!(exit == 0 && err.contains("2 fires are recorded"), "{err}");
    rig.until_fires("books", "started", 3).await;
    let (_, out, _) = run(&["fires", "books", "--outcome", "started"]).await;
    assert!(out.contains("trigger") && out.contains("backfill"), "{out}");
    let (_, out, _) = run(&["show", "books", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["schedule_id"], "books");
    assert_eq!(run(&["delete", "books"]).await.0, 0);
    assert_eq!(run(&["show", "books"]).await.0, 4);
    rig.stop().await;
}
