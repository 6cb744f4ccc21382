//! The worker in `examples/python`, run for real: killed, too slow, many, and without a server.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hansom_postgres::testing::{PATIENCE, TestDatabase};
use serde_json::{Value, json};

use crate::processes::{Server, empty_database, run};

/// Whether there is a Python to run it. Where everything is checked there has to be one.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "python3 is missing");
    if !found {
        eprintln!("NOT CHECKED: python3 is missing");
    }
    found
}

async fn migrated() -> TestDatabase {
    let database = empty_database().await;
    assert_eq!(run(&["migrate", "--partitions", "8"], database.url()).status.code(), Some(0));
    database
}

/// A server that leaves what riders and drivers are told to others.
fn server(database: &TestDatabase, listen: &str) -> Server {
    let flags = ["--listen", listen, "--remote", "mark_call,complete_drive"];
    Server::start_with(database.url(), &flags)
}

fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Worker {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Worker {
    fn start(server: &Server, flags: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/worker.py");
        let mut command = Command::new("python3");
        command.arg(script).args(["--url", &server.url]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 runs");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, heard) = (child.stdout.take().expect("it is piped"), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                heard.lock().expect("nobody panics with it").push(line);
            }
        });
        Self { child, said }
    }

    fn said(&self, text: &str) -> Vec<String> {
        let said = self.said.lock().expect("nobody panics with it");
        said.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    fn until_says(&self, text: &str) {
        until(text, || !self.said(text).is_empty());
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Told to stop, it finishes what it holds and ends.
    fn stop(mut self) {
        self.signal("-TERM");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                assert!(status.success(), "{status}");
                return self.until_says("stopped");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not stop: {:?}", self.said(""));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(server: &Server, id: &str, call_id: u32) {
    let input = json!({"call_id": call_id, "user_id": "1", "user_name": "nana", "distance": 2000});
    let (exit, said) =
        server.says(&["wf", "start", "taxi_call", id, "--input", &input.to_string()]);
    assert_eq!(exit, Some(0), "{said}");
}

/// The answers of its steps so far, but for those without one.
fn answers(server: &Server, id: &str) -> Vec<Value> {
    let (_, history) = server.says(&["wf", "history", id, "-o", "jsonl"]);
    let events = history.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.map(|event| event["done"]["output"].clone()).filter(|output| !output.is_null()).collect()
}

/// Waits until somebody drives, and ends the drive.
fn arrive(server: &Server, id: &str) {
    let drive = || answers(server, id).into_iter().find_map(|o| o["drive_id"].as_i64());
    until("somebody drives", || drive().is_some());
    let payload = json!({"drive_id": drive()}).to_string();
    assert_eq!(server.says(&["wf", "signal", id, "end_drive", "--payload", &payload]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_the_middle_is_followed_by_another_and_the_saga_completes() {
    if !has_python() {
        return;
    }
    let database = migrated().await;
    let server = server(&database, "127.0.0.1:0");
    let doomed = Worker::start(&server, &["--takes", "600"]);
    start(&server, "trip-1", 1);
    doomed.until_says("begins");
    doomed.signal("-KILL");
    drop(doomed);
    let other = Worker::start(&server, &[]);
    arrive(&server, "trip-1");
    let (exit, said) = server.says(&["wf", "result", "trip-1", "--wait", "60s"]);
    assert_eq!(exit, Some(0), "{said}");
    until("it has said all of it", || other.said("begins").len() >= 4);
    let begun = other.said("begins");
    assert!(begun[0].contains("mark_call attempt 2 of"), "{begun:?}");
    assert_eq!(begun.len(), 4, "marked again, and then three more: {begun:?}");
    other.until_says("to the driver of call 1: the drive is over");
    other.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_worker_hears_that_it_is_too_late() {
    if !has_python() {
        return;
    }
    let database = migrated().await;
    let server = server(&database, "127.0.0.1:0");
    // An attempt to mark a call may take five seconds.
    let slow = Worker::start(&server, &["--takes", "8", "--threads", "1"]);
    start(&server, "trip-1", 1);
    slow.until_says("begins");
    let other = Worker::start(&server, &[]);
    other.until_says("attempt 2 of");
    arrive(&server, "trip-1");
    assert_eq!(server.says(&["wf", "result", "trip-1", "--wait", "60s"]).0, Some(0));
    slow.until_says("lost: it was too late");
    assert!(slow.said(": answered").is_empty());
    slow.stop();
    other.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_hold_one_attempt_and_survive_their_server() {
    if !has_python() {
        return;
    }
    let database = migrated().await;
    let mut first = server(&database, "127.0.0.1:0");
    let address = first.url.trim_start_matches("http://").to_owned();
    let workers = [Worker::start(&first, &["mark_call"]), Worker::start(&first, &["mark_call"])];
    let begun = || workers.iter().flat_map(|worker| worker.said("begins")).collect::<Vec<_>>();
    for n in 1..=12 {
        start(&first, &format!("trip-{n}"), n);
    }
    until("all are marked twice", || begun().len() >= 24);
    first.signal("-TERM");
    assert_eq!(first.ended(), Some(0));
    for worker in &workers {
        worker.until_says("claim: ");
    }
    let second = server(&database, &address);
    for n in 13..=24 {
        start(&second, &format!("trip-{n}"), n);
    }
    until("all are marked twice", || begun().len() >= 48);
    let begun = begun();
    assert_eq!(begun.iter().collect::<BTreeSet<_>>().len(), begun.len(), "nothing is held twice");
    assert!(begun.iter().all(|line| line.contains(" attempt 1 of ")), "{begun:?}");
    assert!(workers.iter().all(|worker| !worker.said("begins").is_empty()), "each has its share");
    workers.into_iter().for_each(Worker::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_does_not_exist_is_said_with_those_that_do() {
    let database = migrated().await;
    let refused =
        run(&["serve", "--listen", "127.0.0.1:0", "--remote", "mark_cal"], database.url());
    let stderr = String::from_utf8(refused.stderr).expect("it writes text");
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("did you mean `mark_call`?"), "{stderr}");
    assert!(stderr.contains("charge_fare, ") && stderr.contains("complete_drive, "), "{stderr}");
}
