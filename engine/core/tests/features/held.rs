//! What follows where a request cannot be sent.

use hansom_core::{Event, Status};

use super::*;

#[test]
fn what_is_held_back_is_heard_of_by_nobody_and_answers_later() {
    let script = booked().hold_back::<Charge>().hold_back::<Charge>();
    let running = script.ledger().running().values().next().unwrap();
    assert_eq!((running.attempt, running.counted(), running.held), (1, 1, 2));
    assert_eq!(running.last_failure.as_deref(), Some("held back"));
    let script = script.fire().complete::<Charge>(&7);
    assert_eq!(script.story(), ["book", "charge", "completed"]);
}

#[test]
fn a_saga_that_unwinds_does_not_undo_what_was_held_back_since_it_was_asked_for() {
    let script = booked().hold_back::<Charge>().cancel();
    let unsent = |event: &&Event| matches!(event, Event::NotDone { attempts: 0, .. });
    assert_eq!(script.history().iter().flat_map(|(_, events)| events).filter(unsent).count(), 1);
    let story = script.complete::<Unbook>(&()).story();
    assert_eq!(story, ["book", "charge", "unwind", "undo: unbook", "cancelled"]);
}

#[test]
fn what_was_sent_before_it_was_held_back_is_undone_as_unknown() {
    // Attempts came to nothing, it was parked, and an operator let it try again.
    let sent = booked().park::<Charge>().retry();
    let script = sent.hold_back::<Charge>().cancel().complete::<Refund>(&());
    let story = script.complete::<Unbook>(&()).story();
    assert_eq!(story[4..], ["unwind", "undo: refund", "undo: unbook", "cancelled"]);
    // The only attempt is not in history but by what followed it.
    let script = booked().park::<Charge>().cancel().complete::<Refund>(&());
    assert_eq!(script.ledger().status(), Status::Compensating);
}

#[test]
fn a_step_that_does_not_wait_ends_as_not_done_and_is_not_undone() {
    let script = booked().fail_unsent::<Charge>().complete::<Unbook>(&());
    assert_eq!(script.story(), ["book", "charge", "unwind", "undo: unbook", "failed"]);
    let error = script.ledger().outcome().unwrap().error.unwrap();
    assert_eq!(error.get(), r#"{"not_done":{"attempts":0,"reason":"held back"}}"#);
}
