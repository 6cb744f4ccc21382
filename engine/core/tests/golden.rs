//! Histories that are kept hold the bodies that come after.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use hansom_core::testing::{Golden, Script};
use hansom_core::{Activity, ActivityError, Ctx, Never, Status, Update, UpdateType, Workflow};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;

macro_rules! activity {
    ($name:ident { $($field:ident: $type:ty),* }, $wire:literal, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name { $($field: $type),* }
        impl Activity for $name {
            const NAME: &'static str = $wire;
            type Output = u32;
            type Error = $error;
        }
    };
}

activity!(Charge { fare: u32 }, "charge", No);
activity!(Refund {}, "refund", Never);
activity!(Drive {}, "drive", Never);
activity!(Park {}, "park", Never);

macro_rules! trip {
    ($name:ident, |$ctx:ident, $fare:ident| $body:block) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "trip";
            const ACTIVITIES: &'static [&'static str] =
                &[Charge::NAME, Refund::NAME, Drive::NAME, Park::NAME];
            type Input = u32;
            type Output = u32;
            type Error = ActivityError<No>;
            async fn run($ctx: Ctx, $fare: u32) -> Result<u32, ActivityError<No>> $body
        }
    };
}

trip!(Trip, |ctx, fare| {
    let paid = ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.sleep(Duration::from_mins(1)).await;
    Ok(paid + ctx.pivot().run(Drive {}).await)
});

// The same, told in other words.
trip!(Rewritten, |ctx, fare| {
    let charge = ctx.run(Charge { fare }).undo(Refund {});
    let paid = charge.await?;
    let nap = ctx.sleep(Duration::from_secs(30) * 2);
    nap.await;
    let committed = ctx.pivot();
    committed.run(Drive {}).await;
    Ok(paid + 7)
});

trip!(Dearer, |ctx, fare| {
    let paid = ctx.run(Charge { fare: fare + 1 }).undo(Refund {}).await?;
    ctx.sleep(Duration::from_mins(1)).await;
    Ok(paid + ctx.pivot().run(Drive {}).await)
});

trip!(Impatient, |ctx, fare| {
    let paid = ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.sleep(Duration::from_secs(59)).await;
    Ok(paid + ctx.pivot().run(Drive {}).await)
});

trip!(Tidy, |ctx, fare| {
    let paid = ctx.run(Charge { fare }).undo(Refund {}).await?;
    ctx.sleep(Duration::from_mins(1)).await;
    let committed = ctx.pivot();
    Ok(paid + committed.run(Drive {}).await + committed.run(Park {}).await)
});

// Where nobody drives before the charge is answered, nor after it was refused.
trip!(Stubborn, |ctx, fare| {
    if ctx.run(Charge { fare }).undo(Refund {}).await.is_err() {
        return Ok(0);
    }
    ctx.sleep(Duration::from_mins(1)).await;
    Ok(ctx.pivot().run(Drive {}).await)
});

fn whole() -> Script<Trip> {
    let script = Script::<Trip>::start(&5).complete::<Charge>(&5);
    script.advance(Duration::from_secs(90)).complete::<Drive>(&7)
}

/// What history says of `W` that was told of [`Trip`].
fn replay<W: Workflow>(script: &Script<Trip>) -> Status {
    Golden::<W>::parse(&Golden::of(script).to_string()).replay().ledger().status()
}

#[test]
fn what_is_written_is_read_again_and_replays() {
    let written = Golden::of(&whole()).to_string();
    let read = Golden::<Trip>::parse(&written);
    assert_eq!(read.to_string(), written);
    assert_eq!(read.story(), whole().story());
    assert_eq!(read.replay().ledger().status(), Status::Completed);
    let first =
        "  \"history\": [\n    {\"at\": 0, \"events\": [\n      {\"started\":{\"input\":5}},\n";
    assert!(written.contains(first), "{written}");
    assert!(written.contains("{\"at\": 60000000, \"events\": [\n      {\"fired\":{\"seq\":1}},"));
}

#[test]
fn a_body_that_only_reads_differently_agrees() {
    assert_eq!(replay::<Rewritten>(&whole()), Status::Completed);
}

