//! Starting, looking, signalling, cancelling: what the API promises.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_created_once_and_found_when_it_is_repeated() {
    let rig = Rig::start().await;
    let first = rig.start_trip("a", 1).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.headers["location"], "/v1/workflows/a");
    assert_eq!(first.body["existing"], false);
    let again = rig.start_trip("a", 1).await;
    assert_eq!((again.status, &again.body["existing"]), (200, &json!(true)));
    assert_eq!(again.body["run"], first.body["run"]);
    let other = rig.start_trip("a", 2).await;
    assert_eq!((other.status, other.code()), (409, "workflow.input_conflict"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_is_answered_with_the_outcome() {
    let rig = Rig::start().await;
    let body = |id: &str, fare: u64| json!({"type": "trip", "id": id, "input": {"fare": fare}});
    let declined = rig.post("/v1/workflows?wait=30s", body("no", 13).to_string()).await;
    assert_eq!((declined.status, &declined.body["outcome"]["status"]), (201, &json!("failed")));
    assert_eq!(declined.body["outcome"]["error"], json!({"refused": {"declined": 13}}));
    let open = rig.post("/v1/workflows?wait=50ms", body("open", 1).to_string()).await;
    assert_eq!((open.status, open.body.get("outcome")), (201, None), "{open:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_202_while_it_is_open_and_200_when_it_is_closed() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let open = rig.get("/v1/workflows/a/result?wait=20ms").await;
    assert_eq!((open.status, &open.body["status"]), (202, &json!("running")));
    assert_eq!(open.headers["retry-after"], "1");
    let signal = rig.post_nothing("/v1/workflows/a/signals/go").await;
    assert_eq!((signal.status, &signal.body["accepted"]), (202, &json!(true)));
    let closed = rig.get("/v1/workflows/a/result?wait=30s").await;
    assert_eq!(closed.status, 200);
    assert_eq!(closed.body, json!({"status": "completed", "output": 7, "error": null}));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_says_what_it_waits_for_and_what_it_owes() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let trip = rig.get("/v1/workflows/a").await.body;
    assert_eq!((&trip["status"], &trip["undo"]), (&json!("running"), &json!("owed")));
    assert_eq!(trip["owed_undos"][0]["activity"], "refund");
    let plan = rig.get("/v1/workflows/a/undo-plan").await.body;
    assert_eq!(plan["undos"], trip["owed_undos"]);
    assert_eq!(plan["undos"][0]["request"], json!({"fare": 1}));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_paged_without_gap_or_repetition() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let whole = rig.get("/v1/workflows/a/history").await.body;
    let mut pages = Vec::new();
    let mut path = "/v1/workflows/a/history?limit=1".to_owned();
    loop {
        let page = rig.get(&path).await.body;
        pages.extend(page["items"].as_array().cloned().unwrap());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/workflows/a/history?limit=1&cursor={next}");
    }
    assert_eq!(Value::from(pages), whole["items"]);
    let names: Vec<_> = whole["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let keys = event.as_object().unwrap().keys();
            keys.filter(|key| *key != "event" && *key != "at").cloned().collect::<String>()
        })
        .collect();
    assert_eq!(names, ["started", "run", "done"]);
    assert_eq!(whole["items"][0]["started"]["input"], json!({"fare": 1}));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_filtered_and_paged_newest_first() {
    let rig = Rig::start().await;
    for (n, city) in ["seoul", "busan", "seoul", "busan", "seoul"].iter().enumerate() {
        let body = json!({"type": "trip", "id": format!("t{n}"), "input": {"fare": 1},
            "labels": {"city": city}});
        assert_eq!(rig.post("/v1/workflows", body.to_string()).await.status, 201);
    }
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["workflow_id"].as_str().unwrap().to_owned()).collect()
    };
    let seoul = "/v1/workflows?label.city=seoul&status=running&type=trip";
    let all = rig.get(seoul).await.body;
    assert_eq!(ids(&all), ["t4", "t2", "t0"]);
    let first = rig.get(&format!("{seoul}&limit=2")).await.body;
    let cursor = first["next"].as_str().unwrap();
    let second = rig.get(&format!("{seoul}&limit=2&cursor={cursor}")).await.body;
    assert_eq!((ids(&first), ids(&second)), (vec!["t4".into(), "t2".into()], vec!["t0".into()]));
    assert_eq!(second["next"], Value::Null);
    let elsewhere = rig.get(&format!("/v1/workflows?cursor={cursor}")).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (400, "page.cursor"));
    let everything: BTreeSet<_> =
        ids(&rig.get("/v1/workflows?started_after=2020-01-01T00:00:00Z").await.body)
            .into_iter()
            .collect();
    assert_eq!(everything.len(), 5);
    let none = rig.get("/v1/workflows?started_before=2020-01-01T00:00:00Z").await.body;
    assert_eq!(ids(&none), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_undoes_and_may_be_repeated() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    rig.gate(false);
    let cancel = rig.post("/v1/workflows/a/cancel", r#"{"reason":"changed her mind"}"#).await;
    assert_eq!(cancel.status, 202, "{cancel:?}");
    assert_eq!(rig.post_nothing("/v1/workflows/a/cancel").await.status, 202);
    rig.gate(true);
    let trip = rig.until("a", |trip| trip["status"] == "cancelled").await;
    assert_eq!(trip["undo"], "done");
    assert_eq!(rig.post_nothing("/v1/workflows/a/cancel").await.status, 200, "it is cancelled");
    let signal = rig.post_nothing("/v1/workflows/a/signals/go").await;
    assert_eq!((signal.status, signal.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_pivot_a_cancellation_comes_too_late() {
    let rig = Rig::start().await;
    rig.gate(false);
    rig.waiting_trip("a").await;
    assert_eq!(rig.post_nothing("/v1/workflows/a/signals/go").await.status, 202);
    rig.until("a", |trip| trip["pivoted"] == true).await;
    let late = rig.post_nothing("/v1/workflows/a/cancel").await;
    assert_eq!((late.status, late.code()), (409, "cancel.after_pivot"));
    assert!(late.detail().contains("carried to its end"), "{late:?}");
    rig.gate(true);
    rig.until("a", |trip| trip["status"] == "completed").await;
    let closed = rig.post_nothing("/v1/workflows/a/cancel").await;
    assert_eq!((closed.status, closed.code()), (409, "workflow.closed"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_with_the_same_id_is_taken_once() {
    let rig = Rig::start().await;
    rig.gate(false);
    rig.waiting_trip("a").await;
    for _ in 0..3 {
        let body = r#"{"payload":null,"signal_id":"s-1"}"#;
        assert_eq!(rig.post("/v1/workflows/a/signals/go", body).await.status, 202);
    }
    rig.gate(true);
    rig.until("a", |trip| trip["status"] == "completed").await;
    let history = rig.get("/v1/workflows/a/history?limit=200").await.body;
    let signals = history["items"].as_array().unwrap().iter();
    let signals: Vec<_> = signals.filter_map(|event| event["signalled"]["id"].as_str()).collect();
    assert_eq!(signals, ["s-1"]);
    rig.stop().await;
}
