//! The catalogue of bad input: each is refused with its code, and nothing is kept.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::Request;
use futures_util::stream;
use hansom::http::body::MAX_BODY;
use serde_json::json;

use crate::rig::Rig;

/// A body for `POST /v1/workflows`, and the status and code it is answered with.
type Bad = (&'static str, Vec<u8>, u16, &'static str);

fn bad_bodies() -> Vec<Bad> {
    let start = |input: &str| format!(r#"{{"type":"trip","id":"b","input":{input}}}"#).into_bytes();
    let id = |id: &str| json!({"type": "trip", "id": id, "input": {"fare": 1}}).to_string().into();
    let with = |field: &str| {
        format!(r#"{{"type":"trip","id":"b","input":{{"fare":1}},{field}}}"#).into_bytes()
    };
    let deep = |depth: usize| start(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let mut latin = start(r#""x""#);
    latin[20] = 0xff;
    vec![
        ("B10 empty", Vec::new(), 400, "body.not_object"),
        ("B10 null", b"null".into(), 400, "body.not_object"),
        ("B10 array", b"[]".into(), 400, "body.not_object"),
        ("B10 text", b"\"x\"".into(), 400, "body.not_object"),
        ("B11 truncated", b"{\"type\":\"tri".into(), 400, "json.syntax"),
        ("B12 two documents", b"{}{}".into(), 400, "json.trailing"),
        ("B12 trailing bytes", b"{} x".into(), 400, "json.trailing"),
        ("B13 equal keys", with(r#""id":"c""#), 400, "json.duplicate_key"),
        ("B13 equal keys in the input", start(r#"{"fare":1,"fare":2}"#), 400, "json.duplicate_key"),
        ("B14 unknown field", with(r#""lables":{}"#), 422, "field.unknown"),
        ("B14 a field of later", with(r#""namespace":"x""#), 422, "field.unknown"),
        ("B15 depth 65", deep(64), 422, "json.too_deep"),
        ("B15 depth 100,000", deep(100_000), 422, "json.too_deep"),
        ("B16 more than a payload", vec![b' '; MAX_BODY + 1], 413, "body.too_large"),
        ("B19 not UTF-8", latin, 400, "utf8.invalid"),
        ("B20 NUL in a value", start(r#"{"fare":1,"x":"\u0000"}"#), 400, "text.nul"),
        ("B20 NUL in a key", start(r#"{"\u0000":1}"#), 400, "text.nul"),
        ("B20 NUL in an id", id("a\0b"), 400, "text.nul"),
        ("B21 half a surrogate", start(r#""\ud800""#), 400, "json.syntax"),
        ("B22 1e400", start(r#"{"fare":1e400}"#), 422, "number.range"),
        ("B22 -0", start(r#"{"fare":-0}"#), 422, "number.range"),
        ("B22 NaN", start(r#"{"fare":NaN}"#), 422, "number.range"),
        ("B22 1e-400", start(r#"{"fare":1e-400}"#), 422, "number.range"),
        ("B23 a fraction", start(r#"{"fare":10.5}"#), 422, "input.invalid"),
        ("B23 a number as text", start(r#"{"fare":"10"}"#), 422, "input.invalid"),
        ("B24 below the range", start(r#"{"fare":-1}"#), 422, "input.invalid"),
        ("B24 above the range", start(r#"{"fare":18446744073709551616}"#), 422, "input.invalid"),
        ("B25 a field is missing", start("{}"), 422, "input.invalid"),
        ("B26 empty id", id(""), 422, "id.syntax"),
        ("B26 256 bytes", id(&"x".repeat(256)), 422, "id.syntax"),
        ("B26 slash", id("a/b"), 422, "id.syntax"),
        ("B26 newline", id("a\nb"), 422, "id.syntax"),
        ("B26 right-to-left override", id("a\u{202e}b"), 422, "id.syntax"),
        ("B26 composed and decomposed", id("caf\u{e9}"), 422, "id.syntax"),
        (
            "B32 unknown type",
            br#"{"type":"tirp","id":"b","input":1}"#.into(),
            422,
            "workflow.unknown",
        ),
        ("no type", br#"{"id":"b","input":1}"#.into(), 422, "field.required"),
        ("no id", br#"{"type":"trip","input":1}"#.into(), 422, "field.required"),
        ("no input", br#"{"type":"trip","id":"b"}"#.into(), 422, "field.required"),
        ("id is a number", br#"{"type":"trip","id":7,"input":1}"#.into(), 422, "field.type"),
        ("labels are a list", with(r#""labels":["x"]"#), 422, "field.type"),
        ("a label is a number", with(r#""labels":{"x":1}"#), 422, "field.type"),
        ("a label is empty", with(r#""labels":{"x":""}"#), 422, "field.value"),
        ("an unknown policy", with(r#""id_reuse":"alow""#), 422, "field.value"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_start_is_refused_with_its_code_and_nothing_is_kept() {
    let rig = Rig::start().await;
    for (name, body, status, code) in bad_bodies() {
        let answer = rig.post("/v1/workflows", body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{name}: {answer:?}");
        assert!(answer.detail().len() < 400, "{name} repeats too much: {answer:?}");
    }
    let list = rig.get("/v1/workflows").await;
    assert_eq!(list.body, json!({"items": [], "next": null}));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_place_and_what_is_allowed() {
    let rig = Rig::start().await;
    let refused = |body: &'static str| rig.post("/v1/workflows", body);
    let answer = refused("{\n \"type\": tru }").await;
    assert!(answer.detail().contains("line 2 column 10"), "{answer:?}");
    let answer = refused(r#"{"type":"trip","id":"b","input":1,"lables":{}}"#).await;
    assert!(answer.detail().contains("did you mean `labels`?"), "{answer:?}");
    assert_eq!(answer.body["field"], "/lables");
    let answer = refused(r#"{"type":"tirp","id":"b","input":1}"#).await;
    assert!(answer.detail().contains("did you mean `trip`?"), "{answer:?}");
    let answer = refused(r#"{"type":"trip","id":"b","input":{"fare":10.5}}"#).await;
    assert!(answer.detail().contains("10.5"), "{answer:?}");
    assert_eq!(answer.body["field"], "/input");
    let answer = rig.post("/v1/workflows", vec![b' '; 3_000_000]).await;
    assert_eq!(answer.body["limit"], MAX_BODY);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_only_as_plain_json_whatever_its_length_claims() {
    let rig = Rig::start().await;
    let body = r#"{"type":"trip","id":"b","input":{"fare":1}}"#;
    let post = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/v1/workflows").header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        rig.send(request.body(Body::from(body)).unwrap())
    };
    let json = ("content-type", "application/json");
    for (headers, status, code) in [
        (vec![json, ("content-encoding", "gzip")], 415, "encoding.unsupported"),
        (vec![("content-type", "text/plain")], 415, "content_type"),
        (vec![], 415, "content_type"),
        (vec![("content-type", "application/json; charset=utf-16")], 415, "content_type"),
        (vec![json, ("idempotency-key", "")], 400, "idempotency.key_length"),
        (
            vec![json, ("idempotency-key", "1"), ("idempotency-key", "2")],
            400,
            "idempotency.key_twice",
        ),
        (vec![json, ("accept", "application/xml")], 406, "accept"),
        (vec![json, ("accept", "text/html, application/xml;q=0.9")], 406, "accept"),
    ] {
        let answer = post(&headers).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{headers:?}");
    }
    let long = "k".repeat(20_000);
    let answer = post(&[json, ("idempotency-key", &long)]).await;
    assert_eq!((answer.status, answer.code()), (400, "idempotency.key_length"));

    let chunk = || Ok::<_, Infallible>(vec![b' '; 64 * 1024]);
    let endless = Body::from_stream(stream::repeat_with(chunk));
    let request = Request::post("/v1/workflows")
        .header("content-type", "application/json")
        .header("transfer-encoding", "chunked");
    let answer = rig.send(request.body(endless).unwrap()).await;
    assert_eq!((answer.status, answer.code()), (413, "body.too_large"));

    let accepted = post(&[json, ("accept", "text/html, */*;q=0.1")]).await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_parameter_is_refused_with_its_code() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    let labels: Vec<_> = (0..33).map(|n| format!("label.k{n}=v")).collect();
    let many = format!("/v1/workflows?{}", labels.join("&"));
    let terms = format!("/v1/workflows?{}", "label.x=1&".repeat(1_000));
    for (path, status, code) in [
        ("/v1/workflows?limit=0", 422, "page.limit"),
        ("/v1/workflows?limit=-1", 422, "page.limit"),
        ("/v1/workflows?limit=1e9", 422, "page.limit"),
        ("/v1/workflows?limit=201", 422, "page.limit"),
        ("/v1/workflows?cursor=tampered", 400, "page.cursor"),
        ("/v1/workflows?cursor=not-a-uuid", 400, "page.cursor"),
        ("/v1/workflows?cursor=00000000-0000-0000-0000-000000000000", 400, "page.cursor"),
        ("/v1/workflows?status=RUNING", 422, "filter.value"),
        ("/v1/workflows?status=%27;%20DROP%20TABLE%20x", 422, "filter.value"),
        ("/v1/workflows?type=%27;%20DROP%20TABLE%20x", 422, "filter.value"),
        ("/v1/workflows?undo=maybe", 422, "filter.value"),
        ("/v1/workflows?state=running", 422, "parameter.unknown"),
        ("/v1/workflows?label.=x", 422, "parameter.unknown"),
        ("/v1/workflows?status=running&status=stuck", 422, "parameter.repeated"),
        (many.as_str(), 422, "filter.too_long"),
        (terms.as_str(), 422, "filter.too_long"),
        ("/v1/workflows?started_after=2026-02-30T00:00:00Z", 422, "time.syntax"),
        ("/v1/workflows?started_after=infinity", 422, "time.syntax"),
        ("/v1/workflows?started_after=2026-01-01T00:00:00", 422, "time.syntax"),
        ("/v1/workflows?started_before=1999-01-01T00:00:00Z", 422, "time.range"),
        ("/v1/workflows?status=%00", 400, "text.nul"),
        ("/v1/workflows/a/history?limit=0", 422, "page.limit"),
        ("/v1/workflows/a/history?cursor=x", 400, "page.cursor"),
        ("/v1/workflows/a/history?cursor=4294967295", 400, "page.cursor"),
        ("/v1/workflows/a/result?wait=30", 422, "duration.syntax"),
        ("/v1/workflows/a/result?wait=-1s", 422, "duration.syntax"),
        ("/v1/workflows/a/result?wait=5%20minuets", 422, "duration.syntax"),
        ("/v1/workflows/a/result?wait=61s", 422, "duration.range"),
        ("/v1/workflows/a/result?wait=7d", 422, "duration.range"),
        ("/v1/workflows/a?verbose=1", 422, "parameter.unknown"),
        ("/v1/workflows/a%00b", 400, "text.nul"),
        ("/v1/workflows/a%2Fb", 422, "id.syntax"),
        ("/v1/workflows/%ff", 400, "utf8.invalid"),
        ("/v1/workflows/%e2%80%ae", 422, "id.syntax"),
        ("/v1/workflows/absent", 404, "not_found"),
        ("/v1/workflows/absent/history", 404, "not_found"),
        ("/v1/workflows/absent/result", 404, "not_found"),
        ("/v1/workflows/absent/undo-plan", 404, "not_found"),
        ("/v1/workflows/absent/state", 404, "not_found"),
        ("/v1/workflows/a/state?whole=1", 422, "parameter.unknown"),
        ("/v1/nothing", 404, "route.unknown"),
        ("/nothing", 404, "route.unknown"),
        ("/v2/workflows", 404, "api.version"),
        ("/problems/nothing", 404, "route.unknown"),
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.code(), code, "{path}: {answer:?}");
    }
    let answer = rig.get("/v1/workflows?status=RUNING").await;
    assert!(answer.detail().contains("did you mean `running`?"), "{answer:?}");
    assert!(answer.detail().contains("compensating, stuck, completed"), "{answer:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_which_are_right() {
    let rig = Rig::start().await;
    for (method, path, allowed) in [
        ("PUT", "/v1/workflows", ["GET", "POST"].as_slice()),
        ("DELETE", "/v1/workflows/a", &["GET"]),
        ("GET", "/v1/workflows/a/cancel", &["POST"]),
        ("POST", "/livez", &["GET"]),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = rig.send(request).await;
        assert_eq!((answer.status, answer.code()), (405, "method.not_allowed"), "{method} {path}");
        let allow = answer.headers["allow"].to_str().unwrap();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{allow}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = Request::post("/v1/workflows/a/cancel")
            .header("host", "127.0.0.1:8088")
            .header(header, value);
        let answer = rig.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.code()), (403, "csrf"), "{header}: {value}");
    }
    for host in ["evil.example:8088", "10.0.0.1", "localhost.evil.example"] {
        let request = Request::get("/v1/workflows").header("host", host);
        let answer = rig.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.code()), (403, "csrf"), "{host}");
    }
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "running");
    let own = Request::post("/v1/workflows/a/cancel")
        .header("host", "127.0.0.1:8088")
        .header("origin", "http://127.0.0.1:8088")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(rig.send(own.body(Body::empty()).unwrap()).await.status, 202);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_signals_and_cancellations_are_refused_with_their_codes() {
    let rig = Rig::start().await;
    rig.waiting_trip("a").await;
    for (path, body, status, code) in [
        ("/v1/workflows/a/signals/og", "{}", 422, "signal.unknown"),
        ("/v1/workflows/a/signals/go", r#"{"payload":{"no":"shape"}}"#, 422, "input.invalid"),
        ("/v1/workflows/a/signals/%20", "{}", 422, "id.syntax"),
        ("/v1/workflows/a/signals/go", "[]", 400, "body.not_object"),
        ("/v1/workflows/a/signals/go", r#"{"signal":1}"#, 422, "field.unknown"),
        ("/v1/workflows/a/signals/go", r#"{"signal_id":1}"#, 422, "field.type"),
        ("/v1/workflows/a/signals/go", r#"{"signal_id":""}"#, 422, "id.syntax"),
        ("/v1/workflows/absent/signals/go", "{}", 404, "not_found"),
        ("/v1/workflows/a/cancel", r#"{"raeson":"x"}"#, 422, "field.unknown"),
        ("/v1/workflows/a/cancel", r#"{"reason":7}"#, 422, "field.type"),
        ("/v1/workflows/absent/cancel", "{}", 404, "not_found"),
        ("/v1/workflows/absent/retry", "{}", 404, "not_found"),
        ("/v1/workflows/a/retry", "{}", 409, "workflow.not_stuck"),
        ("/v1/workflows/a/retry", r#"{"when":"now"}"#, 422, "field.unknown"),
    ] {
        let answer = rig.post(path, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {answer:?}");
    }
    let answer = rig.post("/v1/workflows/a/signals/og", "{}").await;
    assert!(answer.detail().contains("go"), "it lists the known signals: {answer:?}");
    rig.stop().await;
}
