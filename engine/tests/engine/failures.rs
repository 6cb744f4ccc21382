//! Steps that fail in every way there is, and bodies that panic.

use std::time::{Duration, Instant};

use hansom_core::{Event, OnUnknown, Status, UndoStatus};
use hansom_engine::Client;

use crate::crew::{LAG, Process, audit, count, parent, sql, until};
use crate::kit::{SOON, fresh};
use crate::plan::{Care, Plan, Planned, becomes, end, left, mortal_at, short, worker};
use crate::stage::{Rule, Stage};

fn careful(then: OnUnknown, probe: bool) -> Plan {
    Plan::default().act("x").act_with("a", Care { then, probe, attempts: 2, ..Care::default() })
}

#[tokio::test]
async fn a_step_that_is_to_be_retried_goes_on_past_its_policy_with_one_key() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    stage.next("do a", &[Rule::Fail; 7]);
    client.start::<Planned>("t", &careful(OnUnknown::Retry, true)).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Completed);
    let attempts = stage.of("do a");
    assert_eq!(attempts.iter().map(|a| a.attempt).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert!(attempts.iter().all(|attempt| attempt.key == attempts[0].key));
    assert_eq!((stage.count("look a"), stage.count("undo a")), (0, 0));
    worker.drain().await;
}

