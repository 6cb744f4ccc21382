//! Bodies: what they are told, when, and what becomes of one that panics.

use hansom_core::{Attempt, Command, Event, Payload, StuckReason};
use tokio::sync::oneshot::channel;
use uuid::Uuid;

use super::super::super::NewStart;
use super::super::saga::{self, Step};
use super::super::worker::Worker;
use super::stage::{RUN, SECOND, Stage};
use crate::address::Address;

fn ping(n: u64) -> Event {
    let payload = Payload::of(&n).unwrap();
    Event::Signalled { name: "ping".to_owned(), id: n.to_string(), payload }
}

#[test]
fn what_comes_with_a_start_is_told_before_a_short_body_ends() {
    let mut stage = Stage::new(&[Step::Pivot]);
    let mut worker = stage.owner();
    let run = Uuid::from_u128(8);
    let address = Address { run, workflow_id: "short".into(), ..(*stage.address).clone() };
    let input = Payload::of(&[Step::Fail]).unwrap();
    let (reply, _answer) = channel();
    let (workflow_type, events) = ("saga".to_owned(), vec![Event::started(input), ping(1)]);
    let start = NewStart { address, workflow_type, events, labels: None, reply, permit: None };
    worker.owner.start(start, stage.now());
    stage.commit(&mut worker);
    let events: Vec<_> = stage.database.events(run).collect();
    assert!(matches!(events[..2], [Event::Started { .. }, Event::Signalled { .. }]), "{events:?}");
    assert_eq!(events.len(), 4, "{events:?}");
}

#[test]
fn a_timer_never_rings_before_its_time_in_history_however_long_a_commit_takes() {
    let mut stage = Stage::new(&[Step::Sleep(1_000), Step::Pivot]);
    let mut worker = stage.owner();
    // Something is written down, and waits to be committed.
    let (key, payload) = ("signal:1".to_owned(), Some("1".to_owned()));
    stage.database.send(&stage.address, key, Some("ping".to_owned()), payload);
    worker.poll(&stage.database);
    worker.arrive(0, stage.now());
    stage.wait(SECOND);
    worker.owner.ring(stage.now());
    stage.commit(&mut worker);
    let fired = |event: &Event| matches!(event, Event::Fired { .. });
    let rows = stage.database.history(RUN).iter();
    let (at, _) = rows.clone().find(|(_, events)| events.iter().any(fired)).unwrap();
    assert_eq!(*at, stage.now());
    assert!(rows.rev().nth(1).unwrap().0 < *at);
}

/// The body panics, begins anew when it is time, and panics again: so many times in all.
fn stumble(stage: &mut Stage, worker: &mut Worker, times: u32) {
    saga::be_clumsy(true);
    for _ in 0..times - 1 {
        stage.wait(40 * SECOND);
        worker.owner.ring(stage.now());
        stage.look(worker);
    }
    saga::be_clumsy(false);
}

#[test]
fn a_body_that_panics_beside_an_attempt_begins_anew_when_that_is_over_and_nobody_looks_before() {
    let mut stage = Stage::new(&[Step::Race(1_000), Step::Stumble, Step::Pivot]);
    let mut worker = stage.owner();
    saga::be_clumsy(true);
    stage.wait(SECOND);
    worker.owner.ring(stage.now());
    stage.commit(&mut worker);
    saga::be_clumsy(false);
    let pivots =
        |stage: &Stage| stage.happened(|event| matches!(event, Event::Asked(Command::Pivot {})));
    for _ in 0..3 {
        stage.wait(40 * SECOND);
        worker.owner.ring(stage.now());
        assert_eq!(worker.owner.next_alarm(), None, "the attempt is under way");
        stage.look(&mut worker);
    }
    assert_eq!(pivots(&stage), 0);
    worker.answer(0, Attempt::Done(Payload::of(&()).unwrap()), false, stage.now());
    assert!(worker.owner.next_alarm().is_some_and(|due| due <= stage.now()), "it has waited");
    worker.owner.ring(stage.now());
    stage.commit(&mut worker);
    stage.wait(SECOND);
    worker.owner.ring(stage.now());
    stage.look(&mut worker);
    assert_eq!(pivots(&stage), 1);
}

fn stuck(stage: &Stage) -> usize {
    let panic = |event: &Event| matches!(event, Event::Stuck { reason: StuckReason::Panic, .. });
    stage.happened(panic)
}

#[test]
fn panics_at_different_places_do_not_add_up() {
    let mut stage = Stage::new(&[Step::Stumble, Step::Sleep(200_000), Step::Stumble]);
    saga::be_clumsy(true);
    let mut worker = stage.owner();
    stumble(&mut stage, &mut worker, 4);
    stage.wait(40 * SECOND);
    worker.owner.ring(stage.now());
    stage.look(&mut worker);
    assert_eq!(stage.happened(|event| matches!(event, Event::Asked(_))), 1, "it is past the first");
    stage.wait(200 * SECOND);
    saga::be_clumsy(true);
    worker.owner.ring(stage.now());
    stage.look(&mut worker);
    stumble(&mut stage, &mut worker, 4);
    assert_eq!(stuck(&stage), 0, "the second has tries of its own");
}

#[test]
fn a_body_that_an_operator_lets_go_on_begins_at_once_and_with_all_its_tries() {
    let mut stage = Stage::new(&[Step::Stumble, Step::Pivot]);
    saga::be_clumsy(true);
    let mut worker = stage.owner();
    stumble(&mut stage, &mut worker, 6);
    assert_eq!(stuck(&stage), 1);
    for n in 1..=20 {
        stage.database.send(&stage.address, format!("retry:{n}"), None, None);
        saga::be_clumsy(true);
        stage.look(&mut worker);
        stage.wait(SECOND);
        worker.owner.ring(stage.now());
        stage.look(&mut worker);
        assert_eq!(stuck(&stage), n, "one panic is none");
        stumble(&mut stage, &mut worker, 5);
        assert_eq!(stuck(&stage), n + 1);
    }
}
