//! Cases that chance meets too seldom, and those it taught.

mod bodies;
mod heirs;
mod held;
mod many;
mod stage;

use std::sync::Arc;

use hansom_core::{Attempt, Event, Payload, Timestamp};
use tokio::sync::oneshot::{Receiver, channel};
use uuid::Uuid;

use super::super::{NewStart, Owner, StartAnswer};
use super::contracts;
use super::saga::Step;
use super::tally::Tally;
use super::worker::Luck;
use crate::address::Address;
use stage::{SECOND, Stage};

#[test]
fn a_retry_that_is_lost_with_its_worker_counts() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut one = stage.owner();
    one.answer(0, Attempt::failed("the network is down"), false, stage.now());
    stage.commit(&mut one);
    stage.wait(5 * SECOND);
    one.owner.ring(stage.now());
    stage.commit(&mut one);
    assert_eq!(one.attempts[0].attempt, 2);
    stage.database.bury(one.name, false);
    let two = stage.owner();
    assert_eq!(stage.happened(|event| matches!(event, Event::AttemptLost { attempt: 2, .. })), 1);
    assert_eq!(two.attempts[0].attempt, 3);
}

#[test]
fn a_retry_that_is_handed_over_does_not_count() {
    let mut stage = Stage::new(&[Step::Do]);
    let mut one = stage.owner();
    one.answer(0, Attempt::failed("the network is down"), false, stage.now());
    stage.commit(&mut one);
    stage.wait(5 * SECOND);
    one.owner.ring(stage.now());
    stage.commit(&mut one);
    stage.database.bury(one.name, true);
    let two = stage.owner();
    assert_eq!(stage.happened(|event| matches!(event, Event::AttemptLost { .. })), 0);
    assert_eq!(two.attempts[0].attempt, 2);
}

#[test]
fn a_timer_that_a_scan_under_way_has_missed_rings() {
    let mut stage = Stage::new(&[Step::Do, Step::Sleep(1_000)]);
    let mut worker = stage.owner();
    worker.scan(&stage.database, stage.now());
    worker.answer(0, Attempt::Done(Payload::of(&()).unwrap()), false, stage.now());
    stage.commit(&mut worker);
    worker.arrive(0, stage.now());
    stage.wait(SECOND);
    worker.owner.ring(stage.now());
    stage.commit(&mut worker);
    assert_eq!(stage.happened(|event| matches!(event, Event::Fired { .. })), 1);
}

#[test]
fn a_parked_run_that_is_woken_while_its_partition_is_left_goes_on_elsewhere() {
    let mut stage = Stage::new(&[Step::Hear(600_000), Step::Do]);
    let mut one = stage.owner();
    let parked = |stage: &Stage| !stage.database.rows().next().unwrap().cached.hot;
    for _ in 0..4 {
        stage.wait(6 * SECOND);
        one.owner.evict(stage.now());
        stage.commit(&mut one);
    }
    assert!(parked(&stage));
    one.begin_release(vec![stage.address.part]);
    let (key, payload) = ("signal:1".to_owned(), Some("1".to_owned()));
    stage.database.send(&stage.address, key, Some("ping".to_owned()), payload);
    stage.look(&mut one);
    assert!(one.attempts.is_empty(), "who leaves begins nothing");
    while one.is_releasing() {
        one.move_release(false, &mut stage.database);
        stage.commit(&mut one);
    }
    let two = stage.owner();
    assert_eq!(two.attempts[0].call.activity, "act");
}

#[test]
fn a_run_with_an_attempt_under_way_is_not_parked() {
    let mut stage = Stage::new(&[Step::Hear(600_000), Step::Do]);
    let mut one = stage.owner();
    stage.wait(3 * SECOND);
    let (key, payload) = ("signal:1".to_owned(), Some("1".to_owned()));
    stage.database.send(&stage.address, key, Some("ping".to_owned()), payload);
    stage.look(&mut one);
    for _ in 0..4 {
        stage.wait(3 * SECOND);
        one.owner.evict(stage.now());
        stage.commit(&mut one);
    }
    stage.database.bury(one.name, false);
    let two = stage.owner();
    assert_eq!(two.attempts[0].attempt, 2);
}

