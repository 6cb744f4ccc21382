//! Attempts that cannot be sent, and what is known of them.

use hansom_core::{Attempt, Event, Payload, Status, Timestamp};

use super::super::saga::{self, Step};
use super::super::worker::Worker;
use super::stage::{SECOND, Stage};

fn unavailable() -> Attempt {
    Attempt::Unavailable { reason: "breaker of acts is open".to_owned(), after: Some(20 * SECOND) }
}

fn hold_back(stage: &mut Stage, worker: &mut Worker) {
    worker.answer(0, unavailable(), false, stage.now());
    stage.commit(worker);
}

fn ring(stage: &mut Stage, worker: &mut Worker) {
    stage.wait(100 * SECOND);
    stage.look(worker);
    worker.owner.ring(stage.now());
    stage.commit(worker);
}

fn unsent(event: &Event) -> bool {
    matches!(event, Event::NotDone { attempts: 0, .. })
}

fn unknown(event: &Event) -> bool {
    matches!(event, Event::Unknown { .. })
}

#[test]
fn what_is_held_back_burns_no_attempt_however_often() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut worker = stage.owner();
    for _ in 0..50 {
        hold_back(&mut stage, &mut worker);
        assert!(worker.attempts.is_empty(), "not before its time");
        ring(&mut stage, &mut worker);
        assert_eq!(worker.attempts[0].attempt, 1);
    }
    // Eight are allowed, and so many are made.
    for attempt in 1..8 {
        worker.answer(0, Attempt::failed("down"), false, stage.now());
        stage.commit(&mut worker);
        ring(&mut stage, &mut worker);
        hold_back(&mut stage, &mut worker);
        ring(&mut stage, &mut worker);
        assert_eq!(worker.attempts[0].attempt, attempt + 1);
    }
    assert_eq!(stage.happened(unknown), 0);
    worker.answer(0, Attempt::failed("down"), false, stage.now());
    stage.commit(&mut worker);
    assert_eq!(stage.happened(unknown), 1);
}

#[test]
fn a_step_that_does_not_wait_ends_without_an_attempt_and_one_that_was_tried_is_undone() {
    let mut stage = Stage::new(&[Step::Impatient(false), Step::Fail]);
    let mut worker = stage.owner();
    hold_back(&mut stage, &mut worker);
    assert_eq!((stage.happened(unsent), worker.attempts.len()), (1, 0), "there is nothing to undo");
    let mut stage = Stage::new(&[Step::Impatient(false), Step::Fail]);
    let mut worker = stage.owner();
    worker.answer(0, Attempt::failed("down"), false, stage.now());
    stage.commit(&mut worker);
    ring(&mut stage, &mut worker);
    hold_back(&mut stage, &mut worker);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 1));
    assert_eq!(worker.attempts[0].call.activity, "unact");
}

#[test]
fn an_undo_waits_for_its_service() {
    let mut stage = Stage::new(&[Step::Do, Step::Fail]);
    let mut worker = stage.owner();
    let done = Attempt::Done(Payload::of(&()).unwrap());
    worker.answer(0, done, false, stage.now());
    stage.commit(&mut worker);
    for _ in 0..50 {
        assert_eq!(worker.attempts[0].call.activity, "unact");
        hold_back(&mut stage, &mut worker);
        ring(&mut stage, &mut worker);
    }
    assert_eq!(stage.happened(|event| matches!(event, Event::Stuck { .. })), 0);
}

#[test]
fn what_another_owner_had_under_way_may_have_been_sent() {
    let mut stage = Stage::new(&[Step::Impatient(false), Step::Fail]);
    let one = stage.owner();
    assert_eq!(one.attempts.len(), 1);
    // It hands over without waiting for its attempt, which nobody charges.
    stage.database.bury(one.name, true);
    let mut two = stage.owner();
    assert_eq!(two.attempts[0].attempt, 1, "under its own number");
    hold_back(&mut stage, &mut two);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 1));
    assert_eq!(two.attempts[0].call.activity, "unact");
}

#[test]
fn what_another_owner_held_back_and_may_have_tried_again_counts_as_sent_when_it_unwinds() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut one = stage.owner();
    hold_back(&mut stage, &mut one);
    // It was about to ring, and its clock may have been ahead.
    stage.database.bury(one.name, true);
    let mut two = stage.owner();
    assert!(two.attempts.is_empty(), "it is not due");
    for _ in 0..4 {
        two.owner.evict(stage.now());
        stage.commit(&mut two);
    }
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut two);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 1));
}

