//! What follows where nobody knows, and where time runs out.

use hansom_core::{Because, Status, UndoStatus, Update, UpdateType};

use super::*;

#[test]
fn a_probe_that_finds_it_done_answers_for_the_step() {
    let script = booked().exhaust::<Charge>().find_done::<Look>(&7_u64);
    assert_eq!(script.story(), ["book", "charge", "verify: look", "completed"]);
    assert_eq!(script.ledger().outcome().unwrap().output.unwrap().get(), "7");
}

#[test]
fn a_probe_that_finds_nothing_leaves_nothing_to_undo() {
    let script = booked().exhaust::<Charge>().find_not_done::<Look>().complete::<Unbook>(&());
    let story = ["book", "charge", "verify: look", "unwind", "undo: unbook", "failed"];
    assert_eq!(script.story(), story, "what is known not to have happened is not undone");
}

#[test]
fn a_probe_that_cannot_tell_leaves_the_outcome_unknown_and_the_undo_owed() {
    let script = booked().exhaust::<Charge>().lose::<Look>();
    let plan = script.ledger().undo_plan();
    assert_eq!((plan[0].activity.as_str(), plan[0].because), ("refund", Because::Unknown));
}

#[test]
fn attempts_of_a_probe_and_of_its_action_are_never_confused() {
    let script = booked().exhaust::<Charge>();
    let running = script.ledger().running().values().next().unwrap();
    assert_eq!((running.attempt, running.counted()), (2, 1));
}

#[test]
fn a_parked_step_is_stuck_until_it_is_retried_or_cancelled() {
    let parked = || booked().park::<Charge>();
    assert_eq!(parked().ledger().status(), Status::Stuck);
    let retried = parked().retry().complete::<Charge>(&7);
    assert_eq!(
        retried.story(),
        ["book", "charge", "stuck: outcome_unknown", "retried", "completed"]
    );
    let cancelled = parked().cancel().complete::<Refund>(&()).complete::<Unbook>(&());
    let story = cancelled.story();
    assert_eq!(story[3..], ["unwind", "undo: refund", "undo: unbook", "cancelled"]);
}

#[test]
fn an_action_is_not_made_again_while_unwinding_whoever_lets_it_try_again() {
    let script = booked().cancel().park::<Charge>();
    assert_eq!(script.ledger().status(), Status::Stuck);
    let script = script.retry();
    let undo = |because| script.ledger().undo_plan()[0].because == because;
    assert!(undo(Because::Unknown), "it is given up: {:?}", script.ledger().undo_plan());
    let story = script.complete::<Refund>(&()).complete::<Unbook>(&()).story();
    assert_eq!(
        story[2..],
        [
            "unwind",
            "stuck: outcome_unknown",
            "retried",
            "undo: refund",
            "undo: unbook",
            "cancelled"
        ]
    );
}

#[test]
fn an_undo_that_ran_out_of_attempts_is_owed_until_it_is_retried() {
    let script = booked().cancel().lose::<Charge>().lose::<Refund>().complete::<Unbook>(&());
    assert_eq!(script.ledger().status(), Status::Stuck, "the other undo ran, this one is owed");
    assert_eq!(script.ledger().undo_status(), UndoStatus::Partial);
    let script = script.retry();
    assert_eq!(script.ledger().status(), Status::Compensating);
    let script = script.complete::<Refund>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
    assert_eq!(script.ledger().undo_status(), UndoStatus::Done);
}

#[test]
fn a_deadline_cancels_and_undoes() {
    let script = Script::<Probed>::start_with_deadline(&(), HOUR).complete::<Book>(&());
    let script = script.advance(2 * HOUR).complete::<Charge>(&7);
    let script = script.complete::<Refund>(&()).complete::<Unbook>(&());
    let story = ["book", "charge", "unwind", "undo: refund", "undo: unbook", "cancelled"];
    assert_eq!(script.story(), story);
}

#[test]
fn a_deadline_comes_too_late_for_a_saga_past_its_pivot() {
    struct Pivots;
    impl Workflow for Pivots {
        const NAME: &'static str = "pivots";
        const ACTIVITIES: &'static [&'static str] = &["book"];
        type Input = ();
        type Output = ();
        type Error = Never;
        async fn run(ctx: Ctx, (): ()) -> Result<(), Never> {
            ctx.pivot().run(Book).await;
            Ok(())
        }
    }
    let script = Script::<Pivots>::start_with_deadline(&(), HOUR);
    assert!(script.ledger().alarms().is_empty(), "it is not waited for any more");
    assert_eq!(script.advance(2 * HOUR).complete::<Book>(&()).story().last().unwrap(), "completed");
}

/// Books, and thinks better of it while it waits for something else.
struct Fickle;
impl Workflow for Fickle {
    const NAME: &'static str = "fickle";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook", "charge", "refund", "look"];
    type Input = ();
    type Output = u64;
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Outcome {
        ctx.run(Book).undo(Unbook).await?;
        let better = async {
            ctx.sleep(HOUR).await;
            ctx.cancel().await
        };
        match ctx.select(ctx.run(Charge).undo(Refund), better).await {
            Either::Left(charged) => charged,
            Either::Right(never) => never,
        }
    }
}

