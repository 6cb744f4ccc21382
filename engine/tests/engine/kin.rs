//! Parents and children: what they hear of one another, and what is undone of whom.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hansom_core::{ParentClose, Status, UndoStatus};
use hansom_engine::ClientError;

use crate::crew::{Process, audit, count, parent, shared_out, sql, until};
use crate::kit::{SOON, fresh};
use crate::plan::{Go, Plan, Planned, becomes, end, mortal_at, worker};
use crate::stage::{Rule, Stage};

fn plan() -> Plan {
    Plan::default()
}

#[tokio::test]
async fn a_parent_hears_how_its_child_ended() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let with = |id: &str, child: Plan| plan().act("p").child(id, child);
    client.start::<Planned>("other", &plan().act("o")).await.unwrap();
    stage.next("do refused", &[Rule::Refuse]);
    for (id, parent) in [
        ("completes", with("c1", plan().act("c"))),
        ("fails", with("c2", plan().act("c").act("refused"))),
        ("is-cancelled", with("c3", plan().act("c").go())),
        ("is-terminated", with("c4", plan().act("c").go())),
        ("never-began", with("other", plan().act("never"))),
    ] {
        client.start::<Planned>(id, &parent).await.unwrap();
    }
    until("two are asked", async || stage.count("do c") == 4).await;
    client.cancel("c3", None).await.unwrap();
    client.terminate("c4", "by mistake").await.unwrap();
    let outcome = client.result("completes", SOON).await.unwrap();
    assert_eq!(outcome.output.unwrap().get(), r#""done c""#);
    for (id, error) in [
        ("fails", r#"{"Child":{"failed":{"Step":{"refused":null}}}}"#),
        ("is-cancelled", r#"{"Child":"cancelled"}"#),
        ("is-terminated", r#"{"Child":"terminated"}"#),
        ("never-began", r#"{"Child":"taken"}"#),
    ] {
        let outcome = client.result(id, SOON).await.unwrap();
        assert_eq!((outcome.status, outcome.error.unwrap().get()), (Status::Failed, error));
    }
    assert_eq!((stage.count("undo p"), stage.count("undo c"), stage.count("do never")), (4, 2, 0));
    assert_eq!(client.undo_plan("c4").await.unwrap().undos.len(), 1, "it stays owed there");
    assert_eq!(count(&sql, "select count(*) from hansom.inbox").await, 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn what_a_completed_child_did_is_undone_in_its_place_under_its_own_name() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let grandchild = plan().act("g1").act("g2");
    let child = plan().act("c1").child("grandchild", grandchild).act("c2");
    let parent = plan().act("p1").child("child", child).act("p2").go().fail();
    client.start::<Planned>("parent", &parent).await.unwrap();
    until("all is done", async || stage.count("do p2") == 1).await;
    let planned = client.undo_plan("parent").await.unwrap().undos;
    let origins = planned.iter().map(|undo| undo.origin.as_ref().map(|o| o.workflow_id.as_str()));
    let expected =
        [None, Some("child"), Some("grandchild"), Some("grandchild"), Some("child"), None];
    assert_eq!(origins.collect::<Vec<_>>(), expected);
    assert_eq!(client.describe("child").await.unwrap().undo, UndoStatus::None, "it owes no more");
    client.signal("parent", &Go, None).await.unwrap();
    assert_eq!(end(&client, "parent").await, Status::Failed);
    let undone = ["undo p2", "undo c2", "undo g2", "undo g1", "undo c1", "undo p1"];
    assert_eq!(stage.story()[6..], undone);
    for (did, undid) in stage.seen()[..6].iter().zip(stage.seen()[6..].iter().rev().cycle()) {
        let undo = stage.of(&did.what.replace("do", "undo")).remove(0);
        assert_eq!((&undo.workflow_id, &undo.run), (&did.workflow_id, &did.run));
        assert_eq!(undo.key, did.key.replace("/do", "/undo"));
        assert!(undone.contains(&undid.what.as_str()));
    }
    for (id, status) in [("child", Status::Completed), ("grandchild", Status::Completed)] {
        assert_eq!(client.describe(id).await.unwrap().status, status);
    }
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_child_past_its_pivot_stays_done() {
    let (database, stage) = (fresh().await, Stage::default());
    let (worker, client) = worker(&database, &stage).await;
    let child = plan().act("c").pivot(&["t"]);
    let parent = plan().act("p").child("done", child.clone()).fail();
    client.start::<Planned>("late", &parent).await.unwrap();
    assert_eq!(end(&client, "late").await, Status::Failed);
    // One that is past it when its parent is cancelled goes on to its end, and is waited for.
    stage.always("tell t", Rule::Hold);
    client.start::<Planned>("waits", &plan().act("p").child("under-way", child)).await.unwrap();
    until("it is past its pivot", async || stage.count("tell t") == 2).await;
    client.cancel("waits", None).await.unwrap();
    becomes(&client, "waits", Status::Compensating).await;
    assert_eq!(stage.count("undo p"), 1, "that of the first");
    stage.lift("tell t");
    assert_eq!(end(&client, "waits").await, Status::Cancelled);
    assert_eq!(end(&client, "under-way").await, Status::Completed);
    assert_eq!((stage.count("undo p"), stage.count("undo c")), (2, 0));
    worker.drain().await;
}

#[tokio::test]
async fn a_parent_that_is_cancelled_has_its_child_undone_first() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let child = plan().act("c").child("grandchild", plan().act("g").go());
    let spawned = plan().act("p").spawn("idle", plan().go(), ParentClose::Terminate);
    client.start::<Planned>("parent", &spawned.child("child", child)).await.unwrap();
    until("the grandchild waits", async || stage.count("do g") == 1).await;
    client.cancel("parent", Some("the tour is off")).await.unwrap();
    assert_eq!(end(&client, "parent").await, Status::Cancelled);
    assert_eq!(stage.story(), ["do p", "do c", "do g", "undo g", "undo c", "undo p"]);
    for id in ["child", "grandchild", "idle"] {
        assert_eq!(client.describe(id).await.unwrap().status, Status::Cancelled, "{id}");
    }
    assert_eq!(count(&sql, "select count(*) from hansom.inbox").await, 0);
    audit(&sql).await;
    worker.drain().await;
}

fn three_children(then: impl Fn(Plan) -> Plan) -> Plan {
    let child = || plan().act("c").go();
    let parent = plan().act("p").spawn("cancelled", child(), ParentClose::Cancel);
    let parent = parent.spawn("terminated", child(), ParentClose::Terminate);
    then(parent.spawn("abandoned", child(), ParentClose::Abandon).go())
}

#[tokio::test]
async fn a_parent_that_ends_first_leaves_its_children_as_each_was_told() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    for (n, terminate) in [(1, false), (2, true)] {
        let id = format!("parent-{n}");
        let ids = ["cancelled", "terminated", "abandoned"];
        let text = serde_json::to_string(&three_children(|plan| plan)).unwrap();
        let text = ids.iter().fold(text, |text, id| text.replace(id, &format!("{id}-{n}")));
        client.start::<Planned>(&id, &serde_json::from_str(&text).unwrap()).await.unwrap();
        until("all wait", async || stage.count("do c") == 3 * n).await;
        if terminate {
            client.terminate(&id, "enough").await.unwrap();
            assert_eq!(end(&client, &id).await, Status::Terminated);
        } else {
            client.signal(&id, &Go, None).await.unwrap();
            assert_eq!(end(&client, &id).await, Status::Completed);
        }
        assert_eq!(end(&client, &format!("cancelled-{n}")).await, Status::Cancelled);
        assert_eq!(end(&client, &format!("terminated-{n}")).await, Status::Terminated);
        let abandoned = format!("abandoned-{n}");
        assert_eq!(client.describe(&abandoned).await.unwrap().status, Status::Running);
        client.signal(&abandoned, &Go, None).await.unwrap();
        assert_eq!(end(&client, &abandoned).await, Status::Completed);
        let owed = client.undo_plan(&format!("terminated-{n}")).await.unwrap().undos;
        assert_eq!((stage.count("undo c"), owed.len()), (n, 1));
    }
    let inbox = "select count(*) from hansom.inbox";
    until("what they said is consumed", async || count(&sql, inbox).await == 0).await;
    assert_eq!(stage.count("undo p"), 0);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn two_hundred_children_in_partitions_of_two_workers_are_done_and_undone_once() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &stage).await, worker(&database, &stage).await);
    shared_out(&sql, &[8, 8]).await;
    let parent = (0..200).fold(plan(), |parent, n| {
        let child = plan().act(&format!("c{n}"));
        parent.spawn(&format!("child-{n}"), child, ParentClose::Cancel)
    });
    let begun = std::time::Instant::now();
    here.start::<Planned>("parent", &parent.join().go().fail()).await.unwrap();
    let owed = async || here.undo_plan("parent").await.unwrap().undos.len();
    until("all are done", async || owed().await == 200).await;
    println!("200 children in {:?}", begun.elapsed());
    let done = stage.story();
    assert_eq!((done.len(), done.iter().collect::<BTreeSet<_>>().len()), (200, 200));
    let order = here.undo_plan("parent").await.unwrap().undos;
    there.signal("parent", &Go, None).await.unwrap();
    assert_eq!(end(&there, "parent").await, Status::Failed);
    let undone: Vec<_> = stage.seen().split_off(200);
    let planned = order.iter().map(|undo| undo.origin.clone().unwrap().run);
    assert_eq!(
        undone.iter().map(|seen| seen.run.clone()).collect::<Vec<_>>(),
        planned.collect::<Vec<_>>()
    );
    let children = "select count(distinct part) from hansom.workflow where status = 3";
    assert_eq!(count(&sql, children).await, 16, "they live everywhere");
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

#[tokio::test]
async fn a_parent_that_never_was_has_no_children() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    client.start::<Planned>("parent", &plan().act("p")).await.unwrap();
    assert_eq!(end(&client, "parent").await, Status::Completed);
    let another = plan().spawn("orphan", plan().act("o"), ParentClose::Abandon);
    for _ in 0..20 {
        let late = client.start::<Planned>("parent", &another).await.unwrap_err();
        assert!(matches!(late, ClientError::InputConflict { .. }), "{late}");
    }
    client.start::<Planned>("last", &plan().act("l")).await.unwrap();
    assert_eq!(end(&client, "last").await, Status::Completed);
    assert_eq!(count(&sql, "select count(*) from hansom.workflow").await, 2);
    assert_eq!(count(&sql, "select count(*) from hansom.inbox").await, 0);
    assert_eq!(stage.story(), ["do p", "do l"]);
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_child_that_cannot_be_named_stops_its_parent_and_nobody_else() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let (worker, client) = worker(&database, &stage).await;
    let bad = ["", "a b", "a/b", "é", &"x".repeat(256)];
    for (n, child) in bad.iter().enumerate() {
        let id = format!("p{n}");
        client.start::<Planned>(&id, &plan().act("p").child(child, plan())).await.unwrap();
        let stuck = becomes(&client, &id, Status::Stuck).await.now.stuck.unwrap();
        assert!(stuck.reason == "limit" && stuck.detail.contains("1 to 255"), "{stuck:?}");
        client.cancel(&id, None).await.unwrap();
        assert_eq!(end(&client, &id).await, Status::Cancelled);
    }
    assert_eq!(count(&sql, "select count(*) from hansom.worker").await, 1);
    assert_eq!((stage.count("do p"), stage.count("undo p")), (5, 5));
    audit(&sql).await;
    worker.drain().await;
}

#[tokio::test]
async fn of_many_parents_that_want_one_child_one_has_it() {
    let (database, stage) = (fresh().await, Stage::default());
    let sql = sql(database.url()).await;
    let ((one, here), (two, there)) =
        (worker(&database, &stage).await, worker(&database, &stage).await);
    shared_out(&sql, &[8, 8]).await;
    let ids: Vec<_> = (0..20).map(|n| format!("p{n}")).collect();
    let parent = plan().act("p").child("shared", plan().act("c"));
    join_all(ids.iter().enumerate().map(async |(n, id)| {
        let client = if n % 2 == 0 { &here } else { &there };
        client.start::<Planned>(id, &parent).await.unwrap();
    }))
    .await;
    let ends = join_all(ids.iter().map(|id| end(&here, id))).await;
    assert_eq!(ends.iter().filter(|end| **end == Status::Completed).count(), 1);
    assert_eq!(ends.iter().filter(|end| **end == Status::Failed).count(), 19);
    assert_eq!((stage.count("do c"), stage.count("undo p")), (1, 19));
    audit(&sql).await;
    one.drain().await;
    two.drain().await;
}

const FAMILIES: usize = 40;

/// Three generations; every second fails when all is done.
fn family(n: usize) -> (String, Plan) {
    let id = |who: &str| format!("f{n}.{who}");
    let child = plan().act("c1").child(&id("grandchild"), plan().act("g")).act("c2");
    let twin =
        |who: &str, plan: Plan| plan.spawn(&id(who), Plan::default().act("t"), ParentClose::Cancel);
    let parent = twin("one", twin("two", plan().act("p1"))).child(&id("child"), child);
    let parent = parent.join().act("p2");
    (id("parent"), if n.is_multiple_of(2) { parent } else { parent.fail() })
}

#[tokio::test]
async fn families_outlive_the_workers_that_own_them() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    Stage::open_books(&sql).await;
    let spawn = || Process::of(&database, "kin::a_process_that_starts_families");
    let mut crew = vec![spawn(), spawn()];
    let closed = "select count(*) from hansom.workflow where status >= 3";
    for kill in 1..=4 {
        until("some have ended", async || count(&sql, closed).await > 30 * (kill - 1) + 5).await;
        crew.remove(0).kill();
        crew.push(spawn());
        shared_out(&sql, &[8, 8]).await;
    }
    let all = i64::try_from(5 * FAMILIES).unwrap();
    until("all have ended", async || count(&sql, closed).await == all).await;
    assert_eq!(count(&sql, "select count(*) from hansom.workflow").await, all);
    let done = "select count(*) from effect where what like 'do %'";
    assert_eq!(count(&sql, done).await, i64::try_from(7 * FAMILIES).unwrap(), "each step, once");
    // What is undone is all of those whose parent failed, and nothing of the others.
    let wrong = "select count(*) from effect d
            join hansom.workflow w on w.run::text = split_part(d.key, '/', 1)
            join hansom.workflow p on p.workflow_id = split_part(w.workflow_id, '.', 1) || '.parent'
            left join effect u on u.key = replace(d.key, '/do', '/undo')
        where d.what like 'do %'
          and (p.status = 4) <> (u.what = replace(d.what, 'do ', 'undo ')) is true";
    assert_eq!(count(&sql, wrong).await, 0);
    let failed = "select count(*) from hansom.workflow where status = 4";
    assert_eq!(count(&sql, failed).await, i64::try_from(FAMILIES / 2).unwrap());
    let lost = count(&sql, "select count(*) from hansom.event where what ? 'attempt_lost'").await;
    println!("{lost} attempts lost with their workers");
    let left = "select (select count(*) from hansom.inbox) + (select count(*) from hansom.alarm)";
    until("nothing is left over", async || count(&sql, left).await == 0).await;
    audit(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "no test: the worker process of the test above"]
async fn a_process_that_starts_families() {
    let Some(url) = parent() else { return };
    let stage = Stage::with_books(&sql(&url).await);
    let (_worker, client) = mortal_at(&url, &stage).await;
    join_all((0..FAMILIES).map(family).map(async |(id, plan)| {
        client.start::<Planned>(&id, &plan).await.unwrap();
    }))
    .await;
    std::future::pending::<()>().await;
}
