//! What a saga can meet beyond success and refusal, one story each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use hansom_core::testing::Script;
use hansom_core::{
    Activity, ActivityError, ActivityOptions, Because, Call, ChildError, ChildOutcome, Command,
    Ctx, Event, Machine, Never, OnUnknown, Origin, Owed, ParentClose, Payload, Probe, Seq, Signal,
    SignalType, Status, StillOpen, StuckReason, UndoStatus, Update, UpdateType, Verdict, Workflow,
    WorkflowType,
};
use serde::{Deserialize, Serialize};

macro_rules! activity {
    ($name:ident, $text:literal, $output:ty, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name;
        impl Activity for $name {
            const NAME: &'static str = $text;
            type Output = $output;
            type Error = $error;
        }
    };
}

activity!(Refund, "refund", (), Never);
activity!(Book, "book", (), Never);
activity!(Unbook, "unbook", (), Never);
activity!(Look, "look", Verdict<u64>, Never);

#[derive(Serialize, Deserialize)]
struct Charge;
impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Output = u64;
    type Error = Never;
    fn probe(&self) -> Option<Probe<Self>> {
        Some(Probe::ask(&Look))
    }
}

type Outcome = Result<u64, ActivityError<Never>>;
const HOUR: Duration = Duration::from_secs(3_600);

/// Books, charges, and is done.
struct Probed;
impl Workflow for Probed {
    const NAME: &'static str = "probed";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook", "charge", "refund", "look"];
    type Input = ();
    type Output = u64;
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Outcome {
        ctx.run(Book).undo(Unbook).await?;
        ctx.run(Charge).undo(Refund).on_unknown(OnUnknown::Park).await
    }
}

fn booked() -> Script<Probed> {
    Script::<Probed>::start(&()).complete::<Book>(&())
}

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

#[test]
fn a_termination_undoes_nothing_and_lists_what_stays_owed() {
    let script = booked().terminate();
    assert_eq!(script.ledger().status(), Status::Terminated);
    let owed: Vec<_> = script.ledger().undo_plan().into_iter().map(|undo| undo.activity).collect();
    assert_eq!(owed, ["refund", "unbook"], "what was in flight as well");
    assert_eq!(script.ledger().undo_status(), UndoStatus::Owed);
}

#[derive(Serialize, Deserialize)]
struct Add(u64);
impl Update for Add {
    const NAME: &'static str = "add";
    type Output = u64;
    type Error = TooMuch;
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("too much")]
struct TooMuch;

#[derive(Serialize, Deserialize)]
struct Stop;
impl Signal for Stop {
    const NAME: &'static str = "stop";
}

/// Adds up what it is sent, a few rounds a run.
struct Sum;
impl Workflow for Sum {
    const NAME: &'static str = "sum";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Stop>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Add>()];
    type Input = (u64, bool);
    type Output = u64;
    type Error = StillOpen;
    async fn run(ctx: Ctx, (mut sum, owes): (u64, bool)) -> Result<u64, StillOpen> {
        if owes {
            ctx.run(Book).undo(Unbook).await.unwrap();
        }
        let updates = ctx.updates::<Add>();
        for _ in 0..3 {
            let asked = updates.next().await;
            if asked.update.0 > 100 {
                asked.refuse(&TooMuch);
            } else {
                sum += asked.update.0;
                ctx.publish(&sum);
                asked.answer(&sum);
            }
        }
        match sum {
            50.. => Ok(sum),
            _ => Err(ctx.continue_as_new::<Self>(&(sum, false)).await),
        }
    }
}

#[test]
fn an_update_hears_the_bodys_answer_or_its_refusal() {
    let script = Script::<Sum>::start(&(40, false)).update("a", &Add(2)).update("b", &Add(101));
    assert_eq!(script.answer::<Add>("a"), Some(Ok(42)));
    assert_eq!(script.answer::<Add>("b"), Some(Err(TooMuch)));
    assert_eq!(script.answer::<Add>("c"), None);
    assert_eq!(script.ledger().published().unwrap().get(), "42");
    assert!(script.ledger().has_seen_update("a") && !script.ledger().has_seen_update("c"));
}