#[test]
#[should_panic(expected = r#"`trip` does not agree with event 1: nondeterminism"#)]
fn another_request_does_not_agree() {
    replay::<Dearer>(&whole());
}

#[test]
#[should_panic(expected = "does not agree with event 3: nondeterminism")]
fn another_time_does_not_agree() {
    replay::<Impatient>(&whole());
}

#[test]
#[should_panic(expected = "does not agree with event 8: nondeterminism")]
fn one_step_more_does_not_agree_with_a_run_that_is_over() {
    replay::<Tidy>(&whole());
}

#[test]
fn one_step_more_agrees_with_a_run_that_has_not_come_there() {
    let script = Script::<Trip>::start(&5).complete::<Charge>(&5);
    assert_eq!(replay::<Tidy>(&script), Status::Running);
}

#[test]
fn a_run_that_unwinds_needs_its_body_no_more() {
    let script = Script::<Trip>::start(&5).refuse::<Charge>(No);
    assert_eq!(replay::<Stubborn>(&script), Status::Failed);
}

#[test]
#[should_panic(expected = "does not agree with event 3")]
fn but_where_it_came_from_before_it_unwound_it_did() {
    let script = Script::<Trip>::start(&5).complete::<Charge>(&5).cancel();
    replay::<Impatient>(&script);
}

#[test]
#[should_panic(expected = "the history of another workflow")]
fn the_history_of_another_workflow_is_not_taken_for_this_one() {
    let other = Golden::of(&whole()).to_string().replace("\"trip\"", "\"ride\"");
    let _ = Golden::<Trip>::parse(&other);
}

#[derive(Serialize, Deserialize)]
struct Tip(u32);
impl Update for Tip {
    const NAME: &'static str = "tip";
    type Output = u32;
    type Error = No;
}

/// Takes tips until two hours have passed, and asks its child for the rest.
struct Collect;
impl Workflow for Collect {
    const NAME: &'static str = "collect";
    const ACTIVITIES: &'static [&'static str] = &[];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Tip>()];
    type Input = ();
    type Output = u64;
    type Error = ActivityError<No>;
    async fn run(ctx: Ctx, (): ()) -> Result<u64, ActivityError<No>> {
        let lucky = ctx.random();
        let ends = ctx.now().after(2 * HOUR);
        while ctx.now() < ends {
            let tips = ctx.updates::<Tip>();
            let Ok(tip) = ctx.timeout(ends.since(ctx.now()), tips.next()).await else { break };
            let amount = tip.update.0;
            if amount == 0 { tip.refuse(&No) } else { tip.answer(&amount) }
        }
        Ok(lucky)
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn updates_are_answered_and_a_deadline_passes_on_the_clock_of_the_script() {
    let script = Script::<Collect>::start(&()).update("a", &Tip(3)).update("b", &Tip(0));
    assert_eq!(script.answer::<Tip>("a").unwrap().unwrap(), 3);
    assert!(script.answer::<Tip>("b").unwrap().is_err());
    let over = script.advance(2 * HOUR);
    assert_eq!(over.ledger().status(), Status::Completed);
    // What was drawn by chance is drawn again.
    assert_eq!(Golden::of(&over).replay().ledger().status(), Status::Completed);

    let cut = Script::<Collect>::start_with_deadline(&(), HOUR).advance(Duration::from_mins(59));
    assert_eq!(cut.ledger().status(), Status::Running);
    let cut = cut.advance(Duration::from_mins(1));
    assert_eq!(cut.ledger().status(), Status::Cancelled);
    assert_eq!(cut.story().last().unwrap(), "cancelled");
}

#[test]
fn time_passes_and_every_timer_fires_when_it_is_due() {
    let (asleep, awake) = (Duration::from_secs(59), Duration::from_secs(1));
    let script = Script::<Trip>::start(&5).complete::<Charge>(&5).advance(asleep);
    assert!(!script.ledger().pivoted());
    let script = script.advance(awake);
    assert!(script.ledger().pivoted());
    assert_eq!(script.history().last().unwrap().0.0, 60_000_000);
}
