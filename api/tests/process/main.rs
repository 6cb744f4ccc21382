//! The built binary against a real Postgres: migrate, serve, dev, the workflow commands, stopping.

#[path = "../processes/mod.rs"]
mod processes;

mod deploy;
mod dev;
mod remote;
mod secret;
mod views;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};

use self::processes::{Server, empty_database, run, text};

#[tokio::test(flavor = "multi_thread")]
async fn serve_refuses_a_database_that_is_not_migrated_and_migrate_may_be_repeated() {
    let database = empty_database().await;
    let refused = run(&["serve", "--listen", "127.0.0.1:0"], database.url());
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("hint: run `hansom migrate`"), "{stderr}");
    for _ in 0..2 {
        let migrated = run(&["migrate", "--partitions", "8"], database.url());
        assert_eq!(migrated.status.code(), Some(0), "{}", text(&migrated.stderr));
    }
    let other = run(&["migrate", "--partitions", "16"], database.url());
    let stderr = text(&other.stderr);
    assert_eq!(other.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("8 partitions, not 16"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist_is_said_in_one_line() {
    let database = empty_database().await;
    let url = database.url().replace(database.name(), "no_such_database");
    let refused = run(&["migrate"], &url);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("no_such_database") && stderr.contains("createdb"), "{stderr}");
}

#[test]
fn a_wrong_password_is_said_in_one_line_and_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            refuse_password(stream.expect("somebody connects"));
        }
    });
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/x?sslmode=disable");
    let refused = run(&["migrate"], &url);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("cause: password authentication failed"), "{stderr}");
    assert!(stderr.contains("hint: check user and password"), "{stderr}");
    assert!(!stderr.contains("s3cret"), "{stderr}");
}

/// As Postgres answers a wrong password.
fn refuse_password(mut stream: std::net::TcpStream) {
    let mut startup = [0; 1024];
    let read = stream.read(&mut startup).expect("it says hello");
    assert!(read > 0);
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"me\"\0\0";
    let length = u32::try_from(fields.len() + 4).expect("it is short");
    let message = [b"E".as_slice(), &length.to_be_bytes(), fields].concat();
    stream.write_all(&message).expect("it listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_commands_work_through_a_server_and_sigterm_ends_it_with_zero() {
    let database = empty_database().await;
    assert_eq!(run(&["migrate", "--partitions", "8"], database.url()).status.code(), Some(0));
    let mut server = Server::start(database.url());
    let input =
        json!({"call_id": 1, "user_id": "1", "user_name": "nana", "distance": 2000}).to_string();
    let start = ["wf", "start", "taxi_call", "trip-1", "--input", &input, "--label", "city=seoul"];
    let (exit, said) = server.says(&start);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("trip-1"), "{said}");
    let (exit, said) = server.says(&["workflow", "list", "--label", "city=seoul", "-o", "ids"]);
    assert_eq!((exit, said.as_str()), (Some(0), "trip-1\n"));
    let (exit, said) = server.says(&["workflow", "list"]);
    assert_eq!(exit, Some(0));
    assert!(said.starts_with("WORKFLOW") && said.contains("taxi_call"), "{said}");
    let (exit, said) = server.says(&["workflow", "show", "trip-1", "-o", "json"]);
    let shown: Value = serde_json::from_str(&said).expect("the API's own JSON");
    assert_eq!((exit, &shown["labels"]), (Some(0), &json!({"city": "seoul"})));
    let (exit, said) = server.says(&["workflow", "history", "trip-1", "-o", "jsonl"]);
    let first: Value = serde_json::from_str(said.lines().next().expect("an event")).expect("JSON");
    assert_eq!((exit, &first["event"]), (Some(0), &json!(0)));
    assert_eq!(server.says(&["workflow", "undo-plan", "trip-1"]).0, Some(0));
    assert_eq!(server.says(&["workflow", "result", "trip-1"]).0, Some(8), "still open");
    assert_eq!(server.says(&["workflow", "cancel", "trip-1", "--reason", "test"]).0, Some(0));
    let (exit, said) = server.says(&["workflow", "result", "trip-1", "--wait", "30s"]);
    assert_eq!(exit, Some(22), "cancelled: {said}");
    assert_eq!(server.says(&["workflow", "show", "absent"]).0, Some(4));
    assert_eq!(server.says(&["workflow", "list", "--status", "runing"]).0, Some(2));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_problem_json_where_json_is_asked_for_and_a_closed_pipe_is_quiet() {
    let database = empty_database().await;
    assert_eq!(run(&["migrate", "--partitions", "8"], database.url()).status.code(), Some(0));
    let server = Server::start(database.url());
    let refused = server.ask(&["workflow", "show", "absent", "-o", "json"]);
    let problem: Value = serde_json::from_slice(&refused.stderr).expect("problem+json");
    assert_eq!(problem["code"], "not_found");
    assert!(refused.stdout.is_empty());

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut list = Command::new(env!("CARGO_BIN_EXE_hansom"));
    list.args(["workflow", "list", "--url", &server.url]).env_clear();
    let quiet = list.stdout(writer).stderr(Stdio::piped()).output().expect("the binary runs");
    assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_server_that_still_answers_somebody() {
    let database = empty_database().await;
    assert_eq!(run(&["migrate", "--partitions", "8"], database.url()).status.code(), Some(0));
    let mut server = Server::start(database.url());
    // Half a request keeps the graceful stop waiting.
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut half = std::net::TcpStream::connect(&address).expect("it listens");
    half.write_all(b"POST /v1/workflows HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n{")
        .expect("it reads");
    let mut going_on = [0; 12];
    half.read_exact(&mut going_on).expect("it answers");
    assert_eq!(&going_on, b"HTTP/1.1 100", "it waits for the rest of the body");
    server.signal("-INT");
    let end = std::time::Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(&address).is_ok() {
        assert!(std::time::Instant::now() < end, "it still takes connections");
    }
    assert!(
        server.child.try_wait().expect("it can be asked").is_none(),
        "it waits for the request"
    );
    server.signal("-INT");
    assert_eq!(server.ended(), Some(130));
}
