//! Remote workers, as they see it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn post(rig: &Rig, path: &str, body: Value) -> Answer {
    rig.post(path, body.to_string()).await
}

/// The one attempt that is waited for.
async fn claim(rig: &Rig, queue: &str) -> Value {
    let ask = json!({"queue": queue, "worker": "rest", "wait": "30s"});
    let mut answer = post(rig, "/v1/tasks/claim", ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["tasks"].as_array().unwrap().len(), 1);
    answer.body["tasks"][0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_claimed_kept_alive_and_answered() {
    let rig = Rig::start_with(&["complete", "charge"]).await;
    let started = rig.start_trip("a", 7).await;
    let task = claim(&rig, "charge").await;
    let run = started.body["run"].as_str().unwrap();
    let of_task = ["workflow_id", "run", "seq", "activity", "direction", "attempt", "queue"];
    let expected = json!(["a", run, 0, "charge", "do", 1, "charge"]);
    assert_eq!(json!(of_task.map(|key| &task[key])), expected);
    assert_eq!(task["idempotency_key"], format!("{run}/0/do"));
    assert_eq!((&task["request"], &task["details"]), (&json!({"fare": 7}), &Value::Null));
    assert!(task["deadline"].as_str().unwrap().ends_with('Z'));

    let beat = json!({"token": task["token"], "details": {"row": 3}});
    let beaten = post(&rig, "/v1/tasks/heartbeat", beat).await;
    assert_eq!((beaten.status, &beaten.body["cancel_requested"]), (200, &json!(false)));
    let fail = json!({"token": task["token"], "reason": "no line", "retry_after": "1ms"});
    let failed = post(&rig, "/v1/tasks/fail", fail).await;
    assert_eq!((failed.status, &failed.body), (200, &json!({"settled": true})));
    let late = post(&rig, "/v1/tasks/complete", json!({"token": task["token"]})).await;
    assert_eq!((late.status, late.code()), (409, "task.lost"));
    let late = post(&rig, "/v1/tasks/heartbeat", json!({"token": task["token"]})).await;
    assert_eq!((late.status, late.code()), (409, "task.lost"));

    let again = claim(&rig, "charge").await;
    assert_eq!((&again["attempt"], &again["details"]), (&json!(2), &json!({"row": 3})));
    let done = post(&rig, "/v1/tasks/complete", json!({"token": again["token"]})).await;
    assert_eq!(done.status, 200, "without an output it is null: {done:?}");
    rig.post_nothing("/v1/workflows/a/signals/go").await;
    let task = claim(&rig, "complete").await;
    let done = json!({"token": task["token"], "output": 70});
    assert_eq!(post(&rig, "/v1/tasks/complete", done).await.status, 200);
    let result = rig.get("/v1/workflows/a/result?wait=30s").await;
    assert_eq!((result.status, &result.body["output"]), (200, &json!(70)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_and_what_does_not_fit_keeps_the_claim() {
    let rig = Rig::start_with(&["charge", "complete"]).await;
    rig.start_trip("a", 13).await;
    let task = claim(&rig, "charge").await;
    let token = &task["token"];
    let odd = post(&rig, "/v1/tasks/complete", json!({"token": token, "output": 1})).await;
    assert_eq!(
        (odd.status, odd.code(), &odd.body["field"]),
        (422, "answer.invalid", &json!("/output"))
    );
    let odd = post(&rig, "/v1/tasks/fail", json!({"token": token, "refused": {"no": 1}})).await;
    assert_eq!((odd.status, odd.code()), (422, "answer.invalid"));
    assert!(odd.detail().contains("declined"), "{odd:?}");
    let no = json!({"token": token, "refused": {"declined": 13}});
    assert_eq!(post(&rig, "/v1/tasks/fail", no).await.status, 200);
    let result = rig.get("/v1/workflows/a/result?wait=30s").await;
    assert_eq!(result.body["status"], "failed");
    assert_eq!(result.body["error"], json!({"refused": {"declined": 13}}));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_said_with_its_field() {
    let rig = Rig::start().await;
    let claim = |more: Value| {
        let mut ask = json!({"queue": "q", "worker": "w"});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask.as_object_mut().unwrap().retain(|_, value| *value != json!("none"));
        ("/v1/tasks/claim", ask)
    };
    let fail = |more: Value| {
        let mut ask = json!({"token": format!("1.{0:032}.1.{0:032}.charge", 0)});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("/v1/tasks/fail", ask)
    };
    for ((path, ask), code, field) in [
        (claim(json!({"queue": "none"})), "field.required", "/queues"),
        (claim(json!({"queues": ["a"]})), "field.value", "/queue"),
        (claim(json!({"queue": "none", "queues": []})), "field.value", "/queues"),
        (claim(json!({"queue": "none", "queues": [7]})), "field.type", "/queues"),
        (claim(json!({"queue": "a b"})), "id.syntax", "/queues"),
        (claim(json!({"worker": "none"})), "field.required", "/worker"),
        (claim(json!({"worker": ""})), "field.value", "/worker"),
        (claim(json!({"limit": 0})), "field.value", "/limit"),
        (claim(json!({"limit": 101})), "field.value", "/limit"),
        (claim(json!({"limit": -1})), "field.type", "/limit"),
        (claim(json!({"wait": "2m"})), "duration.range", "/wait"),
        (claim(json!({"wait": "5"})), "duration.syntax", "/wait"),
        (claim(json!({"wiat": "5s"})), "field.unknown", "/wiat"),
        (fail(json!({})), "field.required", "/reason"),
        (fail(json!({"reason": "x", "refused": {}})), "field.value", "/refused"),
        (fail(json!({"reason": ""})), "field.value", "/reason"),
        (fail(json!({"reason": "x", "retry_after": "2h"})), "duration.range", "/retry_after"),
        (("/v1/tasks/complete", json!({"token": "x"})), "token.syntax", "/token"),
        (("/v1/tasks/complete", json!({})), "field.required", "/token"),
        (("/v1/tasks/heartbeat", json!({"token": 7})), "field.type", "/token"),
    ] {
        let answer = post(&rig, path, ask.clone()).await;
        let said = (answer.code(), answer.body["field"].as_str().unwrap_or_default());
        assert_eq!(said, (code, field), "{path} {ask}: {answer:?}");
    }
    let (path, ask) = fail(json!({"reason": "x"}));
    assert_eq!(post(&rig, path, ask).await.code(), "task.lost", "nobody holds that");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_hands_nothing_out_and_takes_answers() {
    let rig = Rig::start_with(&["charge"]).await;
    rig.start_trip("a", 1).await;
    let task = claim(&rig, "charge").await;
    let begun = Instant::now();
    let ask = json!({"queue": "charge", "worker": "w", "wait": "60s"});
    let drain = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.api.begin_drain();
    };
    // However long the second takes, the claim is looked at first: it is not refused.
    let claim = post(&rig, "/v1/tasks/claim", ask.clone());
    let (waited, ()) = tokio::join!(biased; claim, drain);
    assert_eq!((waited.status, &waited.body), (200, &json!({"tasks": []})));
    assert!(begun.elapsed() < Duration::from_secs(30));
    let refused = post(&rig, "/v1/tasks/claim", ask).await;
    assert_eq!((refused.status, refused.code()), (503, "draining"));
    let done = post(&rig, "/v1/tasks/complete", json!({"token": task["token"]})).await;
    assert_eq!(done.status, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_listed_with_what_waits_for_workers() {
    let rig = Rig::start_with(&["charge"]).await;
    for id in ["a", "b", "c"] {
        rig.start_trip(id, 1).await;
    }
    let task = claim(&rig, "charge").await;
    let of = |list: &Value, name: &str| {
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["name"] == name).unwrap()
    };
    let end = Instant::now() + PATIENCE;
    let list = loop {
        let list = rig.get("/v1/activities").await;
        if of(&list.body, "charge")["waiting"] == 2 || Instant::now() > end {
            break list.body;
        }
    };
    let charge = json!({"name": "charge", "remote": true, "queue": "charge", "waiting": 2, "claimed": 1, "breaker": null});
    assert_eq!(of(&list, "charge"), charge);
    let local = json!({"name": "refund", "remote": false, "queue": null, "waiting": 0, "claimed": 0, "breaker": null});
    assert_eq!(of(&list, "refund"), local);
    post(&rig, "/v1/tasks/complete", json!({"token": task["token"]})).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_tasks_have_the_fields_of_the_real_ones() {
    let rig = Rig::start_with(&["charge"]).await;
    let document = rig.get("/openapi.json").await.body;
    let documented = |name: &str| -> BTreeSet<String> {
        let schema = &document["components"]["schemas"][name]["properties"];
        schema.as_object().unwrap().keys().cloned().collect()
    };
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    rig.start_trip("a", 1).await;
    let task = claim(&rig, "charge").await;
    assert_eq!(keys(&task), documented("Task"));
    let beaten = post(&rig, "/v1/tasks/heartbeat", json!({"token": task["token"]})).await;
    assert_eq!(keys(&beaten.body), documented("TaskBeat"));
    let list = rig.get("/v1/activities").await.body;
    assert_eq!(keys(&list), documented("Activities"));
    assert_eq!(keys(&list["items"][0]), documented("Activity"));
    rig.stop().await;
}
