//! Updates, runs that follow one another, and children.

use hansom_core::{
    Because, Call, ChildError, ChildOutcome, Elapsed, Event, Machine, Origin, Owed, ParentClose,
    Payload, Seq, Signal, SignalType, Status, StillOpen, Timestamp, Update, UpdateType,
    WorkflowType,
};

use super::*;

#[derive(Serialize, Deserialize)]
pub(super) struct Add(pub(super) u64);
impl Update for Add {
    const NAME: &'static str = "add";
    type Output = u64;
    type Error = TooMuch;
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("too much")]
pub(super) struct TooMuch;

#[derive(Serialize, Deserialize)]
struct Stop;
impl Signal for Stop {
    const NAME: &'static str = "stop";
}

/// Adds up what it is sent, a few rounds a run.
pub(super) struct Sum;
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
    let continued =
        Box::new(hansom_core::Continued { run: "one".to_owned(), owed, heard: Vec::new() });
    let started = Event::Started {
        input: Payload::of(&true).unwrap(),
        code: None,
        deadline: None,
        parent: None,
        continued: Some(continued),
    };
    let mut second = Machine::new(Some(WorkflowType::of::<Relay>()), 7);
    second.deliver(started, Timestamp(1));
    second.take(Timestamp(1));
    let undo = second.ledger().running().values().next().unwrap();
    assert_eq!((undo.call.activity.as_str(), &undo.origin), ("unbook", &origin()));
}

/// Goes on in a new run with one hand, and asks for something with the other.
struct TwoHands;
impl Workflow for TwoHands {
    const NAME: &'static str = "two_hands";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    type Input = ();
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, (): ()) -> Result<(), StillOpen> {
        let goes_on = ctx.continue_as_new::<Self>(&());
        let (refused, _) = ctx.join(goes_on, ctx.run(Book).undo(Unbook)).await;
        Err(refused)
    }
}

#[test]
fn nothing_is_asked_for_after_a_run_went_on_in_another() {
    assert_eq!(Script::<TwoHands>::start(&()).story(), ["continued"]);
}

/// Goes on as somebody else.
struct Turncoat;
impl Workflow for Turncoat {
    const NAME: &'static str = "turncoat";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = ();
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, (): ()) -> Result<(), StillOpen> {
        Err(ctx.continue_as_new::<Sum>(&(0, false)).await)
    }
}

/// It asks for a booking, does not wait for it, and goes on in another run when it is told to.
struct Hasty;
impl Workflow for Hasty {
    const NAME: &'static str = "hasty";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Stop>()];
    type Input = ();
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, (): ()) -> Result<(), StillOpen> {
        ctx.select(ctx.run(Book).undo(Unbook), std::future::ready(())).await;
        ctx.signals::<Stop>().next().await;
        Err(ctx.continue_with_undos::<Self>(&()).await)
    }
}

#[test]
fn a_run_does_not_go_on_past_a_step_that_it_asked_for_before_it_was_told_more() {
    let (name, id) = (Stop::NAME.to_owned(), "1".to_owned());
    let told = Event::Signalled { name, id, payload: Payload::of(&Stop).unwrap() };
    let told = vec![Event::started(Payload::of(&()).unwrap()), told];
    let kind = Some(WorkflowType::of::<Hasty>());
    let mut machine = Machine::replay(kind, 7, [(Timestamp::default(), told)]);
    machine.take(Timestamp::default());
    let error = machine.ledger().outcome().expect("it gave up").error.unwrap();
    let still: StillOpen = error.decode().unwrap();
    assert_eq!(still, StillOpen { owed: 0, unanswered: 1 });
}

#[test]
fn a_run_does_not_go_on_as_another_type() {
    let script = Script::<Turncoat>::start(&());
    assert_eq!((script.ledger().status(), script.ledger().next_input()), (Status::Stuck, None));
    let (reason, detail) = script.ledger().stuck().unwrap();
    assert_eq!(reason.code(), "payload");
    assert_eq!(detail, "turncoat cannot go on as sum");
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

/// Past its pivot it still has others do something, and waits for one of two, for an hour.
struct Afterwards;
impl Workflow for Afterwards {
    const NAME: &'static str = "afterwards";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Stop>()];
    type Input = ();
    type Output = String;
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Result<String, Self::Error> {
        ctx.run(Book).undo(Unbook).await?;
        let committed = ctx.pivot();
        let (child, stops) = (committed.child::<Probed>("child", &()), committed.signals::<Stop>());
        let first = committed.select(child, stops.next());
        let said = match committed.timeout(HOUR, first).await {
            Ok(Either::Left(Ok(_))) => "done",
            Ok(Either::Left(Err(_))) => "failed",
            Ok(Either::Right(Stop)) => "stopped",
            Err(Elapsed) => "late",
        };
        Ok(said.to_owned())
    }
}

#[test]
fn past_the_pivot_a_child_may_fail_and_nothing_is_undone_on_its_account() {
    let pivoted = || Script::<Afterwards>::start(&()).complete::<Book>(&());
    let failed = ChildOutcome::Failed { error: Payload::parse(UNKNOWN.to_owned()).unwrap() };
    for (script, said) in [
        (pivoted().complete_child::<Probed>("child", &7, vec![owed(0, "unbook")]), "done"),
        (pivoted().close_child("child", failed), "failed"),
        (pivoted().close_child("child", ChildOutcome::Taken {}), "failed"),
        (pivoted().signal(&Stop), "stopped"),
        (pivoted().advance(HOUR), "late"),
    ] {
        let outcome = script.ledger().outcome().unwrap();
        assert_eq!(outcome.output.unwrap().get(), format!("{said:?}"));
        assert!(script.ledger().undo_plan().is_empty());
    }
}
