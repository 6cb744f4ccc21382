//! More than one worker, and workers that die in the middle of it.

use std::time::Duration;

use hansom_engine::schedule::{Outcome, Overlap};
use sqlx::{PgPool, Row};

use super::{AT_ONCE, audit_fires, fires, outcomes, starts, until_fires};
use crate::crew::{Books, Process, audit, count, shared_out, sql, until};
use crate::kit::{World, fresh, worker};

#[tokio::test]
async fn two_workers_fire_every_time_once_also_when_one_of_them_leaves() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &world).await, worker(&database, &world).await);
    shared_out(&sql, &[8, 8]).await;
    let ids: Vec<_> = (0..20).map(|n| format!("s{n}")).collect();
    for (n, id) in ids.iter().enumerate() {
        // Half of them through a worker that does not own them.
        let client = if n % 2 == 0 { &here } else { &there };
        let mut definition = starts("trip", &AT_ONCE, "every 1s", Overlap::AllowAll);
        definition.action.workflow_id_prefix = id.clone();
        client.create_schedule(id, &definition, None).await.unwrap();
    }
    for id in &ids {
        until_fires(&here, id, Outcome::Started, 2).await;
    }
    one.drain().await;
    let before = outcomes(&there, "s0", Outcome::Started).await;
    for id in &ids {
        until_fires(&there, id, Outcome::Started, before + 2).await;
    }
    two.drain().await;
    // What is due from here on is somebody else's: it waits.
    let rows = count(&sql, "select count(*) from hansom.schedule_fire").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(count(&sql, "select count(*) from hansom.schedule_fire").await, rows);
    let (three, client) = worker(&database, &world).await;
    until_fires(&client, "s19", Outcome::Started, before + 4).await;
    audit_fires(&sql).await;
    let started = count(&sql, "select count(*) from hansom.schedule_fire where outcome = 1").await;
    until("all have run", async || {
        let ran = world.count("notify");
        i64::try_from(ran).unwrap() >= started
    })
    .await;
    audit(&sql).await;
    three.drain().await;
}

#[tokio::test]
async fn workers_that_are_killed_again_and_again_lose_and_repeat_nothing() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let books = Books::open(&sql).await;
    let world = World::default();
    let (creator, client) = worker(&database, &world).await;
    for n in 0..30 {
        let mut definition = starts("trip", &AT_ONCE, "every 1s", Overlap::AllowAll);
        definition.action.workflow_id_prefix = format!("s{n}");
        client.create_schedule(&format!("s{n}"), &definition, Some("wait")).await.unwrap();
    }
    creator.drain().await;
    // Nothing is due before the processes are there.
    let go = "update hansom.schedule set paused = false, revision = revision + 1";
    sqlx::query(go).execute(&sql).await.unwrap();
    let fired = async || count(&sql, "select count(*) from hansom.schedule_fire").await;
    for round in 0..5 {
        let (first, second) = (Process::spawn(&database), Process::spawn(&database));
        let before = fired().await;
        until("some have fired", async || fired().await > before + 60).await;
        tokio::time::sleep(Duration::from_millis(137 * round)).await;
        first.kill();
        second.kill();
    }
    let (last, client) = worker(&database, &world).await;
    for n in 0..30 {
        client.pause_schedule(&format!("s{n}"), None).await.unwrap();
    }
    let open = "select count(*) from hansom.workflow where status < 3";
    until("all that started is done", async || count(&sql, open).await == 0).await;
    let paused = outcomes(&client, "s0", Outcome::Paused).await;
    until_fires(&client, "s0", Outcome::Paused, paused + 2).await;
    last.drain().await;
    audit_fires(&sql).await;
    audit(&sql).await;
    let started = count(&sql, "select count(*) from hansom.schedule_fire where outcome = 1").await;
    let runs = count(&sql, "select count(*) from hansom.workflow").await;
    assert!(started > 200 && started == runs, "{started} fires, {runs} runs");
    drop(books);
}

/// What a look of the schedule `s1` would write that saw this revision: a fire for 2026-01-01.
async fn fire(sql: impl sqlx::PgExecutor<'_>, part: i32, revision: i64) -> Option<Vec<i32>> {
    let query = r#"select mine from hansom.fire(
        array[$1], array['default'], array['s1'], array[$2], array[false], array[null]::text[],
        array[now() + interval '1 h'], array[now() + interval '1 h'], array[false],
        array[null]::bigint[],
        array[1], array['2026-01-01T00:00:00Z'::timestamptz], array[0::smallint],
        array[1::smallint], array[null]::text[], array[3], array['s-2026'],
        array[gen_random_uuid()], array['trip'],
        array['[{"started":{"input":{"patience_ms":0}}}]'], array[null]::text[],
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"#;
    let row = sqlx::query(query).bind(part).bind(revision).fetch_one(sql).await.unwrap();
    row.get("mine")
}

async fn at(sql: &PgPool) -> (i32, i64) {
    let query = "select part, revision from hansom.schedule where schedule_id = 's1'";
    sqlx::query_as(query).fetch_one(sql).await.unwrap()
}

#[tokio::test]
async fn of_two_that_look_at_once_one_has_looked_in_vain() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (first, client) = worker(&database, &world).await;
    let yearly = starts("trip", &AT_ONCE, "0 0 1 1 *", Overlap::AllowAll);
    client.create_schedule("s1", &yearly, None).await.unwrap();
    first.drain().await;
    let (part, revision) = at(&sql).await;
    let mut under_way = sql.begin().await.unwrap();
    assert_eq!(fire(&mut *under_way, part, revision).await, Some(vec![1]));
    // While it is under way the other does not even wait for it.
    assert_eq!(fire(&sql, part, revision).await, None);
    under_way.commit().await.unwrap();
    assert_eq!(fire(&sql, part, revision).await, None, "it has changed since");
    // Had it been lost with its answer unheard, nothing of it would be there.
    let mut lost = sql.begin().await.unwrap();
    assert_eq!(fire(&mut *lost, part, revision + 1).await, Some(vec![1]));
    lost.rollback().await.unwrap();
    assert_eq!(at(&sql).await, (part, revision + 1));
    let (second, client) = worker(&database, &world).await;
    let seen = fires(&client, "s1").await;
    assert_eq!((seen.len(), seen[0].outcome), (1, Outcome::Started));
    until("it ran", async || world.count("charge") == 1).await;
    second.drain().await;
}