#[tokio::test]
async fn a_probe_says_what_happened_when_attempts_have_run_out() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    stage.always("do a", Rule::Fail);
    let verify = careful(OnUnknown::Verify, true);
    client.start::<Planned>("done", &verify).await.unwrap();
    let outcome = client.result("done", SOON).await.unwrap();
    assert_eq!(outcome.output.unwrap().get(), r#""found a""#);
    let key = |what: &str| stage.of(what)[0].key.clone();
    assert_eq!(key("look a"), key("do a"), "it is asked about the action");
    assert_eq!((stage.count("do a"), stage.count("look a"), stage.count("undo a")), (2, 1, 0));
    stage.next("look a", &[Rule::Fail, Rule::NotDone]);
    client.start::<Planned>("not-done", &verify).await.unwrap();
    let outcome = client.result("not-done", SOON).await.unwrap();
    let error = outcome.error.unwrap();
    assert!(error.get().contains(r#""not_done":{"attempts":2,"reason":"the network"#), "{error:?}");
    assert_eq!((stage.count("undo a"), stage.count("undo x")), (0, 1), "only what happened");
    stage.always("look a", Rule::Fail);
    client.start::<Planned>("unknown", &verify).await.unwrap();
    let outcome = client.result("unknown", SOON).await.unwrap();
    let error = outcome.error.unwrap();
    assert!(error.get().contains(r#""unknown":{"attempts":2,"reason":"the network"#), "{error:?}");
    assert_eq!((stage.count("undo a"), stage.count("undo x")), (1, 2));
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_step_that_is_to_be_undone_asks_nobody() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    stage.always("do a", Rule::Fail);
    client.start::<Planned>("t", &careful(OnUnknown::Undo, true)).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Failed);
    assert_eq!(stage.story(), ["do x", "do a", "do a", "undo a", "undo x"]);
    worker.drain().await;
}

#[tokio::test]
async fn a_parked_step_waits_for_a_person_who_retries_or_cancels() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    stage.always("do a", Rule::Fail);
    for id in ["retried", "cancelled"] {
        client.start::<Planned>(id, &careful(OnUnknown::Park, false)).await.unwrap();
        let now = becomes(&client, id, Status::Stuck).await.now;
        assert_eq!(now.stuck.unwrap().reason, "outcome_unknown");
        assert!(now.activities[0].parked && now.activities[0].activity == "act");
    }
    // A second time it may run out of attempts again, and has all of them before it.
    client.retry("retried", Some("the service is up")).await.unwrap();
    until("it was tried again", async || stage.count("do a") == 6).await;
    becomes(&client, "retried", Status::Stuck).await;
    stage.lift("do a");
    client.retry("retried", None).await.unwrap();
    assert_eq!(end(&client, "retried").await, Status::Completed);
    let attempts = stage.of("do a").into_iter().filter(|seen| seen.workflow_id == "retried");
    assert_eq!(attempts.map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(stage.count("undo a"), 0);
    client.cancel("cancelled", None).await.unwrap();
    assert_eq!(end(&client, "cancelled").await, Status::Cancelled);
    assert_eq!(stage.story()[stage.story().len() - 2..], ["undo a", "undo x"]);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_step_that_parks_asks_its_probe_first() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    stage.always("do a", Rule::Fail);
    client.start::<Planned>("found", &careful(OnUnknown::Park, true)).await.unwrap();
    assert_eq!(end(&client, "found").await, Status::Completed);
    stage.always("look a", Rule::Fail);
    client.start::<Planned>("parked", &careful(OnUnknown::Park, true)).await.unwrap();
    becomes(&client, "parked", Status::Stuck).await;
    stage.lift("look a");
    client.retry("parked", None).await.unwrap();
    assert_eq!(end(&client, "parked").await, Status::Completed);
    assert_eq!((stage.count("do a"), stage.count("look a")), (4, 4), "the probe is tried again");
    worker.drain().await;
}

/// From the request of the last step to what became of it.
async fn took(client: &Client, id: &str) -> Duration {
    let history = client.history(id, None, 1_000).await.unwrap().items;
    let asked = |what: &Event| matches!(what, Event::Asked(hansom_core::Command::Run { .. }));
    let begun = history.iter().rfind(|event| asked(&event.what)).unwrap().at;
    let unknown = |what: &Event| matches!(what, Event::Unknown { .. });
    let end = history.iter().rfind(|event| unknown(&event.what)).unwrap().at;
    (end - begun).to_std().unwrap()
}

#[tokio::test]
async fn the_limit_of_all_attempts_cuts_attempts_and_waits() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    let care = Care { attempts: 10, budget_ms: Some(3_000), ..Care::default() };
    let plan = Plan::default().act_with("a", care);
    stage.always("do a", Rule::Hold);
    client.start::<Planned>("hangs", &plan).await.unwrap();
    assert_eq!(end(&client, "hangs").await, Status::Failed);
    let hung = took(&client, "hangs").await;
    assert!((3_000..8_000).contains(&(hung + LAG).as_millis()), "{hung:?}");
    assert_eq!((stage.count("do a"), stage.count("undo a")), (1, 1));
    stage.always("do a", Rule::After(Duration::from_millis(1_200)));
    client.start::<Planned>("fails", &plan).await.unwrap();
    assert_eq!(end(&client, "fails").await, Status::Failed);
    let failed = took(&client, "fails").await;
    assert!((1_200..8_000).contains(&(failed + LAG).as_millis()), "{failed:?}");
    assert!((2..=4).contains(&stage.count("do a")), "of ten attempts: {}", stage.count("do a"));
    worker.drain().await;
}

#[tokio::test]
async fn no_attempt_begins_after_the_limit_of_all_of_them_also_when_nobody_was_there() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &stage).await;
    let care = Care { attempts: 10, budget_ms: Some(5_000), ..Care::default() };
    stage.next("do a", &[Rule::After(Duration::from_secs(3))]);
    client.start::<Planned>("t", &Plan::default().act_with("a", care)).await.unwrap();
    let alarms = "select count(*) from hansom.alarm";
    until("it waits", async || count(&sql, alarms).await == 1).await;
    one.drain().await;
    let late = "select count(*) from hansom.alarm where due < clock_timestamp() - interval '5s'";
    until("its time is over", async || count(&sql, late).await == 1).await;
    let (two, client) = worker(&database, &stage).await;
    assert_eq!(end(&client, "t").await, Status::Failed);
    assert_eq!(stage.story(), ["do a", "undo a"]);
    two.drain().await;
}

