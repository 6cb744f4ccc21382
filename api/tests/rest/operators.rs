//! What operators ask for, deadlines, and signals that come with a start.

use serde_json::{Value, json};

use crate::rig::Rig;

fn names(history: &Value) -> Vec<String> {
    let keys = |event: &Value| {
        let keys = event.as_object().unwrap().keys();
        keys.filter(|key| *key != "event" && *key != "at").cloned().collect::<String>()
    };
    history["items"].as_array().unwrap().iter().map(keys).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_undoes_nothing_and_lists_what_stays_owed() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let reason = r#"{"reason":"refunded by hand"}"#;
    let terminated = rig.post("/v1/workflows/a/terminate", reason).await;
    assert_eq!(terminated.status, 200, "{terminated:?}");
    assert_eq!(terminated.body["undos"][0]["activity"], "refund");
    let trip = rig.get("/v1/workflows/a").await.body;
    assert_eq!((&trip["status"], &trip["undo"]), (&json!("terminated"), &json!("owed")));
    assert_eq!(trip["owed_undos"], terminated.body["undos"]);
    assert_eq!(rig.get("/v1/workflows/a/undo-plan").await.body, terminated.body);
    let again = rig.post("/v1/workflows/a/terminate", reason).await;
    assert_eq!((again.status, &again.body), (200, &terminated.body), "it may be repeated");
    let history = rig.get("/v1/workflows/a/history").await.body;
    assert_eq!(names(&history), ["started", "run", "done", "terminated"]);
    assert_eq!(history["items"][3]["terminated"]["reason"], "refunded by hand");
    let listed = rig.get("/v1/workflows?status=terminated").await.body;
    assert_eq!(listed["items"][0]["workflow_id"], "a");
    let result = rig.get("/v1/workflows/a/result").await;
    assert_eq!((result.status, &result.body["status"]), (200, &json!("terminated")));
    let cancel = rig.post_nothing("/v1/workflows/a/cancel").await;
    assert_eq!((cancel.status, cancel.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_needs_a_reason() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1001));
    for (body, status, code) in [
        ("", 400, "body.not_object"),
        ("{}", 422, "field.required"),
        (r#"{"reason":null}"#, 422, "field.required"),
        (r#"{"reason":""}"#, 422, "field.value"),
        (r#"{"reason":7}"#, 422, "field.type"),
        (r#"{"raeson":"x"}"#, 422, "field.unknown"),
        (&long, 422, "field.value"),
    ] {
        let answer = rig.post("/v1/workflows/a/terminate", body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {answer:?}");
    }
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "running");
    let absent = rig.post("/v1/workflows/absent/terminate", r#"{"reason":"x"}"#).await;
    assert_eq!((absent.status, absent.code()), (404, "not_found"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trip_past_its_point_of_no_return_is_terminated_and_owes_nothing() {
    let rig = Rig::start().await;
    rig.gate(false);
    rig.waiting_trip("a").await;
    assert_eq!(rig.post_nothing("/v1/workflows/a/signals/go").await.status, 202);
    rig.until("a", |trip| trip["pivoted"] == true).await;
    let terminated = rig.post("/v1/workflows/a/terminate", r#"{"reason":"x"}"#).await;
    assert_eq!(terminated.status, 200, "{terminated:?}");
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "terminated");
    rig.gate(true);
    rig.waiting_trip("b").await;
    assert_eq!(rig.post_nothing("/v1/workflows/b/signals/go").await.status, 202);
    rig.until("b", |trip| trip["status"] == "completed").await;
    let late = rig.post("/v1/workflows/b/terminate", r#"{"reason":"x"}"#).await;
    assert_eq!((late.status, late.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_a_person_tries_again_when_it_is_told() {
    let rig = Rig::start().await;
    rig.guide(false);
    rig.start_tour("a", json!({})).await;
    let stuck = rig.until("a", |tour| tour["status"] == "stuck").await;
    assert_eq!(stuck["stuck"]["reason"], "outcome_unknown");
    let step = &stuck["activities"][0];
    assert_eq!((&step["activity"], &step["parked"]), (&json!("book"), &json!(true)));
    rig.guide(true);
    let retry = rig.post("/v1/workflows/a/retry", r#"{"reason":"she is back"}"#).await;
    assert_eq!((retry.status, &retry.body["accepted"]), (202, &json!(true)), "{retry:?}");
    let running = rig.until("a", |tour| tour["state"].is_object()).await;
    assert_eq!(running["status"], "running");
    let history = rig.get("/v1/workflows/a/history").await.body;
    let retried = history["items"].as_array().unwrap().iter().find(|e| e["retried"].is_object());
    assert_eq!(retried.unwrap()["retried"]["reason"], "she is back");
    let again = rig.post_nothing("/v1/workflows/a/retry").await;
    assert_eq!((again.status, again.code()), (409, "workflow.not_stuck"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_tells_probes_children_the_fingerprint_and_undos_of_others() {
    let rig = Rig::start().await;
    rig.guide(false);
    rig.start_tour("a", json!({"probe": true, "leg": "a.leg", "trips": ["a.1", "a.2"]})).await;
    let verifying = rig.until("a", |tour| tour["activities"][0]["verifying"] == true).await;
    assert_eq!(verifying["activities"][0]["activity"], "was_booked");
    assert_eq!(verifying["activities"][0]["undo_of"], Value::Null);
    rig.guide(true);
    let tour = rig.until("a", |tour| tour["children"][1].is_object()).await;
    let child = &tour["children"][0];
    assert_eq!((&child["workflow_id"], &child["type"]), (&json!("a.1"), &json!("trip")));
    assert_eq!((&child["cancelling"], child["started_at"].is_string()), (&json!(false), true));
    assert_eq!(tour["code"].as_str().map(str::len), Some(16), "{tour}");
    let inherited = &tour["owed_undos"][0];
    assert_eq!((&inherited["activity"], &inherited["inherited"]), (&json!("refund"), &json!(0)));
    assert_eq!(inherited["origin"]["workflow_id"], "a.leg");
    assert_eq!(tour["owed_undos"][1]["activity"], "unbook");
    assert_eq!(rig.get("/v1/workflows/a.leg").await.body["code"], Value::Null);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_cancels_and_undoes_what_is_still_open() {
    let rig = Rig::start().await;
    let body = |id: &str, deadline: &str| {
        json!({"type": "trip", "id": id, "input": {"fare": 1}, "deadline": deadline}).to_string()
    };
    assert_eq!(rig.post("/v1/workflows", body("far", "2h")).await.status, 201);
    let far = rig.until("far", |trip| trip["events"].as_u64() == Some(3)).await;
    let times = ["deadline", "started_at"]
        .map(|field| chrono::DateTime::parse_from_rfc3339(far[field].as_str().unwrap()).unwrap());
    let ahead = (times[0] - times[1]).num_seconds();
    assert!((7_190..=7_210).contains(&ahead), "{far}");
    let time = "2100-01-31T12:00:00+09:00";
    assert_eq!(rig.post("/v1/workflows", body("named", time)).await.status, 201);
    let named = rig.get("/v1/workflows/named").await.body;
    assert_eq!(named["deadline"], "2100-01-31T03:00:00Z");
    assert_eq!(rig.post("/v1/workflows", body("near", "3s")).await.status, 201);
    let near = rig.until("near", |trip| trip["status"] == "cancelled").await;
    assert_eq!(near["undo"], "done");
    let history = rig.get("/v1/workflows/near/history").await.body;
    assert!(names(&history).contains(&"deadline_passed".to_owned()), "{history}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_is_past_or_no_time_is_refused_and_names_itself() {
    let rig = Rig::start().await;
    let with = |deadline: Value| {
        json!({"type": "trip", "id": "a", "input": {"fare": 1}, "deadline": deadline}).to_string()
    };
    for (deadline, code) in [
        (json!("2020-01-01T00:00:00Z"), "time.range"),
        (json!("0s"), "time.range"),
        (json!("1999-01-01T00:00:00Z"), "time.range"),
        (json!("100000d"), "time.range"),
        (json!("99999999999999999999d"), "time.range"),
        (json!("tomorrow"), "time.syntax"),
        (json!("2026-01-31T12:00:00"), "time.syntax"),
        (json!("2"), "time.syntax"),
        (json!(7), "field.type"),
    ] {
        let answer = rig.post("/v1/workflows", with(deadline.clone())).await;
        assert_eq!((answer.status, answer.code()), (422, code), "{deadline}: {answer:?}");
        assert_eq!(answer.body["field"], "/deadline", "{deadline}");
    }
    assert_eq!(rig.get("/v1/workflows/a").await.status, 404);
    // A start that is repeated after its deadline finds its run all the same.
    assert_eq!(rig.start_trip("a", 1).await.status, 201);
    assert_eq!(rig.post("/v1/workflows", with(json!("2020-01-01T00:00:00Z"))).await.status, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_with_a_start_is_heard_once_by_a_new_run_and_by_an_open_one() {
    let rig = Rig::start().await;
    let body = |id: &str, signal: Value| {
        json!({"type": "trip", "id": id, "input": {"fare": 1}, "signal": signal}).to_string()
    };
    let go = json!({"name": "go", "signal_id": "s-1"});
    let new = rig.post("/v1/workflows?wait=30s", body("new", go.clone())).await;
    assert_eq!((new.status, &new.body["outcome"]["status"]), (201, &json!("completed")));
    let history = rig.get("/v1/workflows/new/history").await.body;
    let at = |name: &str| {
        let events = history["items"].as_array().unwrap().iter();
        events.filter(|event| event[name].is_object()).map(|event| event["at"].clone()).collect()
    };
    let (started, signalled): (Vec<_>, Vec<_>) = (at("started"), at("signalled"));
    assert_eq!((started.len(), &started), (1, &signalled), "they are committed together");

    rig.gate(false);
    rig.waiting_trip("open").await;
    for _ in 0..2 {
        let open = rig.post("/v1/workflows", body("open", go.clone())).await;
        assert_eq!((open.status, &open.body["existing"]), (200, &json!(true)), "{open:?}");
    }
    rig.until("open", |trip| trip["pivoted"] == true).await;
    let history = rig.get("/v1/workflows/open/history?limit=200").await.body;
    assert_eq!(names(&history).iter().filter(|name| *name == "signalled").count(), 1);
    rig.gate(true);
    rig.until("open", |trip| trip["status"] == "completed").await;
    let closed = rig.post("/v1/workflows", body("open", go)).await;
    assert_eq!((closed.status, closed.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_signal_of_a_start_is_refused_and_nothing_is_started() {
    let rig = Rig::start().await;
    for (signal, status, code, field) in [
        (json!("go"), 422, "field.type", json!("/signal")),
        (json!({}), 422, "field.required", json!("/signal/name")),
        (json!({"name": "g o"}), 422, "id.syntax", json!("/signal/name")),
        (json!({"name": "og"}), 422, "signal.unknown", json!("/signal/name")),
        (json!({"name": "go", "id": "x"}), 422, "field.unknown", json!("/signal/id")),
        (json!({"name": "go", "signal_id": ""}), 422, "id.syntax", json!("/signal/signal_id")),
        (json!({"name": "go", "payload": {"no": 1}}), 422, "input.invalid", Value::Null),
    ] {
        let body = json!({"type": "trip", "id": "a", "input": {"fare": 1}, "signal": signal});
        let answer = rig.post("/v1/workflows", body.to_string()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{signal}: {answer:?}");
        assert_eq!(answer.body["field"], field, "{signal}");
    }
    assert_eq!(rig.get("/v1/workflows/a").await.status, 404);
    rig.stop().await;
}
