//! Many runs in one batch: what one of them costs does not grow with the others, and a batch has
//! its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hansom_core::{Attempt, Child, Event, ParentClose, Payload, Seq, StartChild, Timestamp};
use tokio::sync::oneshot::channel;
use uuid::Uuid;

use super::super::super::{Answer, Batch, Dispatch, Message, NewStart, Owner};
use super::super::contracts;
use super::super::saga::{self, Step};
use crate::address::Address;

const MANY: u32 = 6_000;

fn address(n: u32) -> Address {
    let (namespace, workflow_id) = ("default".into(), format!("w-{n}").into());
    Address { part: 0, run: Uuid::from_u128(u128::from(n) + 1), namespace, workflow_id, run_no: 1 }
}

fn owner() -> Owner {
    let mut owner = Owner::new(Arc::new(contracts::registry()), 4, 1);
    owner.gain(0, true);
    owner
}

fn start(owner: &mut Owner, n: u32, steps: &[Step], more: Option<Event>) {
    let (reply, _answer) = channel();
    let events = [Event::started(Payload::of(&steps).unwrap())].into_iter().chain(more).collect();
    let (address, workflow_type) = (address(n), "saga".to_owned());
    let start = NewStart { address, workflow_type, events, labels: None, reply, permit: None };
    owner.start(start, Timestamp(1));
}

fn timed(mut act: impl FnMut(u32)) -> Vec<Duration> {
    let timed = |n| {
        let begun = Instant::now();
        act(n);
        begun.elapsed()
    };
    (0..MANY).map(timed).collect()
}

/// What one in the dearer of the first and the last quarter takes in terms of one in the other:
/// in the middle of all that it was, because others use this machine as well.
fn slope(times: &[Duration]) -> f64 {
    let middle = |part: &[Duration]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2].as_secs_f64()
    };
    let quarter = times.len() / 4;
    let (first, last) = (middle(&times[..quarter]), middle(&times[times.len() - quarter..]));
    (first / last).max(last / first)
}

fn is_even(times: impl Fn() -> Vec<Duration>) {
    let slopes: Vec<_> = (0..3).map(|_| slope(&times())).collect();
    println!("first and last quarter: {slopes:.2?}");
    assert!(slopes.iter().any(|slope| *slope < 2.5), "first and last quarter: {slopes:.2?}");
}

#[test]
fn a_body_that_begins_anew_costs_the_same_however_many_others_do() {
    is_even(|| {
        let mut owner = owner();
        saga::be_clumsy(true);
        let times = timed(|n| start(&mut owner, n, &[Step::Stumble], None));
        saga::be_clumsy(false);
        assert!(owner.next_alarm().is_some());
        times
    });
}

#[test]
fn a_run_that_ends_costs_the_same_however_many_attempts_are_due_and_its_own_is_not_made() {
    is_even(|| {
        let mut owner = owner();
        for n in 0..=MANY {
            start(&mut owner, n, &[Step::Do], None);
        }
        let times = timed(|n| {
            let (address, key) = (Arc::new(address(n)), "terminate".to_owned());
            let message = Message { address, key, name: None, payload: Some("enough".to_owned()) };
            owner.message(message, None, Timestamp(1));
        });
        assert!(owner.seal().is_some());
        let due = owner.committed(&[], Timestamp(1)).dispatches;
        let due: Vec<_> = due.iter().map(|dispatch| &*dispatch.address.workflow_id).collect();
        assert_eq!(due, [format!("w-{MANY}")], "the one that nobody has ended");
        times
    });
}

fn commit(owner: &mut Owner, now: Timestamp) -> Vec<Dispatch> {
    let _sealed = owner.seal();
    owner.committed(&[], now).dispatches
}

fn answer(owner: &mut Owner, dispatch: Dispatch, ended: Attempt, now: Timestamp) {
    let Dispatch { address, seq, attempt, call, .. } = dispatch;
    let (run, activity) = (address.run, call.activity);
    owner.answer(Answer { run, activity, seq, attempt, ended, said: false }, now);
}

fn done() -> Attempt {
    Attempt::Done(Payload::of(&()).unwrap())
}

const HELD: u32 = 1_000;

