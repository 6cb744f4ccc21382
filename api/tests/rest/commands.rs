//! The command line against a server that has the tests' own workflows.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hansom_activities::breaker::BreakerSettings;
use serde_json::{Value, json};

use crate::rig::{Rig, Setup};
use crate::tour::LATER;

/// A server, and the commands that are run against it.
struct Cli {
    url: String,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Said {
    exit: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { exit: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Cli {
    async fn of(rig: &Rig) -> Self {
        Self { url: rig.serve().await }
    }

    /// Runs `hansom workflow ..`; nobody sits there.
    async fn run(&self, args: &[&str]) -> Said {
        self.run_of("workflow", args).await
    }

    async fn run_of(&self, noun: &str, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
        command.arg(noun).args(args).env_clear().env("HANSOM_URL", &self.url);
        command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        output.unwrap().unwrap().into()
    }

    /// Runs it, and it ends like this.
    #[track_caller]
    fn ended(said: &Said, exit: i32, words: &[&str]) {
        assert_eq!(said.exit, Some(exit), "{said:?}");
        for word in words {
            assert!(said.out.contains(word) || said.err.contains(word), "no {word:?} in {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_asks_first_and_then_tells_what_stays_owed() {
    let rig = Rig::start().await;
    let cli = Cli::of(&rig).await;
    rig.waiting_trip("a").await;
    let asked = cli.run(&["terminate", "a", "--reason", "x"]).await;
    Cli::ended(&asked, 2, &["1 undo stays owed: refund", "--yes"]);
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "running");
    Cli::ended(&cli.run(&["terminate", "a", "--yes"]).await, 2, &["--reason"]);
    let done = cli.run(&["terminate", "a", "--reason", "by hand", "--yes"]).await;
    Cli::ended(&done, 0, &["a: terminated; 1 undo stays owed: refund", "fare"]);
    assert_eq!(rig.get("/v1/workflows/a").await.body["status"], "terminated");
    let json = cli.run(&["terminate", "a", "--reason", "x", "--yes", "-o", "json"]).await;
    let plan: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(plan, rig.get("/v1/workflows/a/undo-plan").await.body);
    Cli::ended(&cli.run(&["wait", "a"]).await, 23, &["terminated"]);
    Cli::ended(&cli.run(&["result", "a"]).await, 23, &["terminated"]);
    Cli::ended(&cli.run(&["list", "--status", "terminated", "-o", "ids"]).await, 0, &["a"]);
    Cli::ended(&cli.run(&["terminate", "b", "--reason", "x"]).await, 4, &["not_found"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_prints_the_answer_and_a_refusal_is_a_conflict() {
    let rig = Rig::start().await;
    let cli = Cli::of(&rig).await;
    rig.start_tour("a", json!({})).await;
    let tip = cli.run(&["update", "a", "tip", r#"{"amount":3}"#, "--update-id", "t-1"]).await;
    assert_eq!((tip.exit, tip.out.as_str()), (Some(0), "3\n"), "{tip:?}");
    let again = cli.run(&["update", "a", "tip", r#"{"amount":3}"#, "--update-id", "t-1"]).await;
    assert_eq!(again.out, "3\n");
    let refused = cli.run(&["update", "a", "tip", r#"{"amount":0}"#]).await;
    Cli::ended(&refused, 5, &["update.refused", r#"{"least":1}"#]);
    let later = json!({ "amount": LATER }).to_string();
    let open = ["update", "a", "tip", &later, "--update-id", "t-2", "--wait", "50ms"];
    Cli::ended(&cli.run(&open).await, 8, &["no answer yet", "--update-id t-2"]);
    Cli::ended(&cli.run(&["signal", "a", "go"]).await, 0, &[]);
    let answered = cli.run(&["update", "a", "tip", &later, "--update-id", "t-2"]).await;
    assert_eq!(answered.out, "53\n");
    Cli::ended(&cli.run(&["update", "a", "tpi"]).await, 2, &["update.unknown", "tip"]);
    Cli::ended(&cli.run(&["update", "a", "tip", "{"]).await, 2, &["not JSON"]);
    let state = cli.run(&["state", "a"]).await;
    assert_eq!((state.exit, state.out.as_str()), (Some(0), "{\"tips\":53}\n"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_workflow_is_told_to_try_again_and_is_shown_with_what_it_has() {
    let rig = Rig::start().await;
    let cli = Cli::of(&rig).await;
    rig.guide(false);
    let plan = json!({"leg": "a.leg", "trips": ["a.1"]}).to_string();
    let start = ["start", "tour", "a", "--input", &plan, "--deadline", "2h"];
    Cli::ended(&cli.run(&start).await, 0, &["started"]);
    let begun = Instant::now();
    Cli::ended(&cli.run(&["wait", "a", "--timeout", "60s"]).await, 21, &["stuck"]);
    assert!(begun.elapsed() < Duration::from_secs(45), "nobody waits for what is stuck");
    let parked = ["outcome_unknown", "book", "parked", "(in 1h)", "deadline"];
    Cli::ended(&cli.run(&["show", "a"]).await, 0, &parked);
    rig.guide(true);
    Cli::ended(&cli.run(&["retry", "a", "--reason", "back"]).await, 0, &["tries again"]);
    let tour = rig.until("a", |tour| tour["children"][0]["workflow_id"] == "a.1").await;
    let code = tour["code"].as_str().unwrap();
    let shown = cli.run(&["show", "a"]).await;
    Cli::ended(&shown, 0, &[code, r#"{"tips":0}"#, "children", "a.1", "FROM", "a.leg", "refund"]);
    Cli::ended(&cli.run(&["undo-plan", "a"]).await, 0, &["FROM", "a.leg", "unbook"]);
    let told =
        ["stuck outcome_unknown book", "retried", "start_child trip a.1", "child_closed a.leg"];
    Cli::ended(&cli.run(&["history", "a"]).await, 0, &told);
    Cli::ended(&cli.run(&["retry", "a"]).await, 5, &["workflow.not_stuck"]);
    Cli::ended(&cli.run(&["wait", "a", "--timeout", "50ms"]).await, 8, &["running"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_may_bring_a_signal() {
    let rig = Rig::start().await;
    let cli = Cli::of(&rig).await;
    let start = ["start", "trip", "a", "--input", r#"{"fare":1}"#, "--signal", "go=null"];
    let done = cli.run(&[&start[..], &["--signal-id", "s-1", "--wait", "30s"]].concat()).await;
    Cli::ended(&done, 0, &["completed"]);
    Cli::ended(&cli.run(&["history", "a"]).await, 0, &["signalled go", "s-1"]);
    let no = cli.run(&["start", "trip", "b", "--input", r#"{"fare":1}"#, "--signal", "og"]).await;
    Cli::ended(&no, 2, &["signal.unknown"]);
    let past = ["--deadline", "2020-01-01T00:00:00Z"];
    let no =
        cli.run(&[&["start", "trip", "b", "--input", r#"{"fare":1}"#][..], &past].concat()).await;
    Cli::ended(&no, 2, &["time.range", "past"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_listed_with_the_breakers_of_their_services() {
    let breaker = Some(BreakerSettings::default());
    let rig = Rig::set_up(&Setup { remote: &["refund"], breaker, ..Setup::default() }).await;
    let cli = Cli::of(&rig).await;
    let list = cli.run_of("activity", &["list"]).await;
    Cli::ended(&list, 0, &["ACTIVITY", "BREAKER", "queue refund"]);
    let charge = list.out.lines().find(|line| line.starts_with("charge ")).unwrap();
    assert_eq!(
        charge.split_whitespace().collect::<Vec<_>>(),
        ["charge", "bank", "closed", "0", "0"]
    );
    let json = cli.run_of("activity", &["list", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(list["items"][0]["name"], "book");
    let ids = cli.run_of("activity", &["list", "-o", "ids"]).await;
    assert!(ids.out.lines().any(|id| id == "charge"), "{ids:?}");
    rig.stop().await;
}
