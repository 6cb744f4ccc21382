//! Types what a transcript says at a real server, and looks what comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hansom_postgres::testing::{PATIENCE, TestDatabase};
use tokio::task::JoinSet;

use super::command::{Load, Request};
use super::processes::{Answer, Server, http, migrated, run, text};
use super::transcript::{self, AVAILABLE, Does, Expected, Step, has};

/// A server that has this system at the bare paths, on an empty database.
pub(crate) async fn gateway(system: &str) -> (TestDatabase, Server) {
    let database = migrated().await;
    let flags = ["--listen", "127.0.0.1:0", "--gateway", system];
    let server = Server::start_with(database.url(), &flags);
    (database, server)
}

/// Plays every story of a system's transcript. At the end of each the books are in order.
pub(crate) async fn stories(system: &'static str, typed: &str) {
    let stories = transcript::parse(system, typed).unwrap_or_else(|why| panic!("{why}"));
    for story in stories {
        let (database, server) = gateway(system).await;
        for typed in &story.steps {
            let played = step(&server, typed, PATIENCE).await;
            played.unwrap_or_else(|failure| panic!("{}\n{failure}", story.title));
        }
        let audit = run(&["audit"], database.url());
        let said = text(&audit.stdout);
        assert_eq!(audit.status.code(), Some(0), "{}: {said}", story.title);
    }
}

/// One command. What is only looked at is looked at again, until it is as expected or it has taken
/// too long.
pub(crate) async fn step(server: &Server, step: &Step, patience: Duration) -> Result<(), String> {
    let failed = |why: String| step.failure(&why);
    match &step.does {
        Does::Load(load) => under(server, load).await.map_err(failed),
        Does::Ask(request, expected) => {
            let end = Instant::now() + patience;
            loop {
                let Request { method, path, body } = request;
                let answer = server.send(method, path, body.clone()).await;
                match expected.is_met(&answer) {
                    Err(_) if method == "GET" && Instant::now() < end => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    met => return met.map_err(|why| failed(format!("{why}\n  {answer:?}"))),
                }
            }
        }
    }
}

impl Expected {
    fn is_met(&self, answer: &Answer) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("expected status {}, got {}", self.status, answer.status));
        }
        for (name, value) in &self.headers {
            let got = answer.headers.get(name).map_or("nothing", |got| got.to_str().unwrap_or("?"));
            if got != value {
                return Err(format!("expected {name}: {value}, got {got}"));
            }
        }
        self.body.as_ref().map_or(Ok(()), |body| has(body, &answer.body, ""))
    }
}

/// So many clients, who ask one thing after another until the time is up. Each asks once at least.
async fn under(server: &Server, load: &Load) -> Result<(), String> {
    let Load { clients, time, delay, request: Request { method, path, body } } = load;
    let method: reqwest::Method = method.parse().expect("a method");
    let asked = http().request(method, format!("{}{path}", server.url)).timeout(PATIENCE);
    let asked = body.iter().fold(asked, reqwest::RequestBuilder::json);
    let (asked, end, delay) = (Arc::new(asked), Instant::now() + *time, *delay);
    let mut all = JoinSet::new();
    for _ in 0..*clients {
        let asked = Arc::clone(&asked);
        all.spawn(async move {
            let mut answers = Vec::new();
            while answers.is_empty() || Instant::now() < end {
                let again = asked.try_clone().expect("its body is in memory");
                answers.push(again.send().await.map(|answer| answer.status()));
                tokio::time::sleep(delay).await;
            }
            answers
        });
    }
    let answers: Vec<_> = all.join_all().await.into_iter().flatten().collect();
    let well = |answer: &&Result<reqwest::StatusCode, reqwest::Error>| {
        answer.as_ref().is_ok_and(reqwest::StatusCode::is_success)
    };
    match answers.iter().find(|answer| !well(answer)) {
        None => Ok(()),
        Some(bad) => {
            let share = 100 * answers.iter().filter(well).count() / answers.len();
            Err(format!("expected {AVAILABLE}, got Availability: {share}.00 %, as {bad:?}"))
        }
    }
}
