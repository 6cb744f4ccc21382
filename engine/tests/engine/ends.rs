//! Deadlines and terminations: ends that nobody in the saga asked for.

use std::time::Duration;

use chrono::Utc;
use hansom_core::{Cause, Command, Event, OnUnknown, Payload, Status, UndoStatus, Workflow};
use hansom_engine::{Client, ClientError, StartRequest};
use sqlx::PgPool;

use crate::crew::{audit, count, shared_out, sql, until};
use crate::kit::{SOON, fresh};
use crate::plan::{Care, Go, Plan, Planned, becomes, end, worker};
use crate::stage::{Rule, Stage};

async fn start_until(client: &Client, id: &str, plan: &Plan, millis: u64) -> uuid::Uuid {
    let deadline = Some(Utc::now() + Duration::from_millis(millis));
    let input = Payload::of(plan).unwrap();
    let request = StartRequest { deadline, ..StartRequest::new(Planned::NAME, id, input) };
    client.start_raw(request).await.unwrap().run
}

/// It was cancelled by its deadline, not before it.
async fn check_deadline(client: &Client, id: &str) {
    assert_eq!(end(client, id).await, Status::Cancelled);
    let now = client.describe(id).await.unwrap();
    let history = client.history(id, None, 1_000).await.unwrap().items;
    let passed = history.iter().find(|event| matches!(event.what, Event::DeadlinePassed {}));
    assert!(passed.unwrap().at >= now.deadline.unwrap(), "{id}: not early");
    let cause = |event: &Event| match event {
        Event::Asked(Command::Unwind { cause }) => Some(cause.clone()),
        _ => None,
    };
    let cause = history.iter().find_map(|event| cause(&event.what));
    assert_eq!(cause, Some(Cause::DeadlinePassed));
    assert_eq!(now.undo, UndoStatus::Done);
}

#[tokio::test]
async fn a_deadline_undoes_whatever_the_saga_waits_for() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let parks = Care { then: OnUnknown::Park, ..Care::default() };
    stage.always("do parked", Rule::Fail);
    stage.always("do slow", Rule::Hold);
    stage.always("do failing", Rule::After(Duration::from_hours(1)));
    for (id, plan) in [
        ("signal", Plan::default().act("a").go()),
        ("timer", Plan::default().act("a").sleep(600_000)),
        ("retry", Plan::default().act("a").act("failing")),
        ("stuck", Plan::default().act("a").act_with("parked", parks)),
        ("attempt", Plan::default().act("a").act("slow")),
    ] {
        start_until(&client, id, &plan, 5_000).await;
    }
    becomes(&client, "stuck", Status::Stuck).await;
    // An attempt in flight is waited for, whatever the hour.
    becomes(&client, "attempt", Status::Compensating).await;
    assert_eq!(stage.count("undo slow"), 0);
    stage.lift("do slow");
    for id in ["signal", "timer", "retry", "stuck", "attempt"] {
        check_deadline(&client, id).await;
    }
    let undone = ["undo a", "undo failing", "undo parked", "undo slow"];
    assert_eq!(undone.map(|what| stage.count(what)), [5, 1, 1, 1]);
    assert_eq!(count(&sql, "select count(*) from hansom.alarm").await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_deadline_comes_too_late_past_the_pivot_and_for_who_is_done() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    stage.always("tell p", Rule::Hold);
    let deadlines = "select count(*) from hansom.alarm";
    let waits = Plan::default().act("a").go().pivot(&["p"]);
    start_until(&client, "pivoted", &waits, 5_000).await;
    start_until(&client, "done", &Plan::default().act("a"), 5_000).await;
    assert_eq!(end(&client, "done").await, Status::Completed);
    assert_eq!(count(&sql, deadlines).await, 1);
    client.signal("pivoted", &Go, None).await.unwrap();
    until("it is past its pivot", async || stage.count("tell p") == 1).await;
    assert_eq!(count(&sql, deadlines).await, 0, "nothing is to ring any more");
    let now = client.describe("pivoted").await.unwrap();
    until("it has passed", async || now.deadline.unwrap() < Utc::now()).await;
    stage.lift("tell p");
    assert_eq!(end(&client, "pivoted").await, Status::Completed);
    assert_eq!(stage.count("undo a"), 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_deadline_outlives_workers_and_finds_a_run_that_left_memory() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (one, client) = worker(&database, &stage).await;
    let plan = Plan::default().act("a").go();
    start_until(&client, "moved", &plan, 2_000).await;
    start_until(&client, "parked", &plan, 9_000).await;
    // The first falls due while nobody is there.
    until("both wait", async || stage.count("do a") == 2).await;
    let due = "select count(*) from hansom.alarm where due < clock_timestamp()";
    one.drain().await;
    until("one is due", async || count(&sql, due).await == 1).await;
    let (two, client) = worker(&database, &stage).await;
    check_deadline(&client, "moved").await;
    let hot = "select count(*) from hansom.workflow where hot";
    until("the other is parked", async || count(&sql, hot).await == 0).await;
    two.drain().await;
    let (three, client) = worker(&database, &stage).await;
    check_deadline(&client, "parked").await;
    assert_eq!((stage.count("do a"), stage.count("undo a")), (2, 2));
    audit(&sql).await;
    three.drain().await;
}

#[tokio::test]
async fn a_start_through_another_process_brings_its_deadline_and_a_repetition_none() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &stage).await, worker(&database, &stage).await);
    shared_out(&sql, &[8, 8]).await;
    let plan = Plan::default().act("a").go();
    for id in (0..12).map(|n| format!("t{n}")) {
        let run = start_until(&here, &id, &plan, 5_000).await;
        assert_eq!(start_until(&there, &id, &plan, 600_000).await, run);
    }
    for id in (0..12).map(|n| format!("t{n}")) {
        check_deadline(&there, &id).await;
    }
    let foreign = "select count(*) from hansom.history where event = 0
        and jsonb_array_length(events::jsonb) = 1";
    assert!((1..12).contains(&count(&sql, foreign).await), "some were started from elsewhere");
    assert_eq!(stage.count("undo a"), 12);
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