#[test]
fn a_loop_goes_on_in_a_new_run_with_what_nobody_took() {
    let script = Script::<Sum>::start(&(0, false)).signal(&Stop);
    let script = script.update("a", &Add(1)).update("b", &Add(2)).update("c", &Add(3));
    assert_eq!(script.ledger().status(), Status::Continued);
    assert_eq!(script.ledger().next_input().unwrap().get(), "[6,false]");
    let machine = replayed::<Sum>(&script);
    let [Event::Signalled { name, id, .. }] = &machine.left_over()[..] else { panic!("lost") };
    assert_eq!((name.as_str(), id.as_str()), ("stop", "signal-1"));
}

#[test]
fn a_run_that_owes_undos_does_not_go_on_in_another() {
    let script = Script::<Sum>::start(&(0, true)).complete::<Book>(&());
    let script = script.update("a", &Add(1)).update("b", &Add(2)).update("c", &Add(3));
    let refused = r#"{"owed":1,"unanswered":0}"#;
    let Some(hansom_core::Cause::Failed { error }) = script.ledger().cause() else { panic!() };
    assert_eq!(error.get(), refused, "the body hears of it, and here it fails of it");
    assert_eq!(script.complete::<Unbook>(&()).story().last().unwrap(), "failed");
}

fn replayed<W: Workflow>(script: &Script<W>) -> Machine {
    Machine::replay(Some(WorkflowType::of::<W>()), 7, script.history().iter().cloned())
}

/// Goes on with its undos, and fails in the second run.
struct Relay;
impl Workflow for Relay {
    const NAME: &'static str = "relay";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    type Input = bool;
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, second: bool) -> Result<(), StillOpen> {
        if second {
            return Err(StillOpen::default());
        }
        ctx.run(Book).undo(Unbook).await.unwrap();
        Err(ctx.continue_with_undos::<Self>(&true).await)
    }
}

#[test]
fn undos_that_are_carried_over_run_with_the_keys_of_the_run_that_acted() {
    let first = Script::<Relay>::start(&false).complete::<Book>(&());
    assert_eq!(first.ledger().status(), Status::Continued);
    let origin = || Some(Origin { workflow_id: "w".to_owned(), run: "one".to_owned() });
    let owed = first.ledger().bequest(|owed| Owed { origin: origin(), ..owed });
    assert_eq!(owed.len(), 1);
    let continued = Box::new(hansom_core::Continued { run: "one".to_owned(), owed });
    let started = Event::Started {
        input: Payload::of(&true).unwrap(),
        code: None,
        deadline: None,
        parent: None,
        continued: Some(continued),
    };
    let mut second = Machine::new(Some(WorkflowType::of::<Relay>()), 7);
    second.deliver(started, hansom_core::Timestamp(1));
    second.take(hansom_core::Timestamp(1));
    let undo = second.ledger().running().values().next().unwrap();
    assert_eq!((undo.call.activity.as_str(), &undo.origin), ("unbook", &origin()));
}

/// A parent: books, has a child do its part, then fails.
struct Parent;
impl Workflow for Parent {
    const NAME: &'static str = "parent";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook", "refund"];
    type Input = bool;
    type Output = ();
    type Error = ChildError<ActivityError<Never>>;
    async fn run(ctx: Ctx, fails: bool) -> Result<(), Self::Error> {
        ctx.run(Book).undo(Unbook).await.unwrap();
        ctx.child::<Probed>("child", &()).await?;
        let loose = ctx.child::<Probed>("loose", &()).on_parent_close(ParentClose::Abandon).spawn();
        let kept = ctx.child::<Probed>("kept", &()).spawn();
        if fails {
            return Err(ChildError::Taken);
        }
        let (loose, kept) = ctx.join(loose, kept).await;
        loose.and(kept).map(|_| ())
    }
}

fn owed(of: u32, activity: &str) -> Owed {
    let request = Payload::of(&()).unwrap();
    let undo = Call { activity: activity.to_owned(), request };
    let origin = Some(Origin { workflow_id: "child".to_owned(), run: "c".to_owned() });
    Owed { of: Seq(of), origin, undo, because: Because::Done }
}

