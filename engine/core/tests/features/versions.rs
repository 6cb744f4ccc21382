//! Changes under open runs, limits, and what is the same in every replay.

use hansom_core::{
    ActivityOptions, Command, Event, Machine, Payload, Seq, Status, StillOpen, StuckReason,
    WorkflowType,
};

use super::kin::{Add, Sum};
use super::*;

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

#[test]
fn a_run_that_was_told_more_than_its_start_before_its_body_began_has_the_change() {
    // As one that is begun together with a signal, and so by two events.
    let (name, id, payload) = ("go".to_owned(), "1".to_owned(), Payload::of(&()).unwrap());
    let told = Event::Signalled { name, id, payload };
    let events = vec![Event::started(Payload::of(&()).unwrap()), told];
    let (kind, now) = (Some(WorkflowType::of::<Version<1>>()), hansom_core::Timestamp(1));
    let mut machine = Machine::replay(kind, 7, [(now, events)]);
    assert!(matches!(&machine.take(now)[..], [Event::Asked(Command::Patched { .. }), ..]));
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

/// Goes on in another run at once.
struct Onward;
impl Workflow for Onward {
    const NAME: &'static str = "onward";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = ();
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, (): ()) -> Result<(), StillOpen> {
        Err(ctx.continue_as_new::<Self>(&()).await)
    }
}

#[test]
fn a_stuck_run_can_be_cancelled_when_the_code_put_right_would_go_on_in_another_run() {
    let now = hansom_core::Timestamp(9);
    let mut unknown = Machine::new(None, 7);
    let started = Event::started(Payload::parse("null".to_owned()).unwrap());
    unknown.deliver(started.clone(), now);
    let mut row = vec![started];
    row.extend(unknown.take(now));
    assert!(matches!(row[1..], [Event::Stuck { reason: StuckReason::UnknownType, .. }]));
    let kind = Some(WorkflowType::of::<Onward>());
    let mut put_right = Machine::replay(kind, 7, [(now, row)]);
    put_right.deliver(Event::CancelRequested { reason: None }, now);
    let taken = put_right.take(now);
    let [Event::Asked(Command::Unwind { .. }), Event::Asked(Command::Close {})] = &taken[..] else {
        panic!("{taken:?}")
    };
}

#[test]
fn a_run_goes_on_in_another_with_so_much_that_nobody_has_read_and_no_more() {
    let now = hansom_core::Timestamp(9);
    let page = Payload::parse(format!("\"{}\"", "x".repeat(Payload::MAX - 2))).unwrap();
    let taken_with = |unread: usize| {
        let mut run = Machine::new(Some(WorkflowType::of::<Onward>()), 7);
        run.deliver(Event::started(Payload::parse("null".to_owned()).unwrap()), now);
        for id in 0..unread {
            let (name, payload) = ("page".to_owned(), page.clone());
            run.deliver(Event::Signalled { name, id: id.to_string(), payload }, now);
        }
        let taken = run.take(now);
        (run.left_over().len(), taken)
    };
    let (left, taken) = taken_with(32);
    assert!(matches!(taken[..], [Event::Asked(Command::ContinueAsNew { .. })]) && left == 32);
    let (_, taken) = taken_with(33);
    let [Event::Stuck { reason: StuckReason::Limit, detail, .. }] = &taken[..] else {
        panic!("{} events", taken.len())
    };
    assert!(detail.contains("69206016 bytes of messages are unread"), "{detail}");
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
        **options.as_ref().unwrap(),
        ActivityOptions { on_unknown: OnUnknown::Park, ..Charge::options() }
    );
    assert_eq!(probe.as_ref().unwrap().activity, "look");
}
