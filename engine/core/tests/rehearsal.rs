//! What a body may await, and what follows from how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hansom_core::testing::Script;
use hansom_core::{
    Activity, ActivityError, Ctx, Event, Machine, Never, Seq, Signal, SignalType, Status,
    Timestamp, UndoStatus, Workflow, WorkflowType,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;

macro_rules! activity {
    ($name:ident, $wire:literal, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name;
        impl Activity for $name {
            const NAME: &'static str = $wire;
            type Output = u32;
            type Error = $error;
        }
    };
}

activity!(A, "a", No);
activity!(B, "b", No);
activity!(UndoA, "undo_a", Never);
activity!(UndoB, "undo_b", Never);
activity!(Last, "last", Never);

#[derive(Serialize, Deserialize)]
struct Go(u32);
impl Signal for Go {
    const NAME: &'static str = "go";
}

const ALL: &[&str] = &[A::NAME, B::NAME, UndoA::NAME, UndoB::NAME, Last::NAME];

macro_rules! workflow {
    ($name:ident, |$ctx:ident| $body:block) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = stringify!($name);
            const ACTIVITIES: &'static [&'static str] = ALL;
            const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
            type Input = ();
            type Output = u32;
            type Error = ActivityError<No>;
            async fn run($ctx: Ctx, (): ()) -> Result<u32, ActivityError<No>> $body
        }
    };
}

workflow!(Line, |ctx| {
    let a = ctx.run(A).undo(UndoA).await?;
    let b = ctx.run(B).undo(UndoB).await?;
    let last = ctx.pivot().run(Last).await;
    Ok(a + b + last)
});

workflow!(Swapped, |ctx| {
    let b = ctx.run(B).undo(UndoB).await?;
    Ok(b + ctx.run(A).undo(UndoA).await?)
});

workflow!(Both, |ctx| {
    let (a, b) = ctx.join(ctx.run(A).undo(UndoA), ctx.run(B).undo(UndoB)).await;
    let sum = a? + b?;
    let go = ctx.signals::<Go>().next().await;
    if go.0 == 0 { Err(ActivityError::Refused(No)) } else { Ok(sum + go.0) }
});

workflow!(Patient, |ctx| {
    let signals = ctx.signals::<Go>();
    match ctx.timeout(Duration::from_secs(30), signals.next()).await {
        Ok(go) => Ok(go.0),
        Err(_) => Err(ActivityError::Refused(No)),
    }
});

workflow!(FanOut, |ctx| {
    let mut naps: FuturesUnordered<_> =
        (1..=3).map(|n| ctx.sleep(Duration::from_secs(n))).collect();
    while naps.next().await.is_some() {}
    Ok(0)
});

workflow!(Panics, |ctx| {
    ctx.run(A).undo(UndoA).await?;
    panic!("on the way");
});

#[test]
fn ok_commits() {
    let script = Script::<Line>::start(&()).complete::<A>(&1).complete::<B>(&2);
    let script = script.complete::<Last>(&3);
    assert_eq!(script.story(), ["a", "b", "pivot", "last", "completed"]);
    assert_eq!(script.ledger().outcome().unwrap().output.unwrap().get(), "6");
    assert_eq!(script.ledger().undo_status(), UndoStatus::None);
}

#[test]
fn err_unwinds_and_a_refused_step_is_not_undone() {
    let story = Script::<Line>::start(&()).complete::<A>(&1).refuse::<B>(No).complete::<UndoA>(&0);
    assert_eq!(story.story(), ["a", "b", "unwind", "undo: undo_a", "failed"]);
    assert_eq!(story.ledger().undo_status(), UndoStatus::Done);
}

#[test]
fn a_step_whose_outcome_is_unknown_is_undone_too_and_first() {
    let script = Script::<Line>::start(&()).complete::<A>(&1).lose::<B>();
    let story = script.complete::<UndoB>(&0).complete::<UndoA>(&0).story();
    assert_eq!(story, ["a", "b", "unwind", "undo: undo_b", "undo: undo_a", "failed"]);
}

#[test]
fn undo_runs_in_reverse_order_of_completion_not_of_asking() {
    let script = Script::<Both>::start(&()).complete::<B>(&1).complete::<A>(&2).signal(&Go(0));
    let plan: Vec<_> = script.ledger().undo_plan().into_iter().map(|undo| undo.activity).collect();
    assert_eq!(plan, ["undo_a", "undo_b"]);
    let story = script.complete::<UndoA>(&0).complete::<UndoB>(&0).story();
    assert_eq!(story, ["a", "b", "unwind", "undo: undo_a", "undo: undo_b", "failed"]);
}