async fn plan_of(client: &Client, id: &str) -> Vec<String> {
    let undos = client.undo_plan(id).await.unwrap().undos;
    let name = |request: &str| request.split('"').nth(3).unwrap().to_owned();
    undos.iter().map(|undo| name(undo.request.get())).collect()
}

/// Terminates one that is waited for; then nothing happens to it any more.
async fn check_terminated(client: &Client, sql: &PgPool, id: &str, owed: &[&str]) {
    let waiter = {
        let (client, id) = (client.clone(), id.to_owned());
        tokio::spawn(async move { client.result(&id, SOON).await })
    };
    let mut watch = client.watch(id).await.unwrap();
    let told = client.terminate(id, "the customer is bankrupt").await.unwrap();
    assert_eq!(told.undos.len(), owed.len(), "{id}: {:?}", told.undos);
    assert_eq!(waiter.await.unwrap().unwrap().status, Status::Terminated);
    watch.changed(SOON).await;
    assert_eq!(plan_of(client, id).await, owed, "{id}: it stays owed");
    client.terminate(id, "again").await.unwrap();
    let cancelled = client.cancel(id, None).await.unwrap_err();
    assert!(matches!(cancelled, ClientError::Closed { .. }), "{cancelled}");
    let now = client.describe(id).await.unwrap();
    assert_eq!(now.now.owed_undos.len(), owed.len());
    assert!(now.now.activities.is_empty() && now.now.timers.is_empty(), "{:?}", now.now);
    assert!(now.now.stuck.is_none() && now.closed_at.is_some());
    let alarms = sqlx::query_scalar("select count(*) from hansom.alarm where run = $1");
    let alarms: i64 = alarms.bind(now.run).fetch_one(sql).await.unwrap();
    assert_eq!(alarms, 0, "{id}");
}

#[tokio::test]
async fn a_termination_ends_a_saga_in_every_state_and_lists_what_stays_owed() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let parks = Care { then: OnUnknown::Park, ..Care::default() };
    // The first to be terminated is by far terminated before it is tried again.
    let wait = Duration::from_secs(8);
    stage.always("do slow", Rule::Hold);
    stage.always("do parked", Rule::Fail);
    stage.next("do failing", &[Rule::After(wait)]);
    stage.always("undo held", Rule::Hold);
    stage.always("undo lost", Rule::Fail);
    stage.always("tell p", Rule::Hold);
    let first = || Plan::default().act("a");
    for (id, plan) in [
        ("running", first().act("slow")),
        ("waiting", first().sleep(600_000)),
        ("retrying", first().act("failing")),
        ("compensating", first().act("held").act("b").fail()),
        ("stuck", first().act_with("parked", parks)),
        ("owing", first().act("lost").fail()),
        ("pivoted", first().pivot(&["p"])),
    ] {
        client.start::<Planned>(id, &plan).await.unwrap();
    }
    until("all are where they should be", async || {
        let waiting = ["do slow", "do failing", "undo held", "tell p"];
        waiting.iter().all(|what| stage.count(what) == 1) && stage.count("do a") == 7
    })
    .await;
    check_terminated(&client, &sql, "retrying", &["failing", "a"]).await;
    becomes(&client, "stuck", Status::Stuck).await;
    becomes(&client, "owing", Status::Stuck).await;
    check_terminated(&client, &sql, "running", &["slow", "a"]).await;
    check_terminated(&client, &sql, "waiting", &["a"]).await;
    check_terminated(&client, &sql, "compensating", &["held", "a"]).await;
    check_terminated(&client, &sql, "stuck", &["parked", "a"]).await;
    check_terminated(&client, &sql, "owing", &["lost"]).await;
    // Past its pivot it owed nothing, and does not now.
    check_terminated(&client, &sql, "pivoted", &[]).await;
    let undo = async |id| client.describe(id).await.unwrap().undo;
    assert_eq!(undo("running").await, UndoStatus::Owed);
    assert_eq!(undo("compensating").await, UndoStatus::Partial);
    assert_eq!(undo("pivoted").await, UndoStatus::None);
    // Late answers, and the hour of a retry, change nothing.
    let (events, attempts) = ("select count(*) from hansom.event", stage.story().len());
    let before = count(&sql, events).await;
    for held in ["do slow", "undo held", "tell p"] {
        stage.lift(held);
    }
    let due = stage.of("do failing")[0].at + wait + Duration::from_millis(500);
    tokio::time::sleep_until(due.into()).await;
    client.start::<Planned>("after", &Plan::default()).await.unwrap();
    assert_eq!(end(&client, "after").await, Status::Completed);
    assert_eq!(stage.story().len(), attempts, "{:?}", stage.story());
    let of_after = client.history("after", None, 100).await.unwrap().items.len();
    assert_eq!(count(&sql, events).await, before + i64::try_from(of_after).unwrap());
    let late = client.terminate("after", "x").await.unwrap_err();
    assert!(matches!(late, ClientError::Closed { .. }), "{late}");
    audit(&sql).await;
    worker.drain().await;
}