#[tokio::test]
async fn a_service_says_when_to_come_back_and_a_handler_that_panics_has_failed() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    let wait = Duration::from_millis(800);
    stage.next("do a", &[Rule::Panic, Rule::After(wait)]);
    client.start::<Planned>("t", &Plan::default().act("a")).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Completed);
    let attempts = stage.of("do a");
    assert_eq!(attempts.len(), 3);
    let waited = attempts[2].at - attempts[1].at;
    assert!(waited + LAG >= wait, "the service is not called before that: {waited:?}");
    let history = client.history("t", None, 100).await.unwrap().items;
    let failed = history.iter().filter_map(|event| match &event.what {
        Event::AttemptFailed { reason, retry_at, .. } => {
            let micros = retry_at.0 - event.at.timestamp_micros();
            Some((reason.as_str(), micros >= 800_000))
        }
        _ => None,
    });
    let as_asked = [("the handler panicked", false), ("busy", true)];
    assert_eq!(failed.collect::<Vec<_>>(), as_asked, "a panic waits as the policy says");
    worker.drain().await;
}

#[tokio::test]
async fn a_body_that_panics_twice_recovers_by_itself_and_repeats_nothing() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    short("twice", 2);
    let plan = Plan::default().act("a").fuse("twice").act("b").go();
    client.start::<Planned>("t", &plan).await.unwrap();
    until("it has recovered", async || stage.count("do b") == 1).await;
    client.signal("t", &crate::plan::Go, None).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Completed);
    assert_eq!(stage.story(), ["do a", "do b"]);
    assert_eq!(left("twice"), 0);
    let stuck = "select count(*) from hansom.event where what ? 'stuck'";
    assert_eq!(count(&sql, stuck).await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_body_that_always_panics_is_stuck_after_five_tries_and_goes_on_when_it_is_mended() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    short("always", 100);
    let plan = Plan::default().act("a").fuse("always").act("b");
    let begun = Instant::now();
    for id in ["t", "given-up"] {
        client.start::<Planned>(id, &plan).await.unwrap();
    }
    // It listens meanwhile: a cancellation needs no body.
    until("it has panicked", async || left("always") < 99).await;
    client.cancel("given-up", None).await.unwrap();
    assert_eq!(end(&client, "given-up").await, Status::Cancelled);
    assert_eq!(stage.count("undo a"), 1);
    short("always", 100);
    let stuck = becomes(&client, "t", Status::Stuck).await.now.stuck.unwrap();
    assert_eq!(stuck.reason, "panic");
    assert!(stuck.detail.contains("the fuse always is short"), "{}", stuck.detail);
    println!("stuck after {:?}", begun.elapsed());
    short("always", 0);
    client.retry("t", Some("mended")).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Completed);
    assert_eq!(stage.count("do a"), 2, "one for each");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_step_that_took_five_workers_down_is_tried_again_when_a_person_says_so() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let poisoned = || Process::of(&database, "failures::a_process_that_takes_poison");
    let (mut process, mut lives) = (poisoned(), 1);
    let stuck = "select count(*) from hansom.workflow where status = 2";
    until("it is parked", async || {
        if process.is_gone() {
            (process, lives) = (poisoned(), lives + 1);
        }
        count(&sql, stuck).await == 1
    })
    .await;
    assert_eq!(lives, 6, "five are lost, and the sixth lives");
    process.kill();
    let (worker, client) = mortal_at(database.url(), &stage).await;
    let now = client.describe("t").await.unwrap();
    assert_eq!((now.now.stuck.unwrap().reason, now.undo), ("poison", UndoStatus::Owed));
    client.retry("t", Some("the library is mended")).await.unwrap();
    assert_eq!(end(&client, "t").await, Status::Completed);
    assert_eq!(stage.story(), ["do poison"]);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of the test above"]
async fn a_process_that_takes_poison() {
    let Some(url) = parent() else { return };
    let stage = Stage::default();
    stage.always("do poison", Rule::Abort);
    let (_worker, client) = mortal_at(&url, &stage).await;
    client.start::<Planned>("t", &Plan::default().act("x").act("poison")).await.unwrap();
    std::future::pending::<()>().await;
}
