//! What is asked for by hand, and what one schedule does by itself.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use hansom_core::Status;
use hansom_engine::ClientError;
use hansom_engine::schedule::{Cause, Definition, Outcome, Overlap, ScheduleError};

use super::{AT_ONCE, PATIENT, fires, no_boundary, outage, outcomes, starts, until_fires};
use crate::crew::{audit, count, sql, until};
use crate::kit::{Arrive, SOON, World, fresh, worker};

/// What somebody wrote wrongly.
type Change = fn(&mut Definition);

/// Far enough for nothing to be due by itself.
const YEARLY: &str = "0 0 1 1 *";

#[tokio::test]
async fn the_clock_starts_a_workflow_for_each_time() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &AT_ONCE, "every 1s", Overlap::AllowAll);
    assert!(!client.create_schedule("s1", &definition, None).await.unwrap());
    until_fires(&client, "s1", Outcome::Started, 3).await;
    let seen = fires(&client, "s1").await;
    for fire in &seen {
        assert_eq!(fire.nominal.timestamp_subsec_micros(), 0);
        assert!(fire.decided_at >= fire.nominal, "never early by the database's clock");
        let id = fire.workflow_id.as_deref().unwrap();
        assert_eq!(id, format!("s-{}", fire.nominal.format("%Y-%m-%dT%H:%M:%SZ")));
        let outcome = client.result(id, SOON).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
        assert_eq!(client.describe(id).await.unwrap().labels["schedule"], "s1");
    }
    assert!(seen.windows(2).all(|two| two[1].nominal - two[0].nominal == TimeDelta::seconds(1)));
    // Deleted, it starts nothing any more.
    client.delete_schedule("s1").await.unwrap();
    let gone = client.describe_schedule("s1", (1, 1)).await.unwrap_err();
    assert!(matches!(gone, ClientError::NoSchedule(_)), "{gone}");
    let sql = sql(database.url()).await;
    let runs = "select count(*) from hansom.workflow";
    let before = count(&sql, runs).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(count(&sql, runs).await, before, "not one more");
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn what_waits_starts_when_the_run_before_it_closes() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &PATIENT, YEARLY, Overlap::BufferAll);
    client.create_schedule("s1", &definition, None).await.unwrap();
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(client.trigger_schedule("s1", None).await.unwrap());
    }
    until_fires(&client, "s1", Outcome::Started, 1).await;
    let described = client.describe_schedule("s1", (3, 10)).await.unwrap();
    assert_eq!(described.running, [asked[0].workflow_id.clone()]);
    assert_eq!(described.standing.buffered, 2);
    assert_eq!(described.next.len(), 3);
    assert!(described.fires.iter().all(|fire| fire.cause == Cause::Trigger));
    for (done, asked) in (1..).zip(&asked) {
        until(&format!("{done} are started"), async || {
            client.describe(&asked.workflow_id).await.is_ok()
        })
        .await;
        assert_eq!(outcomes(&client, "s1", Outcome::Started).await, done, "one at a time");
        client.signal(&asked.workflow_id, &Arrive, None).await.unwrap();
        client.result(&asked.workflow_id, SOON).await.unwrap();
    }
    assert_eq!(world.count("charge"), 3);
    // Each look notes what has closed; the last run's is still to come.
    let noted = "select count(*) from hansom.schedule_fire where open";
    assert_eq!(count(&sql(database.url()).await, noted).await, 1);
    worker.drain().await;
}

#[tokio::test]
async fn a_run_is_cancelled_for_the_next_where_that_is_the_policy() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &PATIENT, YEARLY, Overlap::CancelOther);
    client.create_schedule("s1", &definition, None).await.unwrap();
    let first = client.trigger_schedule("s1", None).await.unwrap();
    until("it charged", async || world.count("charge") == 1).await;
    let second = client.trigger_schedule("s1", None).await.unwrap();
    let outcome = client.result(&first.workflow_id, SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Cancelled);
    assert_eq!(world.count("refund"), 1, "undone first");
    until_fires(&client, "s1", Outcome::Started, 2).await;
    assert_eq!(client.describe(&second.workflow_id).await.unwrap().status, Status::Running);
    let history = client.history(&first.workflow_id, None, 50).await.unwrap();
    let history = serde_json::to_string(&history.items).unwrap();
    assert!(history.contains("schedule s1 is due again"), "{history}");
    worker.drain().await;
}

#[tokio::test]
async fn a_run_is_terminated_for_the_next_where_that_is_the_policy() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &PATIENT, YEARLY, Overlap::Skip);
    client.create_schedule("s1", &definition, None).await.unwrap();
    let first = client.trigger_schedule("s1", None).await.unwrap();
    until("it charged", async || world.count("charge") == 1).await;
    client.trigger_schedule("s1", Some(Overlap::TerminateOther)).await.unwrap();
    let outcome = client.result(&first.workflow_id, SOON).await.unwrap();
    assert_eq!(outcome.status, Status::Terminated);
    until("the next charged", async || world.count("charge") == 2).await;
    assert_eq!(world.count("refund"), 0, "what it owes stays owed");
    worker.drain().await;
}

