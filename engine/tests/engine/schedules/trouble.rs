//! Outages, bad schedules, ids that are taken.

use hansom_core::Status;
use hansom_engine::schedule::{Outcome, Overlap};

use super::{AT_ONCE, PATIENT, fires, no_boundary, outage, outcomes, starts, until_fires};
use crate::crew::{audit, count, sql, until};
use crate::kit::{Trip, World, fresh, worker};

const YEARLY: &str = "0 0 1 1 *";

#[tokio::test]
async fn after_an_outage_every_time_is_missed_or_caught_up_with() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world).await;
    no_boundary(15).await;
    let definition = starts("trip", &AT_ONCE, "every 15m", Overlap::AllowAll);
    client.create_schedule("s1", &definition, None).await.unwrap();
    first.drain().await;
    outage(&sql, "3 hours").await;
    let (second, client) = worker(&database, &world).await;
    until_fires(&client, "s1", Outcome::Started, 4).await;
    let seen = fires(&client, "s1").await;
    assert_eq!(seen.len(), 12, "three hours of quarters: {seen:?}");
    let told: Vec<_> = seen.iter().map(|fire| fire.outcome).collect();
    assert_eq!((&told[..8], &told[8..]), (&[Outcome::Missed; 8][..], &[Outcome::Started; 4][..]));
    until("they ran", async || world.count("notify") == 4).await;
    second.drain().await;
}

#[tokio::test]
async fn bad_schedules_fail_for_themselves_and_stop_no_other() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &world).await;
    let mut good = starts("trip", &AT_ONCE, "every 1s", Overlap::AllowAll);
    for id in ["gone", "garbage", "shape", "nul", "zone"] {
        good.action.workflow_id_prefix = id.to_owned();
        client.create_schedule(id, &good, Some("until it is bad")).await.unwrap();
    }
    // As an earlier binary, or somebody with psql, could have left them.
    for (id, from, to) in [
        ("gone", "\"trip\"", "\"trap\""),
        ("garbage", "{", "["),
        ("shape", "{\"patience_ms\":0}", "[1,2]"),
        ("nul", "\"labels\":{}", "\"labels\":{\"a\":\"\\u0000\"}"),
        ("zone", "\"UTC\"", "\"Atlantis\""),
    ] {
        let query = "update hansom.schedule set definition = replace(definition, $2, $3),
            paused = false, revision = revision + 1 where schedule_id = $1";
        sqlx::query(query).bind(id).bind(from).bind(to).execute(&sql).await.unwrap();
    }
    let limit = "update hansom.schedule set remaining = 100";
    sqlx::query(limit).execute(&sql).await.unwrap();
    good.action.workflow_id_prefix = "good".to_owned();
    client.create_schedule("good", &good, None).await.unwrap();
    until_fires(&client, "good", Outcome::Started, 4).await;
    for (id, says) in [
        ("gone", "no workflow type `trap`"),
        ("shape", "does not fit"),
        ("nul", "the database refuses it"),
    ] {
        until_fires(&client, id, Outcome::Failed, 2).await;
        let page = client.schedule_fires(id, Some(Outcome::Failed), None, 1).await.unwrap();
        let detail = page.items[0].detail.as_deref().unwrap();
        assert!(detail.contains(says), "{id}: {detail}");
    }
    let used_up = "select count(*) from hansom.schedule where remaining < 100";
    assert_eq!(count(&sql, used_up).await, 0, "what starts nothing uses up nothing");
    // Nobody can say when these are due: they are looked at again now and then.
    for id in ["garbage", "zone"] {
        let failed = "select count(*) from hansom.schedule_fire
            where schedule_id = $1 and outcome = 5 and detail is not null";
        let failed: i64 = sqlx::query_scalar(failed).bind(id).fetch_one(&sql).await.unwrap();
        assert_eq!(failed, 1, "{id}");
    }
    assert_eq!(outcomes(&client, "good", Outcome::Failed).await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_workflow_of_that_id_is_left_alone_and_the_fire_failed() {
    let (database, world) = (fresh().await, World::default());
    let (first, client) = worker(&database, &world).await;
    let definition = starts("trip", &PATIENT, "every 1h", Overlap::AllowAll);
    client.create_schedule("s1", &definition, None).await.unwrap();
    first.drain().await;
    let (second, client) = worker(&database, &world).await;
    no_boundary(60).await;
    let next = client.describe_schedule("s1", (1, 0)).await.unwrap().next[0];
    let at = next - chrono::TimeDelta::hours(1);
    let id = format!("s-{}", at.format("%Y-%m-%dT%H:%M:%SZ"));
    client.start::<Trip>(&id, &PATIENT).await.unwrap();
    client.backfill_schedule("s1", (at, at), Overlap::AllowAll).await.unwrap();
    until_fires(&client, "s1", Outcome::Failed, 1).await;
    let fire = &fires(&client, "s1").await[0];
    assert_eq!(fire.workflow_id.as_deref(), Some(id.as_str()));
    assert_eq!((fire.run, fire.detail.as_deref()), (None, Some("there is a workflow of that id")));
    assert_eq!(client.describe(&id).await.unwrap().status, Status::Running);
    assert_eq!(client.describe_schedule("s1", (0, 0)).await.unwrap().running.len(), 0);
    second.drain().await;
}

#[tokio::test]
async fn a_run_that_fails_pauses_its_schedule() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let mut definition = starts("trip", &AT_ONCE, YEARLY, Overlap::Skip);
    definition.policy.pause_on_failure = true;
    client.create_schedule("s1", &definition, None).await.unwrap();
    world.refuse(1);
    let asked = client.trigger_schedule("s1", None).await.unwrap();
    until("it is paused", async || {
        client.describe_schedule("s1", (0, 0)).await.unwrap().standing.paused
    })
    .await;
    let note = client.describe_schedule("s1", (0, 0)).await.unwrap().standing.note;
    assert_eq!(note, Some(format!("`{}` failed", asked.workflow_id)));
    worker.drain().await;
}
