//! A body that is left alone, because it has taken worker after worker down.

use std::sync::atomic::{AtomicU32, Ordering};

use hansom_core::{
    Command, Event, Machine, Payload, Seq, Status, StuckReason, Timestamp, WorkflowType,
};

use super::*;

/// How often its body was begun.
static BEGUN: AtomicU32 = AtomicU32::new(0);

/// Books, and waits for ever.
struct Waits;
impl Workflow for Waits {
    const NAME: &'static str = "waits";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    type Input = ();
    type Output = ();
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Result<(), Self::Error> {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        ctx.run(Book).undo(Unbook).await?;
        ctx.sleep(HOUR).await;
        Ok(())
    }
}

#[test]
fn a_body_that_is_left_alone_is_not_begun_until_somebody_lets_it_and_is_undone_without() {
    let (now, kind) = (Timestamp(9), Some(WorkflowType::of::<Waits>()));
    let json = |text: &str| Payload::parse(text.to_owned()).unwrap();
    let mut machine = Machine::new(kind, 7);
    let mut history = Vec::new();
    for event in [Event::started(json("null")), Event::Done { seq: Seq(0), output: json("null") }] {
        machine.deliver(event.clone(), now);
        history.push(event);
        history.extend(machine.take(now));
    }
    assert_eq!(BEGUN.load(Ordering::Relaxed), 1);

    let detail = "as it is".to_owned();
    let mut parked = Machine::replay_poisoned(kind, 7, [(now, history.clone())], detail);
    let stuck = parked.take(now);
    let [Event::Stuck { reason: StuckReason::Poison, seq: None, .. }] = &stuck[..] else {
        panic!("{stuck:?}")
    };
    history.extend(stuck);
    let detail = "as it was".to_owned();
    let mut parked = Machine::replay_poisoned(kind, 7, [(now, history.clone())], detail);
    assert_eq!((parked.ledger().status(), parked.take(now)), (Status::Stuck, Vec::new()));
    assert_eq!(BEGUN.load(Ordering::Relaxed), 1, "nobody has let it try again");

    parked.deliver(Event::CancelRequested { reason: None }, now);
    let taken = parked.take(now);
    assert!(matches!(taken[..], [Event::Asked(Command::Unwind { .. }), ..]), "{taken:?}");
    let undoes = parked.ledger().running().values().map(|running| &*running.call.activity);
    assert_eq!(undoes.collect::<Vec<_>>(), ["unbook"], "it is undone from what is written");

    history.push(Event::Retried { reason: None });
    let mut again = Machine::replay(kind, 7, [(now, history)]);
    assert_eq!(BEGUN.load(Ordering::Relaxed), 2);
    assert_eq!((again.ledger().status(), again.take(now)), (Status::Running, Vec::new()));
}
