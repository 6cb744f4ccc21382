//! Read models over HTTP: rows, pages, and how they change.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use hansom_core::{Fact, Patch, View};
use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};

use crate::rig::{Charge, Ride, Rig, Trip};

/// Trips by their fare.
pub(crate) struct Fares;
impl View for Fares {
    const NAME: &'static str = "fares";
    type Workflow = Trip;
    fn key(ride: &Ride) -> i64 {
        i64::try_from(ride.fare).unwrap()
    }
    fn start(_: &Ride) -> Patch {
        Patch::new().set("paid", false).set("end", Value::Null)
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let paid = fact.done::<Charge>().map(|_| Patch::new().set("paid", true));
        paid.or_else(|| fact.closed().map(|status| Patch::new().set("end", status)))
    }
}

async fn until_paid(rig: &Rig, fare: u64) {
    let (path, end) = (format!("/v1/views/fares/{fare}"), Instant::now() + PATIENCE);
    while rig.get(&path).await.body["row"]["paid"] != true {
        assert!(Instant::now() < end, "{path}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Trips with these fares, which are charged and wait.
async fn paid(rig: &Rig, fares: &[u64]) {
    for fare in fares {
        assert_eq!(rig.start_trip(&format!("t{fare}"), *fare).await.status, 201);
        until_paid(rig, *fare).await;
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_one_by_one_and_in_pages_and_found_by_what_they_say() {
    let rig = Rig::start().await;
    paid(&rig, &[3, 1, 2]).await;
    let views = rig.get("/v1/views").await.body;
    assert_eq!(views, json!({"items": [{"name": "fares", "workflow": "trip", "rows": 3}]}));
    let row = rig.get("/v1/views/fares/2").await.body;
    assert_eq!((&row["key"], &row["workflow_id"]), (&json!(2), &json!("t2")));
    assert_eq!(row["row"], json!({"paid": true, "end": null}));
    let document = rig.get("/openapi.json").await.body;
    let schema = |name: &str| document["components"]["schemas"][name]["properties"].clone();
    assert_eq!(keys(&row), keys(&schema("ViewRecord")));
    let fares = async |query: &str| {
        let page = rig.get(&format!("/v1/views/fares?{query}")).await.body;
        assert_eq!(keys(&page), keys(&schema("ViewPage")));
        let fares = page["items"].as_array().unwrap().iter().map(|row| row["key"].clone());
        (fares.collect::<Vec<_>>(), page["total"].as_i64().unwrap())
    };
    assert_eq!(fares("").await, (vec![json!(1), json!(2), json!(3)], 3));
    assert_eq!(fares("offset=1&limit=1").await, (vec![json!(2)], 3));
    assert_eq!(fares("field.paid=true&field.end=null&limit=2").await.1, 3);
    assert_eq!(fares("field.paid=%22true%22").await.1, 0, "the text is another value");
    rig.post_nothing("/v1/workflows/t2/signals/go").await;
    rig.until("t2", |trip| trip["status"] == "completed").await;
    assert_eq!(fares("field.end=completed").await, (vec![json!(2)], 1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_cannot_be_asked_is_refused() {
    let rig = Rig::start().await;
    for (path, status, code) in [
        ("/v1/views/fare", 404, "view.not_found"),
        ("/v1/views/fare/1", 404, "view.not_found"),
        ("/v1/views/fare/events", 404, "view.not_found"),
        ("/v1/views/fares/7", 404, "view.row_not_found"),
        ("/v1/views/fares/x", 422, "field.value"),
        ("/v1/views/fares?limit=0", 422, "page.limit"),
        ("/v1/views/fares?offset=-1", 422, "filter.value"),
        ("/v1/views/fares?paid=true", 422, "parameter.unknown"),
        ("/v1/views/fares?field.end=%22%5Cu0000%22", 400, "text.nul"),
        ("/v1/views/fares?field.end=%5B%7B%22%5Cu0000%22:1%7D%5D", 400, "text.nul"),
        ("/v1/views/fares/events?after=x", 400, "page.cursor"),
    ] {
        let answer = rig.get(path).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
    assert!(rig.get("/v1/views/fare").await.detail().contains("did you mean `fares`?"));
    let accepting = |path: &str, kind: &str| {
        rig.send(Request::get(path).header("accept", kind).body(Body::empty()).unwrap())
    };
    assert_eq!(accepting("/v1/views/fares", "text/event-stream").await.code(), "accept");
    assert_eq!(accepting("/v1/views/fares/events", "application/json").await.code(), "accept");
    rig.stop().await;
}

/// What somebody hears of a view.
struct Feed {
    body: BodyDataStream,
    text: String,
}

impl Feed {
    async fn open(rig: &Rig, last: Option<&str>) -> Self {
        let request = Request::get("/v1/views/fares/events").header("accept", "text/event-stream");
        let request = last.iter().fold(request, |to, last| to.header("last-event-id", *last));
        let feed = rig.answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!(feed.status(), 200);
        assert_eq!(feed.headers()["content-type"], "text/event-stream");
        Self { body: feed.into_body().into_data_stream(), text: String::new() }
    }

    /// The next row and the id of its event; `None` when it is over.
    async fn next(&mut self) -> Option<(Value, Option<String>)> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(data) = field("data: ") {
                    assert_eq!(field("event: "), Some("row"), "{event}");
                    let row = serde_json::from_str(data).unwrap();
                    return Some((row, field("id: ").map(str::to_owned)));
                }
                continue;
            }
            let more = tokio::time::timeout_at(end, self.body.next()).await;
            let more = more.expect("something is said in time")?.unwrap();
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// The first row that is as expected, and the last id by then.
    async fn until(&mut self, is: impl Fn(&Value) -> bool) -> (Value, Option<String>) {
        let mut last = None;
        loop {
            let (row, id) = self.next().await.expect("it goes on");
            last = id.or(last);
            if is(&row) {
                return (row, last);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_to_a_feed_misses_none() {
    let rig = Rig::start().await;
    paid(&rig, &[1]).await;
    let [mut feed, mut other] = [Feed::open(&rig, None).await, Feed::open(&rig, None).await];
    paid(&rig, &[2]).await;
    let paid_trip = |row: &Value| row["row"]["paid"] == true;
    let (row, last) = feed.until(paid_trip).await;
    assert_eq!(row, rig.get("/v1/views/fares/2").await.body, "and nothing of what was before");
    assert_eq!(other.until(paid_trip).await.0, row, "both hear it");
    drop((feed, other));
    paid(&rig, &[3, 4]).await;
    let last = last.expect("the last row of what was committed has an id");
    let mut again = Feed::open(&rig, Some(&last)).await;
    assert_eq!(again.until(|row| row["key"] == 3).await.0["row"]["paid"], true, "as it is by now");
    again.until(|row| row["key"] == 4).await;
    paid(&rig, &[5]).await;
    again.until(|row| row["key"] == 5 && paid_trip(row)).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_when_the_server_drains_and_none_begins() {
    let rig = Rig::start().await;
    let mut feed = Feed::open(&rig, None).await;
    paid(&rig, &[1]).await;
    feed.until(|row| row["key"] == 1).await;
    rig.api.begin_drain();
    while feed.next().await.is_some() {}
    let refused = rig.get("/v1/views/fares/events").await;
    assert_eq!((refused.status, refused.code()), (503, "draining"));
    rig.stop().await;
}
