//! What the database refuses of one saga, for a reason that nobody has looked for beforehand, is
//! that saga's alone.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use hansom_core::{ParentClose, Status};
use sqlx::PgPool;

use crate::crew::{audit, count, held, sql, until};
use crate::kit::fresh;
use crate::plan::{Plan, Planned, becomes, end, worker};
use crate::stage::{Rule, Stage};

/// No history may say that tails was done.
const NO_TAILS: &str = r#"alter table hansom.history
    add constraint no_tails check (events not like '%"done tails"%')"#;
const TAILS: &str = "alter table hansom.history drop constraint no_tails";
const NO_BAD: &str =
    "alter table hansom.workflow add constraint no_bad check (workflow_id <> 'bad')";
const BAD: &str = "alter table hansom.workflow drop constraint no_bad";
const STUCK: &str = "select count(*) from hansom.event where what ? 'stuck'";

async fn execute(sql: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(sql).await.unwrap();
}

/// For a service, how often it was done: who forgets what was under way makes it again.
fn keys(stage: &Stage, what: &str) -> usize {
    stage.of(what).into_iter().map(|seen| seen.key).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn what_is_refused_of_one_saga_keeps_no_other_from_going_on() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    execute(&sql, NO_TAILS).await;
    for side in ["do heads", "do tails"] {
        stage.always(side, Rule::Hold);
    }
    let ids: Vec<_> = (0..40).map(|n| format!("good{n}")).collect();
    for id in &ids {
        client.start::<Planned>(id, &Plan::default().act("heads").act("more")).await.unwrap();
    }
    for id in ["freed", "cancelled"] {
        client.start::<Planned>(id, &Plan::default().act("tails").act("more")).await.unwrap();
    }
    until("all are asked", async || stage.seen().len() == 42).await;
    // What they are answered gathers while a commit waits.
    let mut lock = held(&sql).await;
    sqlx::query("lock table hansom.history in share mode").execute(&mut *lock).await.unwrap();
    for side in ["do heads", "do tails"] {
        stage.lift(side);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    lock.rollback().await.unwrap();

    for id in &ids {
        assert_eq!(end(&client, id).await, Status::Completed, "{id}");
    }
    for id in ["freed", "cancelled"] {
        let stuck = becomes(&client, id, Status::Stuck).await.now.stuck.unwrap();
        assert_eq!(stuck.reason, "poison");
        assert!(stuck.detail.contains("\"no_tails\""), "{}", stuck.detail);
    }
    until("it is ready", async || worker.is_ready()).await;
    client.retry("freed", None).await.unwrap();
    until("it is refused again", async || count(&sql, STUCK).await == 3).await;
    client.cancel("cancelled", None).await.unwrap();
    assert_eq!(end(&client, "cancelled").await, Status::Cancelled);
    assert_eq!(stage.count("undo tails"), 1, "it may have been done");
    execute(&sql, TAILS).await;
    client.retry("freed", None).await.unwrap();
    assert_eq!(end(&client, "freed").await, Status::Completed);
    assert_eq!((keys(&stage, "do tails"), keys(&stage, "do more")), (2, 41));
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_start_that_is_refused_is_nobody_elses_and_neither_is_a_child() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    execute(&sql, NO_BAD).await;
    let plan = Plan::default().act("a");
    let mut ids: Vec<_> = (0..40).map(|n| format!("good{n}")).collect();
    ids.insert(20, "bad".to_owned());
    let started = join_all(ids.iter().map(|id| client.start::<Planned>(id, &plan))).await;
    for (id, started) in ids.iter().zip(started) {
        assert_eq!(started.is_ok(), id != "bad", "{id}: {started:?}");
        if id != "bad" {
            assert_eq!(end(&client, id).await, Status::Completed);
        }
    }
    let parent = Plan::default().act("b").spawn("bad", plan.clone(), ParentClose::default()).join();
    client.start::<Planned>("parent", &parent).await.unwrap();
    let stuck = becomes(&client, "parent", Status::Stuck).await.now.stuck.unwrap();
    assert!(stuck.reason == "poison" && stuck.detail.contains("\"no_bad\""), "{stuck:?}");
    execute(&sql, BAD).await;
    client.retry("parent", None).await.unwrap();
    assert_eq!(end(&client, "parent").await, Status::Completed);
    assert_eq!((keys(&stage, "do a"), keys(&stage, "do b")), (41, 1));
    audit(&sql).await;
    worker.drain().await;
}
