//! What the documents type, word for word, through the gateway of a real server. The transcripts
//! beside this file are meant to be read: they show how one talks to each of the four systems.
//!
//! A server's own port stands in for all of theirs: that of the gateway (8088, or 8080), and those
//! of the services behind it.

mod command;
mod play;
#[path = "../processes/mod.rs"]
mod processes;
mod transcript;

use std::time::Duration;

use serde_json::json;

use self::command::{Command, SHORTER};
use self::transcript::Step;

#[tokio::test(flavor = "multi_thread")]
async fn taxisvc_understands_what_its_documents_type() {
    play::stories("taxisvc", include_str!("taxisvc.txt")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anycall_understands_what_its_document_types() {
    play::stories("anycall", include_str!("anycall.txt")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn move24mall_understands_what_its_document_types() {
    play::stories("move", include_str!("move.txt")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bikes_understand_what_their_document_types() {
    play::stories("bike", include_str!("bike.txt")).await;
}

/// The steps of a transcript of one story.
fn steps(text: &str) -> Vec<Step> {
    let text = format!("== A story\n{text}");
    let stories = transcript::parse("made_up", &text).expect("it can be read");
    stories.into_iter().flat_map(|story| story.steps).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_back_as_it_is_written_is_said_with_its_line_and_both_sides() {
    let (_database, server) = play::gateway("taxisvc").await;
    let call = "$ http :8088/calls userId=1 distance=20\n";
    for (said, words) in [
        ("200 OK", vec!["made_up.txt:2", "distance=20", "expected status 200", "got 201"]),
        ("201 Created\nLocation: /calls/7", vec!["expected location: /calls/7", "got /calls/"]),
        ("201 Created\n{\"distance\": 21.0}", vec!["expected .distance = 21.0", "got 20.0"]),
        ("201 Created\n{\"driver\": 1}", vec!["expected .driver = 1", "got nothing"]),
        ("201 Created\n{\"_links\": 1}", vec!["expected ._links = 1", "got {"]),
    ] {
        let text = format!("{call}{said}");
        let [step] = &steps(&text)[..] else { panic!("one command: {text}") };
        let failure = play::step(&server, step, Duration::ZERO).await.expect_err(said);
        for word in words {
            assert!(failure.contains(word), "{word}: {failure}");
        }
    }
    let shorter = "$ http :8088/calls\n200 OK\n{\"_embedded\": {\"calls\": []}}";
    let patience = Duration::from_millis(200);
    let failure = play::step(&server, &steps(shorter)[0], patience).await.expect_err(shorter);
    assert!(failure.contains("expected ._embedded.calls to have 0 items"), "{failure}");
    assert!(failure.contains("got 5"), "{failure}");

    let nowhere = "$ siege -c2 -t20S http://localhost:8088/nowhere\nAvailability: 100.00 %";
    let failure = play::step(&server, &steps(nowhere)[0], patience).await.expect_err(nowhere);
    assert!(failure.contains("expected Availability: 100.00 %"), "{failure}");
    assert!(failure.contains("got Availability: 0.00 %"), "{failure}");
}

#[test]
fn what_is_typed_is_sent_as_httpie_sends_it() {
    for (typed, method, path, body) in [
        ("http :8088/calls", "GET", "/calls", None),
        ("http http://localhost:8088/calls?page=1", "GET", "/calls?page=1", None),
        ("http DELETE localhost:8081/movers/1", "DELETE", "/movers/1", None),
        (
            "http :8088/calls a=1 b= c='가 나'",
            "POST",
            "/calls",
            Some(json!({"a": "1", "b": "", "c": "가 나"})),
        ),
        (
            r#"http PATCH :1/t a="x : y=z" n:=2 ok:=true"#,
            "PATCH",
            "/t",
            Some(json!({"a": "x : y=z", "n": 2, "ok": true})),
        ),
    ] {
        let Ok(Command::Http(request)) = Command::parse(typed) else { panic!("{typed}") };
        assert_eq!(
            (&*request.method, &*request.path, request.body),
            (method, path, body),
            "{typed}"
        );
    }
    let typed = r#"siege -c200 -t20s -v --delay=1S --content-type "application/json" 'http://h:1/t POST {"a": "가"}'"#;
    let Ok(Command::Siege(load)) = Command::parse(typed) else { panic!("{typed}") };
    assert_eq!((load.clients, load.time), (200, Duration::from_secs(20) / SHORTER));
    assert_eq!((&*load.request.method, &*load.request.path), ("POST", "/t"));
    assert_eq!(
        (load.delay, load.request.body),
        (Duration::from_secs(1) / SHORTER, Some(json!({"a": "가"})))
    );
}

#[test]
fn what_cannot_be_understood_is_no_command() {
    for typed in [
        "",
        "htp :8088/calls",
        "http",
        "http calls",
        "http :8088",
        "http :8088/calls a",
        "http :8088/calls =1",
        "http :8088/calls n:=x",
        "http :8088/calls a=\"1",
        "siege http://h/",
        "siege -c2 -t2 -x http://h/",
        "siege -c2 -tx http://h/",
        "siege -c2 -t1S",
    ] {
        assert!(Command::parse(typed).is_err(), "{typed}");
    }
    let wrong = [
        ("$ http :1/a\n200", "before the first story"),
        ("== A\n$ http :1/a", "nothing is said"),
        ("== A\n$ http :1/a\nfine", "not a status"),
        ("== A\n$ http :1/a\n200\n{", "EOF"),
        ("== A\n$ siege -c1 -t1S http://h/\n200", "Availability"),
        ("== A\n200", "below no command"),
        ("== A\n", "nothing is typed"),
        ("", "no story"),
    ];
    for (text, why) in wrong {
        let refused = transcript::parse("made_up", text).map(|stories| stories.len());
        assert!(refused.as_ref().is_err_and(|error| error.contains(why)), "{why}: {refused:?}");
    }
}