#[test]
fn a_body_that_ends_itself_as_cancelled_is_undone_and_asks_for_nothing_more() {
    let waiting = Script::<Fickle>::start(&()).complete::<Book>(&());
    let cancelled = waiting.advance(HOUR).complete::<Charge>(&7);
    let cancelled = cancelled.complete::<Refund>(&()).complete::<Unbook>(&());
    let story = ["book", "charge", "timer 3600s", "unwind", "undo: refund", "undo: unbook"];
    assert_eq!(cancelled.story()[..6], story);
    assert_eq!(cancelled.ledger().status(), Status::Cancelled);
    assert!(cancelled.ledger().outcome().is_some_and(|outcome| outcome.error.is_none()));
    // What came first was first.
    let charged = Script::<Fickle>::start(&()).complete::<Book>(&()).complete::<Charge>(&7);
    assert_eq!(charged.advance(HOUR).ledger().status(), Status::Completed);
}

#[derive(Serialize, Deserialize)]
struct NeverMind;
impl Update for NeverMind {
    const NAME: &'static str = "never_mind";
    type Output = ();
    type Error = Never;
}

#[derive(Serialize, Deserialize)]
struct Go;
impl Update for Go {
    const NAME: &'static str = "go";
    type Output = ();
    type Error = Never;
}

/// Books, and hears in one moment that it is not wanted and that it may go; as its input says,
/// with a point of no return behind that.
struct Torn;
impl Workflow for Torn {
    const NAME: &'static str = "torn";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<NeverMind>(), UpdateType::of::<Go>()];
    type Input = bool;
    type Output = ();
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, pivots: bool) -> Result<(), Self::Error> {
        ctx.run(Book).undo(Unbook).await?;
        let (cancels, goes) = (ctx.updates::<NeverMind>(), ctx.updates::<Go>());
        let better = async {
            cancels.next().await.answer(&());
            ctx.cancel().await;
        };
        let Either::Right(go) = ctx.select(better, goes.next()).await;
        go.answer(&());
        if pivots {
            ctx.pivot().run(Book).await;
        }
        Ok(())
    }
}

fn torn(pivots: bool) -> Vec<String> {
    let script = Script::<Torn>::start(&pivots).update("1", &NeverMind).update("2", &Go);
    let script = script.complete::<Book>(&()).complete::<Unbook>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
    script.story()
}

#[test]
fn a_body_that_cancels_itself_passes_no_pivot_in_the_same_moment() {
    assert_eq!(torn(true), ["book", "answer", "unwind", "undo: unbook", "cancelled"]);
}

#[test]
fn a_body_that_cancels_itself_is_cancelled_also_if_it_returns_in_the_same_moment() {
    assert_eq!(torn(false), ["book", "answer", "unwind", "undo: unbook", "cancelled"]);
}

#[test]
fn a_termination_undoes_nothing_and_lists_what_stays_owed() {
    let script = booked().terminate();
    assert_eq!(script.ledger().status(), Status::Terminated);
    let owed: Vec<_> = script.ledger().undo_plan().into_iter().map(|undo| undo.activity).collect();
    assert_eq!(owed, ["refund", "unbook"], "what was in flight as well");
    assert_eq!(script.ledger().undo_status(), UndoStatus::Owed);
}

/// Asks for a room, and gives up before anybody could hear of it.
struct Hasty;
impl Workflow for Hasty {
    const NAME: &'static str = "hasty";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook", "charge", "refund", "look"];
    type Input = ();
    type Output = ();
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        let reason = "too long".to_owned();
        let impatient = async { Err::<(), _>(ActivityError::Unknown { attempts: 0, reason }) };
        ctx.run(Charge).undo(Refund).await?;
        match ctx.select(ctx.run(Book).undo(Unbook), impatient).await {
            Either::Left(booked) => booked,
            Either::Right(over) => over,
        }
    }
}

#[test]
fn what_a_body_asks_for_and_gives_up_at_once_is_neither_done_nor_undone() {
    let script = Script::<Hasty>::start(&()).complete::<Charge>(&7);
    let waiting: Vec<_> = script.ledger().running().values().map(|r| &*r.call.activity).collect();
    assert_eq!(waiting, ["refund"], "nobody is asked to book");
    let script = script.complete::<Refund>(&());
    assert_eq!(script.story(), ["charge", "book", "unwind", "undo: refund", "failed"]);
    let kind = Some(hansom_core::WorkflowType::of::<Hasty>());
    let history = script.history().to_vec();
    for rows in 1..=history.len() {
        let mut machine = hansom_core::Machine::replay(kind, 1, history[..rows].iter().cloned());
        assert_eq!(machine.fault(), None);
        assert_eq!(machine.take(hansom_core::Timestamp(0)), [], "after row {rows}");
    }
}