/// So many steps are held back for ten minutes, and the first that is tried ahead of that.
fn held_back() -> (Owner, VecDeque<Dispatch>, Timestamp) {
    let (mut owner, time) = (owner(), Timestamp(1));
    for n in 0..HELD {
        start(&mut owner, n, &[Step::Do], None);
    }
    let after = Some(Duration::from_mins(10));
    for dispatch in commit(&mut owner, time) {
        let ended = Attempt::Unavailable { reason: "down".to_owned(), after };
        answer(&mut owner, dispatch, ended, time);
    }
    assert!(commit(&mut owner, time).is_empty());
    let time = time.after(Duration::from_secs(59));
    owner.ring(time);
    assert!(commit(&mut owner, time).is_empty(), "its service has said when");
    let time = time.after(Duration::from_secs(1));
    owner.ring(time);
    let under_way = VecDeque::from(commit(&mut owner, time));
    assert_eq!(under_way.len(), 1, "what it has told one does not silence all for ten minutes");
    (owner, under_way, time)
}

#[test]
fn a_service_that_comes_back_is_asked_for_as_much_as_it_answers_and_not_for_all_at_once() {
    let (mut owner, mut under_way, mut time) = held_back();
    let (mut answered, mut most) = (0, 0);
    while let Some(dispatch) = under_way.pop_front() {
        most = most.max(under_way.len() + 1);
        answer(&mut owner, dispatch, done(), time);
        // Somebody else comes meanwhile, and is answered at once.
        let fresh = HELD + answered;
        start(&mut owner, fresh, &[Step::Do], None);
        answered += 1;
        let is_fresh = |dispatch: &Dispatch| dispatch.address.run == address(fresh).run;
        let (fresh, early): (Vec<_>, Vec<_>) =
            commit(&mut owner, time).into_iter().partition(is_fresh);
        assert_eq!(fresh.len(), 1);
        for dispatch in fresh {
            answer(&mut owner, dispatch, done(), time);
        }
        time = time.after(Duration::from_millis(100));
        owner.ring(time);
        under_way.extend(early);
        under_way.extend(commit(&mut owner, time));
    }
    assert_eq!(answered, HELD, "one brings the next, without an alarm");
    assert!((16..=40).contains(&most), "{most} at a time");
    assert!(owner.holds_nothing());
}

#[test]
fn what_fails_when_it_is_tried_early_is_made_up_for_by_what_is_answered() {
    let (mut owner, mut under_way, time) = held_back();
    let mut tried = 0;
    while let Some(dispatch) = under_way.pop_front() {
        tried += 1;
        let ended = if tried % 3 == 0 { Attempt::failed("cut off") } else { done() };
        answer(&mut owner, dispatch, ended, time);
        under_way.extend(commit(&mut owner, time));
    }
    assert_eq!(tried, HELD, "one brings the next, without an alarm");
}

fn large() -> Payload {
    Payload::of(&"x".repeat(9 << 20)).unwrap()
}

#[test]
fn what_a_run_hands_on_to_the_next_counts_for_the_size_of_a_batch() {
    let mut owner = owner();
    start(&mut owner, 1, &[Step::Wait], None);
    assert!(owner.seal().is_some());
    let ping =
        || Event::Signalled { name: "ping".to_owned(), id: "1".to_owned(), payload: large() };
    start(&mut owner, 2, &[Step::Wait], Some(ping()));
    assert!(!owner.is_full(), "9 MiB wait for the commit in flight");
    owner.committed(&[], Timestamp(1));
    assert!(owner.seal().is_some());
    start(&mut owner, 3, &[Step::Continue(false)], Some(ping()));
    assert!(owner.is_full(), "the same, and they are handed on as well");
}

#[test]
fn what_children_are_started_with_counts_for_the_size_of_a_batch() {
    let mut batch = Batch::default();
    let parent = Arc::new(address(0));
    for n in 0..2 {
        assert!(!batch.is_full());
        let (workflow_type, workflow_id) = ("saga".to_owned(), format!("child-{n}"));
        let on_parent_close = ParentClose::Cancel;
        let start = StartChild { workflow_type, workflow_id, input: large(), on_parent_close };
        let child = Child { start, since: Timestamp(1), cancelling: false };
        batch.kin.start(&parent, (Seq(n), child), None, 4);
    }
    assert!(batch.is_full());
}