#[test]
fn a_parent_undoes_what_its_completed_child_did_in_its_place() {
    let done = vec![owed(0, "unbook"), owed(1, "refund")];
    let script = Script::<Parent>::start(&true).complete::<Book>(&());
    let script = script.complete_child::<Probed>("child", &7, done);
    // The loose one is left alone; the other is asked to cancel, and waited for.
    assert_eq!(script.story()[4..], ["unwind", "cancel child"]);
    let script = script.close_child("kept", ChildOutcome::Cancelled {});
    let script = script.complete::<Refund>(&()).complete::<Unbook>(&()).complete::<Unbook>(&());
    let undone = ["undo: refund", "undo: unbook", "undo: unbook", "failed"];
    assert_eq!(script.story()[6..], undone, "the child's last step first, then the parent's own");
}

#[test]
fn a_child_that_fails_or_never_began_is_an_error_of_the_parent() {
    for outcome in [
        ChildOutcome::Cancelled {},
        ChildOutcome::Terminated {},
        ChildOutcome::Taken {},
        ChildOutcome::Failed { error: Payload::parse(UNKNOWN.to_owned()).unwrap() },
    ] {
        let script = Script::<Parent>::start(&false).complete::<Book>(&());
        let script = script.close_child("child", outcome).complete::<Unbook>(&());
        assert_eq!(script.story()[2..], ["unwind", "undo: unbook", "failed"]);
    }
}

const UNKNOWN: &str = r#"{"unknown":{"attempts":1,"reason":"x"}}"#;

/// The body as it was, as it is with a change, and as it will be.
struct Version<const N: u8>;
impl<const N: u8> Workflow for Version<N> {
    const NAME: &'static str = "version";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    type Input = ();
    type Output = ();
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        let two = match N {
            0 => false,
            1 => ctx.patched("book-twice"),
            2 => {
                ctx.retire_patch("book-twice");
                true
            }
            _ => true,
        };
        if two {
            ctx.run(Book).undo(Unbook).await?;
        }
        ctx.run(Book).undo(Unbook).await?;
        ctx.sleep(HOUR).await;
        Ok(())
    }
}

#[test]
fn a_patch_divides_old_runs_from_new_ones_and_can_be_retired() {
    let old = Script::<Version<0>>::start(&()).complete::<Book>(&());
    let new = Script::<Version<1>>::start(&()).complete::<Book>(&()).complete::<Book>(&());
    assert_eq!(old.story(), ["book", "timer 3600s"]);
    assert_eq!(new.story(), ["patched: book-twice", "book", "book", "timer 3600s"]);
    let agrees = |history: &Script<_>| replay_with::<1, _>(history);
    assert!(agrees(&old), "a run from before goes on as it began");
    assert!(replay_with::<1, _>(&new) && replay_with::<2, _>(&new), "and one with it as well");
    assert!(!replay_with::<2, _>(&old), "with an old run open the patch must not be retired");
    assert!(!replay_with::<3, _>(&new), "nor forgotten with a run open that recorded it");
    let newest = Script::<Version<2>>::start(&()).complete::<Book>(&()).complete::<Book>(&());
    assert!(replay_with::<3, _>(&newest), "a run from after the retirement records nothing");
}

fn replay_with<const N: u8, W: Workflow>(script: &Script<W>) -> bool {
    let kind = Some(WorkflowType::of::<Version<N>>());
    let machine = Machine::replay(kind, 7, script.history().iter().cloned());
    machine.fault().is_none()
}

