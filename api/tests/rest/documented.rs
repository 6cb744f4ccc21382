//! The OpenAPI document says what the router does.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::rig::Rig;

const ROUTES: [(&str, &str); 38] = [
    ("get", "/v1/workflows"),
    ("post", "/v1/workflows"),
    ("get", "/v1/workflows/{id}"),
    ("get", "/v1/workflows/{id}/history"),
    ("get", "/v1/workflows/{id}/result"),
    ("get", "/v1/workflows/{id}/undo-plan"),
    ("post", "/v1/workflows/{id}/signals/{name}"),
    ("get", "/v1/workflows/{id}/state"),
    ("post", "/v1/workflows/{id}/updates/{name}"),
    ("post", "/v1/workflows/{id}/cancel"),
    ("post", "/v1/tasks/claim"),
    ("post", "/v1/tasks/heartbeat"),
    ("post", "/v1/tasks/complete"),
    ("post", "/v1/tasks/fail"),
    ("get", "/v1/activities"),
    ("post", "/v1/workflows/{id}/terminate"),
    ("post", "/v1/workflows/{id}/retry"),
    ("get", "/v1/schedules"),
    ("post", "/v1/schedules"),
    ("get", "/v1/schedules/{id}"),
    ("put", "/v1/schedules/{id}"),
    ("delete", "/v1/schedules/{id}"),
    ("post", "/v1/schedules/{id}/pause"),
    ("post", "/v1/schedules/{id}/resume"),
    ("post", "/v1/schedules/{id}/trigger"),
    ("post", "/v1/schedules/{id}/backfill"),
    ("get", "/v1/schedules/{id}/fires"),
    ("get", "/v1/views"),
    ("get", "/v1/views/{name}"),
    ("get", "/v1/views/{name}/{key}"),
    ("get", "/v1/views/{name}/events"),
    ("get", "/metrics"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/v1/server"),
    ("get", "/problems/{code}"),
    ("get", "/openapi.json"),
    ("head", "/livez"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_every_route_and_the_router_every_route_of_the_document() {
    let rig = Rig::start().await;
    let document = rig.get("/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    let mut documented = BTreeSet::new();
    for (path, item) in document.body["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert((method.clone(), path.clone()));
        }
    }
    // The document does not describe itself, and HEAD comes with GET.
    let beside = [("get", "/openapi.json"), ("head", "/livez")];
    let expected: BTreeSet<_> = ROUTES
        .iter()
        .filter(|route| !beside.contains(route))
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(documented, expected);
    for (method, path) in ROUTES {
        let path = path
            .replace("{id}", "a")
            .replace("{name}", "go")
            .replace("{code}", "not_found")
            .replace("{key}", "7");
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(&path);
        let answer = rig.send(request.body(Body::empty()).unwrap()).await;
        let unknown = matches!(answer.body["code"].as_str(), Some("route.unknown"));
        assert!(!unknown && answer.status != 405, "{method} {path}: {answer:?}");
    }
    rig.stop().await;
}

/// The properties of a schema of the document, through `allOf` and `$ref`.
fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return properties(document, &document["components"]["schemas"][name]);
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let own = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
    parts.flat_map(|part| properties(document, part)).chain(own.cloned()).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_schedules_have_the_fields_of_the_real_ones() {
    let rig = Rig::start().await;
    let document = rig.get("/openapi.json").await.body;
    let schema = |name: &str| properties(&document, &document["components"]["schemas"][name]);
    let definition = json!({
        "id": "s", "type": "trip", "input": { "fare": 1 }, "spec": "@yearly", "overlap": "allow_all",
    });
    let created = rig.post("/v1/schedules", definition.to_string()).await.body;
    assert_eq!(keys(&created), schema("Schedule"));
    let asked = rig.post_nothing("/v1/schedules/s/trigger").await.body;
    assert_eq!(keys(&asked), schema("Asked"));
    let fires = rig.get("/v1/schedules/s/fires").await.body;
    assert_eq!(keys(&fires), schema("FirePage"));
    assert_eq!(keys(&fires["items"][0]), schema("ScheduleFire"));
    let list = rig.get("/v1/schedules").await.body;
    assert_eq!(keys(&list), schema("SchedulePage"));
    assert_eq!(keys(&list["items"][0]), schema("ScheduleSummary"));
    // Every field that may be sent is documented, and the other way round.
    let mut sent = schema("CreateSchedule");
    let refused = rig.post("/v1/schedules", r#"{"nonsense":1}"#).await;
    let known = refused.detail().rsplit("The fields are: ").next().unwrap().to_owned();
    sent.retain(|field| !known.split(", ").any(|known| known == field));
    assert!(sent.is_empty(), "{sent:?} are documented and not known");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_answers_have_the_fields_of_the_real_ones() {
    let rig = Rig::start().await;
    let document = rig.get("/openapi.json").await.body;
    let schema = |name: &str| properties(&document, &document["components"]["schemas"][name]);
    rig.gate(false);
    rig.waiting_trip("a").await;
    let list = rig.get("/v1/workflows").await.body;
    assert_eq!(keys(&list), schema("SummaryPage"));
    assert_eq!(keys(&list["items"][0]), schema("Summary"));
    let trip = rig.get("/v1/workflows/a").await.body;
    assert_eq!(keys(&trip), schema("Description"));
    // What another run left names it; a plain undo does not.
    let undo = keys(&trip["owed_undos"][0]);
    assert!(undo.is_subset(&schema("PlannedUndo")), "{undo:?}");
    assert_eq!(keys(&rig.get("/v1/workflows/a/undo-plan").await.body), schema("UndoPlan"));
    assert_eq!(keys(&rig.get("/v1/workflows/a/result").await.body), schema("Outcome"));
    assert_eq!(keys(&rig.get("/v1/workflows/a/history").await.body), schema("HistoryPage"));
    let signal = rig.post_nothing("/v1/workflows/a/signals/go").await.body;
    assert_eq!(keys(&signal), schema("Accepted"));
    let trip = rig.until("a", |trip| trip["activities"][0]["last_failure"].is_string()).await;
    assert_eq!(keys(&trip["activities"][0]), schema("PendingActivity"));
    rig.gate(true);
    rig.start_tour("t", json!({"leg": "t.leg", "trips": ["t.1"]})).await;
    let tour = rig.until("t", |tour| tour["children"][0]["workflow_id"] == "t.1").await;
    assert_eq!(keys(&tour["children"][0]), schema("PendingChild"));
    assert_eq!(keys(&tour["owed_undos"][0]), schema("PlannedUndo"));
    assert_eq!(keys(&tour["owed_undos"][0]["origin"]), schema("Origin"));
    assert_eq!(keys(&rig.get("/v1/workflows/t/state").await.body), schema("State"));
    let tip = |amount| {
        rig.post("/v1/workflows/t/updates/tip", json!({"payload": {"amount": amount}}).to_string())
    };
    assert_eq!(keys(&tip(1).await.body), schema("Answered"));
    let problem = keys(&tip(0).await.body);
    assert!(problem.is_subset(&schema("Problem")), "{problem:?}");
    let problem = keys(&rig.get("/v1/workflows/absent").await.body);
    assert!(problem.is_subset(&schema("Problem")), "{problem:?} {:?}", schema("Problem"));
    rig.stop().await;
}
