//! The judge, before engines that make mistakes: each writes something else
//! than the real one, and is told what is wrong with it.

use serde::{Deserialize, Serialize};

use super::judge::Account;
use super::{Broken, Exhaust};
use crate::{Activity, ActivityError, Ctx, Direction, Never, Seq, Workflow};
use crate::{Command, Event};

macro_rules! activity {
    ($name:ident, $wire:literal, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name;
        impl Activity for $name {
            const NAME: &'static str = $wire;
            type Output = ();
            type Error = $error;
        }
    };
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;

activity!(Pay, "pay", No);
activity!(Repay, "repay", Never);
activity!(Book, "book", No);
activity!(Unbook, "unbook", Never);
activity!(Ride, "ride", Never);

struct Trip;
impl Workflow for Trip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] =
        &[Pay::NAME, Repay::NAME, Book::NAME, Unbook::NAME, Ride::NAME];
    type Input = ();
    type Output = ();
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, (): ()) -> Result<(), ActivityError<No>> {
        ctx.run(Pay).undo(Repay).await?;
        ctx.run(Book).undo(Unbook).await?;
        ctx.pivot().run(Ride).await;
        Ok(())
    }
}

fn trip() -> Exhaust<Trip, ()> {
    Exhaust::start(&(), ())
        .does::<Pay>(|(), _, _| ())
        .does::<Repay>(|(), _, _| ())
        .does::<Book>(|(), _, _| ())
        .may_refuse::<Book>(No)
        .does::<Unbook>(|(), _, _| ())
        .does::<Ride>(|(), _, _| ())
}

/// What the walk says of an engine that writes this.
fn judged(tamper: fn(&mut Account)) -> Broken {
    trip().tamper(tamper).try_walk().expect_err("the mistake is noticed")
}

fn events(account: &mut Account) -> impl Iterator<Item = &mut Event> {
    account.runs[0].history.iter_mut().flat_map(|(_, events)| events)
}

/// Where in the whole history something is.
fn find(account: &Account, what: impl Fn(&Event) -> bool) -> Option<(usize, usize)> {
    account.runs[0]
        .history
        .iter()
        .enumerate()
        .find_map(|(row, (_, events))| events.iter().position(&what).map(|at| (row, at)))
}

fn undo_of(seq: u32) -> Event {
    Event::Asked(Command::Undo { of: Seq(seq), inherited: None })
}

fn is_undo(event: &Event) -> bool {
    matches!(event, Event::Asked(Command::Undo { .. }))
}

#[test]
fn an_engine_that_keeps_its_promises_passes() {
    let walked = trip().walk();
    assert!(walked.stories.len() == 3 && walked.stories[2] > 400, "{walked}");
    assert_eq!(walked.stories_in_all, walked.stories.iter().sum::<usize>());
    assert!(walked.never_asked().is_empty());
}

#[test]
fn undo_in_forward_order() {
    let broken = judged(|account| {
        let undos = events(account).filter(|event| is_undo(event)).count();
        let mut forward: Vec<_> = (0..undos).map(|n| Seq(u32::try_from(n).unwrap())).collect();
        forward.reverse();
        for event in events(account) {
            if let Event::Asked(Command::Undo { of, .. }) = event {
                *of = forward.pop().unwrap();
            }
        }
    });
    assert!(
        broken.promise.contains("undo out of order: the undo of `pay` (command 0)"),
        "{broken}"
    );
    assert!(broken.promise.contains("before that of `book` (command 1)"), "{broken}");
    assert_eq!(broken.twists, 1, "{broken}");
}

#[test]
fn an_undo_of_what_was_refused() {
    let broken = judged(|account| {
        for event in events(account) {
            if let Event::Unknown { seq: Seq(1), .. } = event {
                let error = crate::Payload::of(&()).unwrap();
                *event = Event::Refused { seq: Seq(1), error };
            }
        }
    });
    assert!(
        broken.promise.contains("the undo of `book` (command 1), which was refused"),
        "{broken}"
    );
}

#[test]
fn a_debt_that_is_forgotten() {
    let broken = judged(|account| {
        let undoes_pay = |event: &Event| *event == undo_of(0);
        if let Some((row, at)) = find(account, undoes_pay) {
            let (when, _) = account.runs[0].history[row];
            account.runs[0].history.truncate(row + 1);
            account.runs[0].history[row].1.truncate(at);
            account.runs[0].history.push((when, vec![Event::Asked(Command::Close {})]));
            account.made.retain(|made| made.rows <= row);
        }
    });
    assert!(broken.promise.contains("closed with a debt: `pay` (command 0)"), "{broken}");
}

#[test]
fn an_effect_before_its_intent() {
    let broken = judged(|account| {
        if let Some(made) = account.made.iter_mut().find(|made| made.flight.of == Seq(1)) {
            made.rows -= 1;
        }
    });
    assert!(
        broken.promise.contains("`book` (command 1) reached its service before history said so"),
        "{broken}"
    );
    assert_eq!(broken.twists, 0);
}

#[test]
fn an_undo_before_its_intent() {
    let broken = judged(|account| {
        let mut made = account.made.iter_mut();
        if let Some(made) = made.find(|made| made.flight.direction == Direction::Undo) {
            made.rows -= 1;
        }
    });
    assert!(broken.promise.contains("(undo of command"), "{broken}");
    assert!(broken.promise.contains("before history said so"), "{broken}");
}