#[tokio::test]
async fn paused_it_says_so_each_time_and_starts_only_what_is_asked_for() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &AT_ONCE, "every 1s", Overlap::AllowAll);
    client.create_schedule("s1", &definition, Some("not yet")).await.unwrap();
    until_fires(&client, "s1", Outcome::Paused, 2).await;
    assert_eq!(world.count("charge"), 0);
    let asked = client.trigger_schedule("s1", None).await.unwrap();
    until("it charged", async || world.count("charge") == 1).await;
    assert_eq!(outcomes(&client, "s1", Outcome::Started).await, 1);
    client.result(&asked.workflow_id, SOON).await.unwrap();
    let note = client.describe_schedule("s1", (0, 1)).await.unwrap().standing.note;
    assert_eq!(note.as_deref(), Some("not yet"));
    client.resume_schedule("s1", None).await.unwrap();
    until_fires(&client, "s1", Outcome::Started, 3).await;
    client.pause_schedule("s1", Some("enough")).await.unwrap();
    let listed = client.list_schedules(None, 10).await.unwrap().items;
    assert!(listed[0].paused && listed[0].note.as_deref() == Some("enough"), "{listed:?}");
    worker.drain().await;
}

#[tokio::test]
async fn a_backfill_fires_for_every_past_time_once() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let definition = starts("trip", &AT_ONCE, "0 * * * *", Overlap::Skip);
    client.create_schedule("s1", &definition, None).await.unwrap();
    no_boundary(60).await;
    let to = Utc::now() - TimeDelta::minutes(1);
    let range = (to - TimeDelta::hours(5), to);
    let asked = client.backfill_schedule("s1", range, Overlap::BufferAll).await.unwrap();
    assert_eq!(asked.fires, 5);
    until_fires(&client, "s1", Outcome::Started, 5).await;
    let seen = fires(&client, "s1").await;
    assert!(seen.windows(2).all(|two| two[1].nominal - two[0].nominal == TimeDelta::hours(1)));
    assert!(seen.windows(2).all(|two| two[1].decided_at >= two[0].decided_at), "in order");
    until("all of them ran", async || world.count("notify") == 5).await;
    let again = client.backfill_schedule("s1", range, Overlap::AllowAll).await.unwrap();
    assert_eq!(again.fires, 0, "they have started something already");
    // More than can wait is refused at once.
    let year = (to - TimeDelta::days(3_650), to);
    let refused = client.backfill_schedule("s1", year, Overlap::AllowAll).await.unwrap_err();
    assert!(matches!(refused, ClientError::TooManyFires { limit: 1_000, .. }), "{refused}");
    let future = (to, to + TimeDelta::days(1));
    let refused = client.backfill_schedule("s1", future, Overlap::AllowAll).await.unwrap_err();
    assert!(matches!(refused, ClientError::Schedule(ScheduleError::Range { .. })), "{refused}");
    worker.drain().await;
}

#[tokio::test]
async fn defined_anew_it_keeps_what_was_due_and_forgets_what_was_to_come() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world).await;
    no_boundary(15).await;
    let quarter = starts("trip", &AT_ONCE, "every 15m", Overlap::AllowAll);
    client.create_schedule("s1", &quarter, None).await.unwrap();
    assert!(client.create_schedule("s1", &quarter, None).await.unwrap(), "it is there");
    let hourly = starts("late", &0, "every 1h", Overlap::AllowAll);
    let other = client.create_schedule("s1", &hourly, None).await.unwrap_err();
    assert!(matches!(other, ClientError::ScheduleExists(_)), "{other}");
    first.drain().await;
    // Nobody was there for two and a half hours.
    outage(&sql, "150 minutes").await;
    client.update_schedule("s1", &hourly).await.unwrap();
    let (second, client) = worker(&database, &world).await;
    until("all are decided", async || {
        let next = client.describe_schedule("s1", (1, 0)).await.unwrap().next;
        next[0] > Utc::now() - TimeDelta::minutes(1)
    })
    .await;
    let seen = fires(&client, "s1").await;
    assert!((2..=3).contains(&seen.len()), "{seen:?}");
    assert!(seen.iter().all(|fire| fire.nominal.timestamp() % 3_600 == 0), "{seen:?}");
    assert!(seen.iter().any(|fire| fire.outcome == Outcome::Missed), "{seen:?}");
    second.drain().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_the_door() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let good = starts("trip", &AT_ONCE, YEARLY, Overlap::Skip);
    let create = async |id: &str, change: Change| {
        let mut definition = good.clone();
        change(&mut definition);
        client.create_schedule(id, &definition, None).await.unwrap_err()
    };
    let cases: [(Change, &str); 10] = [
        (|d| d.when.spec = "61 * * * *".to_owned(), "minute"),
        (|d| d.when.zone = "Europe/Paname".to_owned(), "time zone"),
        (|d| d.action.workflow_type = "trap".to_owned(), "no workflow type"),
        (|d| d.action.input = hansom_core::Payload::of(&"ride").unwrap(), "does not fit"),
        (|d| d.action.workflow_id_prefix = "x".repeat(221), "workflow_id_prefix"),
        (|d| d.policy.catchup_window = Duration::from_secs(9), "catchup_window"),
        (|d| d.policy.catchup_window = Duration::from_hours(366 * 24), "catchup_window"),
        (|d| d.policy.limited_actions = Some(0), "limited_actions"),
        (|d| d.when.jitter = Duration::from_secs(86_401), "jitter"),
        (|d| drop(d.action.labels.insert("a\0".to_owned(), String::new())), "labels"),
    ];
    for (change, says) in cases {
        let refused = create("s1", change).await;
        assert!(refused.to_string().contains(says), "{refused}");
    }
    let refused = create("s 1", |_| {}).await;
    assert!(matches!(refused, ClientError::InvalidId(_)), "{refused}");
    assert_eq!(client.list_schedules(None, 10).await.unwrap().items.len(), 0);
    worker.drain().await;
}
