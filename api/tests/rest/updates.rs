//! Updates, and the state that a workflow shows.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};
use crate::tour::LATER;

impl Rig {
    async fn tip(&self, query: &str, amount: u64, id: Option<&str>) -> Answer {
        let mut body = json!({ "payload": { "amount": amount } });
        if let Some(id) = id {
            body["update_id"] = id.into();
        }
        self.post(&format!("/v1/workflows/a/updates/tip{query}"), body.to_string()).await
    }
}

fn updates_in(history: &Value) -> usize {
    let events = history["items"].as_array().unwrap().iter();
    events.filter(|event| event["update_requested"].is_object()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_answered_once_and_the_same_answer_is_heard_again() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    let first = rig.tip("", 3, Some("t-1")).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.body, json!({"workflow_id": "a", "update_id": "t-1", "done": 3}));
    for _ in 0..2 {
        assert_eq!(rig.tip("", 3, Some("t-1")).await.body, first.body);
    }
    let second = rig.tip("", 4, None).await;
    assert_eq!((second.status, &second.body["done"]), (200, &json!(7)));
    let given = second.body["update_id"].as_str().unwrap();
    assert_eq!(rig.tip("", 4, Some(given)).await.body, second.body, "the id it was given");
    let history = rig.get("/v1/workflows/a/history?limit=200").await.body;
    assert_eq!(updates_in(&history), 2);
    assert_eq!(rig.post_nothing("/v1/workflows/a/signals/go").await.status, 202);
    rig.until("a", |tour| tour["status"] == "completed").await;
    assert_eq!(rig.tip("", 3, Some("t-1")).await.body, first.body, "also after its end");
    let late = rig.tip("", 3, Some("t-9")).await;
    assert_eq!((late.status, late.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_problem_with_the_workflows_own_words() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    for _ in 0..2 {
        let refused = rig.tip("", 0, Some("t-1")).await;
        assert_eq!((refused.status, refused.code()), (422, "update.refused"));
        assert_eq!(refused.body["refusal"], json!({"least": 1}));
    }
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "running");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_in_vain_is_told_how_to_ask_again() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    let open = rig.tip("?wait=50ms", LATER, None).await;
    assert_eq!((open.status, &open.headers["retry-after"]), (202, &"1".parse().unwrap()));
    assert!(open.body.get("done").is_none(), "{open:?}");
    let id = open.body["update_id"].as_str().unwrap();
    assert_eq!(rig.tip("?wait=0s", LATER, Some(id)).await.status, 202);
    assert_eq!(rig.post_nothing("/v1/workflows/a/signals/go").await.status, 202);
    let answer = rig.tip("?wait=30s", LATER, Some(id)).await;
    assert_eq!((answer.status, &answer.body["done"]), (200, &json!(LATER)));
    let history = rig.get("/v1/workflows/a/history?limit=200").await.body;
    assert_eq!(updates_in(&history), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_an_answer_is_sent_away_with_its_id_when_the_server_drains() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    let api = Arc::clone(&rig.api);
    let drain = async {
        rig.until("a", |tour| tour["events"].as_u64() >= Some(5)).await;
        api.begin_drain();
    };
    let (answer, ()) = tokio::join!(rig.tip("?wait=60s", LATER, Some("t-1")), drain);
    assert_eq!((answer.status, &answer.body["update_id"]), (202, &json!("t-1")));
    let refused = rig.tip("", 1, None).await;
    assert_eq!((refused.status, refused.code()), (503, "draining"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_names_an_update_that_does_not_name_itself() {
    use axum::body::Body;
    use axum::http::Request;

    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    for amount in [3, 4] {
        let request = Request::post("/v1/workflows/a/updates/tip")
            .header("content-type", "application/json")
            .header("idempotency-key", "\"t-1\"")
            .body(Body::from(json!({ "payload": { "amount": amount } }).to_string()));
        let answer = rig.send(request.unwrap()).await;
        assert_eq!(answer.body, json!({"workflow_id": "a", "update_id": "t-1", "done": 3}));
    }
    // One that cannot be an id is not left out: two of them would be heard twice.
    let request = Request::post("/v1/workflows/a/signals/go").header("idempotency-key", "결제-1");
    let answer = rig.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.code()), (422, "id.syntax"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_updates_are_refused_with_their_codes() {
    let rig = Rig::start().await;
    rig.start_tour("a", json!({})).await;
    for (path, body, status, code) in [
        ("a/updates/tpi", "{}", 422, "update.unknown"),
        ("a/updates/go", "{}", 422, "update.unknown"),
        ("a/updates/tip", "{}", 422, "input.invalid"),
        ("a/updates/tip", r#"{"payload":{"amount":-1}}"#, 422, "input.invalid"),
        ("a/updates/tip", r#"{"amount":1}"#, 422, "field.unknown"),
        ("a/updates/tip", r#"{"update_id":""}"#, 422, "id.syntax"),
        ("a/updates/tip", "[]", 400, "body.not_object"),
        ("a/updates/tip?wait=61s", "{}", 422, "duration.range"),
        ("a/updates/tip?wiat=1s", "{}", 422, "parameter.unknown"),
        ("absent/updates/tip", "{}", 404, "not_found"),
    ] {
        let answer = rig.post(&format!("/v1/workflows/{path}"), body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {answer:?}");
    }
    let unknown = rig.post("/v1/workflows/a/updates/tpi", "{}").await;
    assert!(unknown.detail().contains("did you mean `tip`?"), "{unknown:?}");
    rig.waiting_trip("b").await;
    let none = rig.post("/v1/workflows/b/updates/tip", "{}").await;
    assert!(none.detail().contains("there are none"), "{none:?}");
    let shape = rig.post("/v1/workflows/a/updates/tip", "{}").await;
    assert_eq!(shape.body["field"], "/payload");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_body_published_last_is_read_whether_it_runs_or_not() {
    let rig = Rig::start().await;
    rig.waiting_trip("silent").await;
    let silent = rig.get("/v1/workflows/silent/state").await;
    assert_eq!((silent.status, &silent.body["state"]), (200, &Value::Null));
    rig.start_tour("a", json!({})).await;
    rig.tip("", 3, None).await;
    let tour = rig.until("a", |tour| tour["state"] == json!({"tips": 3})).await;
    let shown = rig.get("/v1/workflows/a/state").await.body;
    assert_eq!(shown, json!({"workflow_id": "a", "run": tour["run"], "state": {"tips": 3}}));
    assert_eq!(rig.post_nothing("/v1/workflows/a/signals/go").await.status, 202);
    rig.until("a", |tour| tour["status"] == "completed").await;
    assert_eq!(rig.get("/v1/workflows/a/state").await.body, shown);
    let absent = rig.get("/v1/workflows/absent/state").await;
    assert_eq!((absent.status, absent.code()), (404, "not_found"));
    rig.stop().await;
}