#[test]
fn what_was_held_back_and_has_left_memory_is_known_not_to_have_been_sent() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut one = stage.owner();
    hold_back(&mut stage, &mut one);
    ring(&mut stage, &mut one);
    hold_back(&mut stage, &mut one);
    for _ in 0..4 {
        stage.wait(2 * SECOND);
        one.owner.evict(stage.now());
        stage.commit(&mut one);
    }
    assert!(!stage.database.rows().next().unwrap().cached.hot);
    stage.database.bury(one.name, false);
    let mut two = stage.owner();
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut two);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (1, 0));
}

/// Held back until an alarm that is three quarters of a minute away or more.
fn held_for_long(stage: &mut Stage) -> Worker {
    let mut worker = stage.owner();
    hold_back(stage, &mut worker);
    while due(stage) < Some(stage.now().after(45 * SECOND)) {
        ring(stage, &mut worker);
        hold_back(stage, &mut worker);
    }
    worker
}

fn due(stage: &Stage) -> Option<Timestamp> {
    stage.database.ledger(stage.address.run).alarms().values().next().copied()
}

/// Time passes.
fn pass(stage: &mut Stage, worker: &mut Worker, seconds: u32) {
    stage.wait(seconds * SECOND);
    worker.owner.ring(stage.now());
    stage.commit(worker);
}

fn held(event: &Event) -> bool {
    matches!(event, Event::HeldBack { .. })
}

#[test]
fn what_is_held_back_is_tried_before_its_alarm_and_leaves_no_trace_unless_it_is_sent() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut worker = held_for_long(&mut stage);
    let before = (due(&stage), stage.happened(held));
    pass(&mut stage, &mut worker, 19);
    assert!(worker.attempts.is_empty(), "its service has said when");
    pass(&mut stage, &mut worker, 2);
    assert_eq!(worker.attempts[0].attempt, 1, "it is tried");
    hold_back(&mut stage, &mut worker);
    assert_eq!((due(&stage), stage.happened(held)), before);
    pass(&mut stage, &mut worker, 10);
    assert!(worker.attempts.is_empty(), "its service has said when");
    pass(&mut stage, &mut worker, 11);
    worker.answer(0, Attempt::Done(Payload::of(&()).unwrap()), false, stage.now());
    stage.commit(&mut worker);
    assert!(Some(stage.now()) < before.0 && due(&stage).is_none(), "before its alarm");
    assert!(stage.database.rows().all(|row| row.cached.status == Status::Completed));
}

#[test]
fn an_alarm_that_rings_while_its_step_is_tried_makes_no_second_attempt() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut worker = held_for_long(&mut stage);
    let times = stage.happened(held);
    pass(&mut stage, &mut worker, 21);
    ring(&mut stage, &mut worker);
    assert_eq!((worker.attempts.len(), stage.happened(held)), (1, times));
    hold_back(&mut stage, &mut worker);
    assert_eq!(stage.happened(held), times + 1, "it has no alarm any more");
    ring(&mut stage, &mut worker);
    assert_eq!(worker.attempts[0].attempt, 1);
}

#[test]
fn a_run_that_unwinds_waits_for_what_was_tried_early() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut worker = held_for_long(&mut stage);
    pass(&mut stage, &mut worker, 21);
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut worker);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 0), "it may be sent");
    hold_back(&mut stage, &mut worker);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (1, 0), "it was not");
}

#[test]
fn what_was_tried_early_by_an_owner_that_was_lost_counts_as_sent() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut one = held_for_long(&mut stage);
    pass(&mut stage, &mut one, 21);
    assert_eq!(one.attempts.len(), 1);
    stage.database.bury(one.name, true);
    let mut two = stage.owner();
    assert!(two.attempts.is_empty(), "it waits for the alarm");
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut two);
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 1));
}

#[test]
fn it_counts_as_sent_also_when_the_body_of_the_next_owner_begins_anew() {
    let mut stage = Stage::new(&[Step::Race(1_000), Step::Stumble, Step::Wait]);
    let mut one = held_for_long(&mut stage);
    pass(&mut stage, &mut one, 21);
    assert_eq!(one.attempts.len(), 1);
    stage.database.bury(one.name, true);
    saga::be_clumsy(true);
    let mut two = stage.owner();
    saga::be_clumsy(false);
    assert_eq!(saga::stumbles(), 1);
    pass(&mut stage, &mut two, 1);
    stage.look(&mut two);
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut two);
    assert!(two.attempts.is_empty() || two.attempts[0].call.activity == "unact");
    assert_eq!((stage.happened(unsent), stage.happened(unknown)), (0, 1));
}
