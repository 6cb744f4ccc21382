//! Ids that are in somebody's open transaction: who waits for it, and who does not.

use chrono::TimeDelta;
use futures_util::future::join_all;
use hansom_core::{ParentClose, Payload, Status};
use hansom_engine::schedule::{Action, Definition, Outcome, Overlap, Policy, When};
use hansom_engine::{Client, StartRequest};

use crate::crew::{audit, count, held, sql, until};
use crate::kit::{self, Ride, SOON, World, fresh};
use crate::plan::{Plan, Planned, becomes, end, worker};
use crate::stage::Stage;

const RUNS: &str = "select count(*) from hansom.workflow";
const LATE: &str = "select count(*) from hansom.late_child";

fn trip(id: &str) -> StartRequest {
    StartRequest::new("trip", id, Payload::of(&Ride { patience_ms: 0 }).unwrap())
}

fn planned(id: &str) -> StartRequest {
    StartRequest::new("planned", id, Payload::of(&Plan::default().act("other")).unwrap())
}

/// Other sagas of all partitions start and end.
async fn others_go_on(client: &Client, request: fn(&str) -> StartRequest, round: &str) {
    let all = (0..20).map(async |n| {
        let id = format!("other.{round}.{n}");
        client.start_raw(request(&id)).await.unwrap();
        let outcome = client.result(&id, SOON).await;
        assert_eq!(outcome.expect("it waits for nobody").status, Status::Completed);
    });
    join_all(all).await;
}

#[tokio::test]
async fn a_start_in_an_open_transaction_is_waited_for_by_starts_of_its_id_and_by_nobody_else() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = kit::worker(&database, &world).await;
    for commits in [false, true] {
        let id = format!("open.{commits}");
        let mut tx = held(&sql).await;
        let first = client.start_in(&mut tx, trip(&id)).await.unwrap();
        let (late, same) = (client.clone(), id.clone());
        // More than the pool has connections.
        let starts = (0..20).map(move |_| {
            let (late, same) = (late.clone(), trip(&same));
            async move { late.start_raw(same).await.unwrap() }
        });
        let waiting = tokio::spawn(join_all(starts));
        others_go_on(&client, trip, &id).await;
        assert!(!waiting.is_finished());
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let started = waiting.await.unwrap();
        let run = client.describe(&id).await.unwrap().run;
        assert!(started.iter().all(|start| start.run == run));
        assert_eq!(run == first.run, commits);
        let new = started.iter().filter(|start| !start.existing).count();
        assert_eq!(new, usize::from(!commits), "one of them, if it may");
        assert_eq!(client.result(&id, SOON).await.unwrap().status, Status::Completed);
    }
    assert_eq!((count(&sql, RUNS).await, world.count("charge")), (42, 42));
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_child_whose_id_is_in_an_open_transaction_is_started_or_refused_when_that_has_ended() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    for ends in ["rolled-back", "committed", "cancelled"] {
        let (child, parent) = (format!("child.{ends}"), format!("parent.{ends}"));
        let mut tx = held(&sql).await;
        client.start_in(&mut tx, planned(&child)).await.unwrap();
        // With another one in the same commit, which outlives its parent.
        let free = format!("free.{ends}");
        let plan = Plan::default().spawn(&free, Plan::default().act("free"), ParentClose::Abandon);
        let plan = plan.child(&child, Plan::default().act("child"));
        client.start::<Planned>(&parent, &plan).await.unwrap();
        until("it is known to be late", async || count(&sql, LATE).await > 0).await;
        others_go_on(&client, planned, ends).await;
        until("the other child is there", async || client.describe(&free).await.is_ok()).await;
        assert_eq!(end(&client, &free).await, Status::Completed);
        assert_eq!(client.describe(&parent).await.unwrap().status, Status::Running);
        assert_eq!(count(&sql, LATE).await, 1);
        match ends {
            "rolled-back" => {
                tx.rollback().await.unwrap();
                assert_eq!(end(&client, &parent).await, Status::Completed);
                assert_eq!(stage.count("do child"), 1);
            }
            "committed" => {
                tx.commit().await.unwrap();
                let outcome = client.result(&parent, SOON).await.unwrap();
                assert_eq!(outcome.error.unwrap().get(), r#"{"Child":"taken"}"#);
            }
            _ => {
                client.cancel(&parent, None).await.unwrap();
                becomes(&client, &parent, Status::Cancelled).await;
                tx.rollback().await.unwrap();
                let gone = client.describe(&child).await;
                assert!(gone.is_err(), "it never began: {gone:?}");
            }
        }
        assert_eq!(count(&sql, LATE).await, 0);
    }
    assert_eq!(stage.count("do child"), 1);
    let inbox = "select count(*) from hansom.inbox";
    until("all that was said is consumed", async || count(&sql, inbox).await == 0).await;
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_schedule_whose_id_is_in_an_open_transaction_holds_up_no_other() {
    let (database, world) = (fresh().await, World::default());
    let sql = sql(database.url()).await;
    let (worker, client) = kit::worker(&database, &world).await;
    crate::schedules::no_boundary(60).await;
    for id in ["held", "free"] {
        let definition = Definition {
            action: Action {
                workflow_type: "trip".to_owned(),
                workflow_id_prefix: id.to_owned(),
                input: Payload::of(&Ride { patience_ms: 0 }).unwrap(),
                labels: std::collections::BTreeMap::new(),
            },
            when: When::new("every 1h", "UTC"),
            policy: Policy { overlap: Overlap::AllowAll, ..Policy::default() },
        };
        client.create_schedule(id, &definition, None).await.unwrap();
    }
    let next = client.describe_schedule("held", (1, 0)).await.unwrap().next[0];
    let at = next - TimeDelta::hours(1);
    let id = format!("held-{}", at.format("%Y-%m-%dT%H:%M:%SZ"));
    let mut tx = held(&sql).await;
    client.start_in(&mut tx, trip(&id)).await.unwrap();
    client.backfill_schedule("held", (at, at), Overlap::AllowAll).await.unwrap();
    for n in 1..=3 {
        client.trigger_schedule("free", None).await.unwrap();
        until("the other one fires", async || {
            let fires = client.schedule_fires("free", Some(Outcome::Started), None, 9).await;
            fires.unwrap().items.len() == n
        })
        .await;
    }
    let held = async |outcome| {
        client.schedule_fires("held", Some(outcome), None, 9).await.unwrap().items.len()
    };
    assert_eq!((held(Outcome::Buffered).await, held(Outcome::Started).await), (1, 0));
    tx.rollback().await.unwrap();
    until("it fires", async || held(Outcome::Started).await == 1).await;
    assert_eq!(client.result(&id, SOON).await.unwrap().status, Status::Completed);
    worker.drain().await;
}