#[test]
fn an_action_that_would_be_poison_is_voided_while_its_run_unwinds() {
    let mut stage = Stage::new(&[Step::Do]);
    for _ in 0..4 {
        let lost = stage.owner();
        stage.database.bury(lost.name, false);
    }
    let mut one = stage.owner();
    assert_eq!(one.attempts[0].attempt, 5);
    stage.database.send(&stage.address, "cancel".to_owned(), None, None);
    stage.look(&mut one);
    stage.database.bury(one.name, false);
    let two = stage.owner();
    assert_eq!(stage.happened(|event| matches!(event, Event::Stuck { .. })), 0);
    assert_eq!(two.attempts[0].call.activity, "unact");
}

fn big_start(n: u8, waited_for: bool) -> (NewStart, Option<Receiver<StartAnswer>>) {
    let (reply, answer) = channel();
    let (namespace, workflow_id) = ("default".into(), format!("big-{n}").into());
    let run = Uuid::from_u128(u128::from(n));
    let start = NewStart {
        address: Address { part: 0, run, namespace, workflow_id, run_no: 1 },
        workflow_type: "nobody has it".to_owned(),
        events: vec![Event::started(Payload::of(&"x".repeat(9 << 20)).unwrap())],
        labels: None,
        reply,
        permit: None,
    };
    (start, waited_for.then_some(answer))
}

#[test]
fn nothing_is_taken_in_while_a_commit_is_in_flight_and_the_next_one_is_full() {
    let (mut owner, now) = (Owner::new(Arc::new(contracts::registry()), 4, 1), Timestamp(1));
    owner.gain(0, true);
    let mut answers = Vec::new();
    for n in 1..=3 {
        assert!(!owner.is_full(), "{n}");
        let (start, answer) = big_start(n, true);
        owner.start(start, now);
        answers.push(answer);
        if n == 1 {
            assert!(owner.seal().is_some());
        }
    }
    assert!(owner.is_full(), "18 MiB wait for the commit in flight");
    owner.committed(&[], now);
    assert!(!owner.is_full(), "they can be committed now");
}

#[test]
fn a_start_that_nobody_waits_for_any_more_is_not_made() {
    let (mut owner, now) = (Owner::new(Arc::new(contracts::registry()), 4, 1), Timestamp(1));
    owner.gain(0, true);
    owner.start(big_start(1, false).0, now);
    assert!(owner.seal().is_none());
}

#[test]
fn a_parked_run_whose_attempt_elsewhere_failed_is_hot_until_the_next_is_offered() {
    let mut stage = Stage::new(&[Step::Far]);
    let mut one = stage.owner();
    one.carry(Luck::Good, &mut stage.database, &mut Tally::default());
    stage.look(&mut one);
    for _ in 0..4 {
        stage.wait(6 * SECOND);
        one.owner.evict(stage.now());
        stage.commit(&mut one);
    }
    let hot = |stage: &Stage| stage.database.rows().next().unwrap().cached.hot;
    assert!(!hot(&stage), "whoever performs it needs no owner");
    let failed = r#"{"failed":{"reason":"the network is down"}}"#.to_owned();
    stage.database.send(&stage.address, "outcome:0:1".to_owned(), None, Some(failed));
    stage.look(&mut one);
    stage.wait(5 * SECOND);
    one.owner.ring(stage.now());
    stage.commit(&mut one);
    assert!(hot(&stage), "what is dispatched and not offered would be forgotten with its owner");
    stage.database.bury(one.name, false);
    let mut two = stage.owner();
    two.carry(Luck::Good, &mut stage.database, &mut Tally::default());
    assert_eq!(stage.database.offered_attempts(), [2]);
}