#[test]
fn a_stuck_run_whose_code_is_put_right_goes_on_when_it_is_retried() {
    let old = Script::<Version<0>>::start(&()).complete::<Book>(&());
    let mut history = old.history().to_vec();
    let kind = |wrong| {
        Some(if wrong {
            WorkflowType::of::<Version<3>>()
        } else {
            WorkflowType::of::<Version<0>>()
        })
    };
    let mut broken = Machine::replay(kind(true), 7, history.iter().cloned());
    let now = hansom_core::Timestamp(9);
    let stuck = broken.take(now);
    let [Event::Stuck { reason: StuckReason::Nondeterminism, detail, .. }] = &stuck[..] else {
        panic!("{stuck:?}")
    };
    assert!(detail.contains(r#"history has {"start_timer""#), "{detail}");
    assert!(detail.contains(r#"the code asks for {"run":{"activity":"book""#), "{detail}");
    history.push((now, stuck));
    history.push((now, vec![Event::Retried { reason: None }]));
    let mut still_broken = Machine::replay(kind(true), 7, history.iter().cloned());
    assert!(matches!(&still_broken.take(now)[..], [Event::Stuck { .. }]), "it is no better");
    let mut put_right = Machine::replay(kind(false), 7, history);
    assert!(put_right.take(now).is_empty() && put_right.fault().is_none());
    put_right.deliver(Event::Fired { seq: Seq(1) }, now);
    assert!(matches!(&put_right.take(now)[..], [Event::Asked(Command::Complete { .. })]));
}

/// Asks for as much as it is told to.
struct Greedy;
impl Workflow for Greedy {
    const NAME: &'static str = "greedy";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    type Input = usize;
    type Output = Vec<u64>;
    type Error = Never;
    async fn run(ctx: Ctx, many: usize) -> Result<Vec<u64>, Never> {
        if many == 0 {
            ctx.label("key", &"x".repeat(300));
        }
        ctx.join_all((0..many).map(|_| ctx.run(Book).undo(Unbook))).await;
        Ok((0..3).map(|_| ctx.random()).collect())
    }
}

#[test]
fn more_than_the_engine_carries_is_stuck_with_the_limit_named() {
    let most = Script::<Greedy>::start(&2_000);
    assert_eq!((most.ledger().status(), most.ledger().running().len()), (Status::Running, 2_000));
    let more = Script::<Greedy>::start(&2_001);
    let (reason, detail) = more.stuck().unwrap();
    assert_eq!(*reason, StuckReason::Limit);
    assert!(detail.contains("the limit is 2000"), "{detail}");
    assert_eq!(more.cancel().ledger().status(), Status::Compensating, "and can be cancelled");
    let (reason, detail) = Script::<Greedy>::start(&0).stuck().unwrap().clone();
    assert!(reason == StuckReason::Limit && detail.contains("255 bytes"), "{detail}");
}

#[test]
fn random_numbers_are_the_same_in_every_replay_and_others_for_another_run() {
    let script = Script::<Greedy>::start(&1).complete::<Book>(&());
    let of = |seed| {
        let kind = Some(WorkflowType::of::<Greedy>());
        let mut machine = Machine::new(kind, seed);
        for (at, events) in script.history() {
            for event in events.iter().filter(|event| !matches!(event, Event::Asked(_))) {
                machine.deliver(event.clone(), *at);
                machine.take(*at);
            }
        }
        machine.ledger().outcome().unwrap().output.unwrap().get().to_owned()
    };
    assert_eq!(of(7), script.ledger().outcome().unwrap().output.unwrap().get());
    assert_ne!(of(7), of(8));
}

#[test]
fn what_is_published_decides_nothing_and_may_change_its_shape() {
    let script = Script::<Sum>::start(&(40, false)).update("a", &Add(2));
    let mut history = script.history().to_vec();
    for (_, events) in &mut history {
        for event in events {
            if let Event::Asked(Command::Publish { state }) = event {
                *state = Payload::of(&"as another version shows it").unwrap();
            }
        }
    }
    let kind = Some(WorkflowType::of::<Sum>());
    assert_eq!(Machine::replay(kind, 7, history).fault(), None);
}

#[test]
fn the_options_of_a_step_say_what_follows_when_nobody_knows() {
    let Some((_, events)) = booked().history().last().cloned() else { panic!() };
    let Some(Event::Asked(Command::Run { options, probe, .. })) = events.last() else { panic!() };
    assert_eq!(
        options.unwrap(),
        ActivityOptions { on_unknown: OnUnknown::Park, ..Charge::options() }
    );
    assert_eq!(probe.as_ref().unwrap().activity, "look");
}