#[test]
fn a_step_in_flight_is_waited_for_before_anything_is_undone() {
    let script = Script::<Both>::start(&()).complete::<B>(&1).cancel();
    assert_eq!(script.story(), ["a", "b", "unwind"]);
    let story = script.complete::<A>(&1).complete::<UndoA>(&0).complete::<UndoB>(&0).story();
    assert_eq!(story[3..], ["undo: undo_a", "undo: undo_b", "cancelled"]);
}

#[test]
fn a_cancel_past_the_pivot_comes_too_late() {
    let script = Script::<Line>::start(&()).complete::<A>(&1).complete::<B>(&2).cancel();
    let script = script.complete::<Last>(&3);
    assert_eq!(script.ledger().status(), Status::Completed);
}

#[test]
fn an_undo_that_is_exhausted_stays_owed_and_the_others_still_run() {
    let script = Script::<Line>::start(&()).complete::<A>(&1).complete::<B>(&1).signal(&Go(1));
    assert!(script.ledger().pivoted(), "and so nothing is owed any more");
    let script = Script::<Both>::start(&()).complete::<A>(&1).complete::<B>(&2).signal(&Go(0));
    let script = script.lose::<UndoB>().complete::<UndoA>(&0);
    assert_eq!(script.story()[4..], ["undo: undo_a", "stuck: undo_exhausted"]);
    assert_eq!(script.ledger().undo_status(), UndoStatus::Partial);
    assert_eq!(script.ledger().undo_plan()[0].activity, "undo_b");
}

#[test]
fn a_timer_that_nobody_waits_for_any_more_is_cancelled() {
    let story = Script::<Patient>::start(&()).signal(&Go(4));
    assert_eq!(story.story(), ["timer 30s", "timer off", "completed"]);
    assert!(story.ledger().alarms().is_empty());
}

#[test]
fn a_timeout_fires_once() {
    let story = Script::<Patient>::start(&()).fire();
    assert_eq!(story.story(), ["timer 30s", "unwind", "failed"]);
}

#[test]
fn a_fan_out_finishes_when_its_last_timer_fires() {
    let story = Script::<FanOut>::start(&()).fire().fire().fire().story();
    assert_eq!(story, ["timer 1s", "timer 2s", "timer 3s", "completed"]);
}

#[test]
fn a_panic_in_the_body_leaves_the_run_stuck_and_its_debts_payable() {
    let script = Script::<Panics>::start(&()).complete::<A>(&1);
    assert_eq!(script.ledger().stuck().unwrap().0.code(), "panic");
    let story = script.cancel().complete::<UndoA>(&0);
    assert_eq!(story.ledger().status(), Status::Cancelled);
}

fn changed(history: &[(Timestamp, Vec<Event>)]) -> Machine {
    Machine::replay(Some(WorkflowType::of::<Swapped>()), 7, history.iter().cloned())
}

#[test]
fn a_changed_body_is_caught_not_obeyed() {
    let script = Script::<Line>::start(&()).complete::<A>(&1);
    let mut machine = changed(script.history());
    let (reason, detail) = machine.fault().expect("caught").clone();
    assert_eq!(reason.code(), "nondeterminism");
    assert!(detail.contains("at command 0"), "{detail}");
    assert!(matches!(machine.take(Timestamp(9))[..], [Event::Stuck { .. }]));
}

#[test]
fn what_a_changed_body_owes_is_undone_from_data() {
    let script = Script::<Line>::start(&()).complete::<A>(&1);
    let mut machine = changed(script.history());
    machine.take(Timestamp(9));
    machine.deliver(Event::CancelRequested { reason: None }, Timestamp(10));
    let asked = machine.take(Timestamp(10));
    assert_eq!(asked.len(), 1, "`b` is in flight and waited for: {asked:?}");
    machine.deliver(Event::Refused { seq: Seq(1), error: payload() }, Timestamp(11));
    machine.take(Timestamp(11));
    assert_eq!(machine.ledger().undo_plan()[0].activity, "undo_a");
}

fn payload() -> hansom_core::Payload {
    hansom_core::Payload::of(&()).unwrap()
}

#[test]
fn a_workflow_whose_code_is_gone_can_still_be_unwound() {
    let script = Script::<Line>::start(&()).complete::<A>(&1).refuse::<B>(No);
    let machine = Machine::replay(None, 7, script.history().iter().cloned());
    assert_eq!(machine.fault(), None, "once it unwinds, the body is not needed");
    assert_eq!(machine.ledger().undo_plan()[0].activity, "undo_a");
}