#[test]
fn a_key_without_the_step() {
    let broken = judged(|account| {
        for made in &mut account.made {
            made.key = made.key.replace("/1/", "/0/");
        }
    });
    assert!(
        broken.promise.contains("`pay` (command 0) and `book` (command 1) had the same key"),
        "{broken}"
    );
}

#[test]
fn a_key_without_the_direction() {
    let broken = judged(|account| {
        for made in &mut account.made {
            made.key = made.key.replace("undo", "do");
        }
    });
    assert!(broken.promise.contains("(undo of command"), "{broken}");
    assert!(broken.promise.contains("had the same key"), "{broken}");
}

#[test]
fn a_key_with_the_attempt() {
    let broken = judged(|account| {
        for made in &mut account.made {
            made.key = format!("{}/{}", made.key, made.flight.attempt);
        }
    });
    assert!(broken.promise.contains("two attempts of `"), "{broken}");
    assert!(broken.promise.contains("had two keys"), "{broken}");
}

#[test]
fn a_cancellation_that_is_ignored() {
    let broken = judged(|account| {
        let cancels = |event: &Event| matches!(event, Event::CancelRequested { .. });
        if let Some((row, _)) = find(account, cancels) {
            account.runs[0].history.truncate(row + 1);
            account.runs[0].history[row].1.truncate(1);
            account.made.retain(|made| made.rows <= row);
        }
    });
    assert!(broken.promise.contains("a cancellation was ignored"), "{broken}");
}

#[test]
fn a_step_that_is_given_up_past_the_point_of_no_return() {
    let broken = judged(|account| {
        for event in events(account) {
            if let Event::AttemptFailed { seq, attempt, reason, .. } = event
                && *seq == Seq(3)
            {
                let (seq, attempts, reason) = (*seq, *attempt, reason.clone());
                *event = Event::Unknown { seq, attempts, reason };
            }
        }
    });
    assert!(
        broken.promise.contains("`ride` (command 3) was given up past the point of no return"),
        "{broken}"
    );
}

#[test]
fn two_undos_at_once() {
    let broken = judged(|account| {
        if let Some((row, at)) = find(account, is_undo) {
            account.runs[0].history[row].1.insert(at + 1, undo_of(0));
        }
    });
    assert!(
        broken.promise.contains("two undos at once") || broken.promise.contains("second time"),
        "{broken}"
    );
}

#[test]
fn an_undo_that_does_not_wait_for_what_is_under_way() {
    let broken = judged(|account| {
        if let Some((row, at)) = find(account, is_undo) {
            let answered = |event: &Event| {
                matches!(
                    event,
                    Event::Done { seq: Seq(1), .. } | Event::Unknown { seq: Seq(1), .. }
                )
            };
            account.runs[0].history[row].1.retain(|event| !answered(event) || at == 0);
            for (_, events) in &mut account.runs[0].history[..row] {
                events.retain(|event| !answered(event));
            }
        }
    });
    assert!(broken.promise.contains("did not wait for `book`, which was under way"), "{broken}");
}

#[test]
fn a_step_while_it_unwinds_and_a_word_after_the_end() {
    let broken = judged(|account| {
        if let Some((row, at)) =
            find(account, |event| matches!(event, Event::Asked(Command::Unwind { .. })))
        {
            let first = account.runs[0].history[0].1[1].clone();
            account.runs[0].history[row].1.insert(at + 1, first);
        }
    });
    assert!(broken.promise.contains("`pay` was asked for while the saga unwound"), "{broken}");
    let broken = judged(|account| {
        if let Some((_, events)) = account.runs[0].history.last_mut() {
            events.push(Event::Fired { seq: Seq(0) });
        }
    });
    assert!(broken.promise.contains("history goes on after its end"), "{broken}");
}

#[test]
fn a_step_that_was_sent_and_is_said_not_to_have_been() {
    let broken = judged(|account| {
        let Some((row, at)) = find(account, is_undo) else { return };
        account.runs[0].history.truncate(row + 1);
        account.runs[0].history[row].1.truncate(at);
        account.made.retain(|made| made.rows <= row);
        for event in events(account) {
            if let Event::Unknown { seq, reason, .. } = event {
                let (seq, reason) = (*seq, reason.clone());
                *event = Event::NotDone { seq, attempts: 0, reason };
            }
        }
    });
    assert!(broken.promise.contains("is said never to have been sent"), "{broken}");
}

#[test]
fn an_undo_past_the_point_of_no_return_and_one_for_the_second_time() {
    let broken = judged(|account| {
        if let Some((row, at)) = find(account, |event| *event == Event::Asked(Command::Pivot {})) {
            account.runs[0].history[row].1.insert(at + 1, undo_of(1));
        }
    });
    assert!(broken.promise.contains("past the point of no return"), "{broken}");
    let broken = judged(|account| {
        let undo = undo_of(1);
        let twice = events(account).any(|event| *event == undo);
        for event in events(account).filter(|event| twice && is_undo(event)) {
            *event = undo.clone();
        }
    });
    assert!(broken.promise.contains("for the second time"), "{broken}");
}

#[test]
#[should_panic(expected = "a walk of 0 stories proves nothing")]
fn a_walk_of_no_stories_is_no_walk() {
    trip().stories_max(0).walk();
}

#[test]
fn a_walk_that_is_cut_short_says_so() {
    let walked = trip().stories_max(100).walk();
    assert!(walked.to_string().contains("stories walked of"), "{walked}");
    assert_eq!(walked.stories.iter().sum::<usize>(), 100, "{walked}");
}
