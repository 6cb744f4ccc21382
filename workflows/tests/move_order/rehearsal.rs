use std::time::Duration;

use hansom_core::testing::Script;
use hansom_core::{
    Activity, ActivityError, Cause, ChildOutcome, Command, Event, Ledger, Payload, Status,
    WhenUnavailable,
};
use hansom_workflows::move_order::{
    CancelOrder, CancelRequest, CompleteMove, ConfirmOrder, ConfirmRequest, MoveOrder, MoveType,
    Moved, MoverInfos, OrderError, OrderTaken, PickMover, PlaceOrder, ReleaseMover,
    RequestAssignment,
};
use hansom_workflows::notification::{Notice, Notify, SendNotice};

use super::{ORDER, accepted, confirmed, fallback, mover, order, strict};

/// The customer was told that it is confirmed, and is told by whom.
fn informed() -> Script<MoveOrder> {
    confirmed().complete_child::<Notice>("move.order.1.confirmed", &true, Vec::new())
}

fn plan(ledger: &Ledger) -> Vec<String> {
    ledger.undo_plan().into_iter().map(|undo| undo.activity).collect()
}

fn error(script: &Script<MoveOrder>) -> OrderError {
    match script.ledger().cause() {
        Some(Cause::Failed { error }) => error.decode().expect("the error of an order"),
        other => panic!("it did not fail: {other:?}"),
    }
}

/// What the customer is told, in the order in which it is sent off.
fn told(script: &Script<MoveOrder>) -> Vec<String> {
    let undos = script.ledger().undo_plan();
    let undo = undos.iter().find(|undo| undo.activity == "send_notice");
    let undo = undo.map(|undo| undo.request.decode::<SendNotice>().expect("a notice").notify);
    let events = script.history().iter().flat_map(|(_, events)| events);
    let mut sent: Vec<Notify> = events
        .filter_map(|event| match event {
            Event::Asked(Command::Run { activity, request, .. }) if activity == "send_notice" => {
                request.decode::<SendNotice>().ok().map(|ask| ask.notify)
            }
            Event::Asked(Command::StartChild(start)) => start.input.decode().ok(),
            _ => None,
        })
        .collect();
    sent.extend(undo);
    sent.into_iter().map(|notify| notify.message).collect()
}

#[test]
fn an_order_is_requested_placed_assigned_and_confirmed_on_both_sides() {
    let script = informed().signal(&CompleteMove {});
    assert_eq!(
        script.story(),
        [
            "request_assignment",
            "place_order",
            "send_notice",
            "pick_mover",
            "confirm_order",
            "confirm_request",
            "timer 2592000s",
            "child: move.order.1.confirmed",
            "child: move.order.1.assigned",
            "timer off",
            "completed",
        ]
    );
    let moved: Moved = script.ledger().outcome().unwrap().output.unwrap().decode().unwrap();
    assert_eq!(moved, Moved { order_id: ORDER, mover: mover() });
}

#[test]
fn the_customer_hears_of_the_request_the_confirmation_and_the_mover_and_would_of_a_cancellation() {
    assert_eq!(
        told(&informed()),
        [
            "호출중 : mapo 2500000원",
            "호출확정 : mapo 2500000원",
            "할당확정 : 안채우 010-3345-7789 44나4567",
            "호출취소 : mapo 2500000원",
        ]
    );
}

#[test]
fn a_move_that_nobody_completes_is_over_after_a_month() {
    let script = confirmed().advance(Duration::from_hours(30 * 24 - 1));
    assert_eq!(script.ledger().status(), Status::Running);
    assert_eq!(script.advance(Duration::from_hours(1)).ledger().status(), Status::Completed);
}

#[test]
fn a_message_that_does_not_arrive_and_one_that_was_sent_before_hold_nothing_up() {
    let script = confirmed().close_child("move.order.1.confirmed", ChildOutcome::Taken {});
    let script = script.complete_child::<Notice>("move.order.1.assigned", &false, Vec::new());
    assert_eq!(script.ledger().status(), Status::Running, "it is not over with that");
    assert_eq!(script.signal(&CompleteMove {}).ledger().status(), Status::Completed);
    for open in [confirmed(), informed()] {
        let open = open.signal(&CompleteMove {});
        assert_eq!(open.ledger().status(), Status::Completed, "a message is on its way");
    }
}

#[test]
fn a_strict_order_whose_request_is_refused_or_not_done_leaves_nothing_at_all() {
    let script = strict().refuse::<RequestAssignment>(OrderTaken);
    assert_eq!(script.story(), ["request_assignment", "unwind", "failed"]);
    assert_eq!(error(&script), OrderError::Request(ActivityError::Refused(OrderTaken)));
}

#[test]
fn a_strict_order_whose_request_cannot_be_sent_ends_at_once_and_one_with_the_fallback_waits() {
    let script = strict().fail_unsent::<RequestAssignment>();
    assert_eq!(script.story(), ["request_assignment", "unwind", "failed"]);
    assert!(matches!(error(&script), OrderError::Request(ActivityError::NotDone { .. })));
    let waits = |script: &Script<MoveOrder>| {
        let options = |running: &hansom_core::Running| {
            running.options.as_ref().map(|options| options.when_unavailable)
        };
        script.ledger().running().values().next().and_then(|running| options(running))
    };
    assert_eq!(RequestAssignment::options().when_unavailable, WhenUnavailable::Fail);
    assert_eq!(waits(&strict()), None, "as its contract says");
    let fallback = fallback().complete::<PlaceOrder>(&());
    assert_eq!(waits(&fallback), Some(WhenUnavailable::Wait));
}

#[test]
fn a_strict_order_whose_request_is_unknown_is_never_placed_and_its_request_is_cancelled() {
    let script = strict().lose::<RequestAssignment>().complete::<CancelRequest>(&());
    assert_eq!(script.story(), ["request_assignment", "unwind", "undo: cancel_request", "failed"]);
    assert!(matches!(error(&script), OrderError::Request(ActivityError::Unknown { .. })));
}

#[test]
fn a_strict_order_that_cannot_be_placed_gives_its_request_back_and_tells_nobody() {
    let requested = || strict().complete::<RequestAssignment>(&());
    let refused = requested().refuse::<PlaceOrder>(OrderTaken).complete::<CancelRequest>(&());
    assert_eq!(refused.story()[2..], ["unwind", "undo: cancel_request", "failed"]);
    assert!(matches!(error(&refused), OrderError::Place(_)));
    let lost = requested().lose::<PlaceOrder>().complete::<CancelOrder>(&());
    let lost = lost.complete::<CancelRequest>(&());
    assert_eq!(
        lost.story()[2..],
        ["unwind", "undo: cancel_order", "undo: cancel_request", "failed"]
    );
}

#[test]
fn with_the_fallback_the_order_is_placed_first_and_its_request_has_no_end_of_tries() {
    let script = fallback().complete::<PlaceOrder>(&());
    assert_eq!(script.story(), ["place_order", "request_assignment"]);
    let running = script.ledger().running().values().next().expect("the request");
    let retry = running.options.as_ref().expect("options of its own").retry;
    assert_eq!(retry.maximum_attempts, 0);
    let script = script.complete::<RequestAssignment>(&()).complete::<SendNotice>(&());
    assert_eq!(
        plan(script.ledger()),
        ["release_mover", "send_notice", "cancel_request", "cancel_order"]
    );
}

#[test]
fn a_fallback_order_that_is_refused_is_cancelled() {
    let placed = || fallback().complete::<PlaceOrder>(&());
    let script = placed().refuse::<RequestAssignment>(OrderTaken).complete::<CancelOrder>(&());
    assert_eq!(script.story()[2..], ["unwind", "undo: cancel_order", "failed"]);
    let script = fallback().refuse::<PlaceOrder>(OrderTaken);
    assert_eq!(script.story(), ["place_order", "unwind", "failed"]);
}

#[test]
fn a_cancellation_lets_the_mover_go_tells_the_customer_and_marks_order_and_request() {
    let script = confirmed().cancel().complete::<ReleaseMover>(&());
    let script = script.complete::<SendNotice>(&()).complete::<CancelOrder>(&());
    let script = script.complete::<CancelRequest>(&());
    assert_eq!(
        script.story()[8..],
        [
            "unwind",
            "undo: release_mover",
            "undo: send_notice",
            "undo: cancel_order",
            "undo: cancel_request",
            "cancelled",
        ]
    );
}

#[test]
fn a_cancellation_while_a_mover_is_looked_for_lets_go_of_whoever_was_picked() {
    let script = accepted().cancel();
    assert_eq!(script.ledger().status(), Status::Compensating);
    assert_eq!(plan(script.ledger())[0], "release_mover", "an attempt is under way");
    let picked = script.complete::<PickMover>(&mover()).complete::<ReleaseMover>(&());
    assert_eq!(plan(picked.ledger()), ["send_notice", "cancel_order", "cancel_request"]);
    let refused = accepted().cancel().refuse::<PickMover>(OrderTaken);
    assert_eq!(plan(refused.ledger()), ["send_notice", "cancel_order", "cancel_request"]);
    let unknown = accepted().cancel().lose::<PickMover>();
    assert_eq!(plan(unknown.ledger())[0], "release_mover");
}

#[test]
fn an_order_without_a_mover_comes_to_nothing_and_the_customer_is_told() {
    let script = accepted().refuse::<PickMover>(OrderTaken).complete::<SendNotice>(&());
    let script = script.complete::<CancelOrder>(&()).complete::<CancelRequest>(&());
    assert_eq!(script.ledger().status(), Status::Failed);
    assert!(matches!(error(&script), OrderError::Assign(_)));
    assert!(script.story().contains(&"undo: send_notice".to_owned()));
}

#[test]
fn a_cancellation_before_it_is_accepted_tells_nobody() {
    let script = strict().cancel().complete::<RequestAssignment>(&());
    assert_eq!(plan(script.ledger()), ["cancel_request"]);
    let script = strict().complete::<RequestAssignment>(&()).cancel().complete::<PlaceOrder>(&());
    assert_eq!(plan(script.ledger()), ["cancel_order", "cancel_request"]);
}

#[test]
fn a_cancellation_between_the_marks_undoes_all_of_it() {
    let script = accepted().complete::<PickMover>(&mover()).complete::<ConfirmOrder>(&());
    let script = script.cancel().complete::<ConfirmRequest>(&());
    assert_eq!(
        plan(script.ledger()),
        ["release_mover", "send_notice", "cancel_order", "cancel_request"]
    );
    assert!(!script.story().iter().any(|line| line.starts_with("child:")), "nobody is told");
}

#[test]
fn a_mark_that_nobody_knows_of_undoes_all_of_it() {
    let script = accepted().complete::<PickMover>(&mover()).complete::<ConfirmOrder>(&());
    let script = script.lose::<ConfirmRequest>();
    assert!(matches!(error(&script), OrderError::Service(_)));
    let script = accepted().complete::<PickMover>(&mover()).lose::<ConfirmOrder>();
    let script = script.complete::<ConfirmRequest>(&());
    assert!(matches!(error(&script), OrderError::Service(_)));
}

#[test]
fn a_completion_that_comes_early_is_kept() {
    let script = accepted().signal(&CompleteMove {}).complete::<PickMover>(&mover());
    let script = script.complete::<ConfirmOrder>(&()).complete::<ConfirmRequest>(&());
    assert_eq!(script.ledger().status(), Status::Completed);
}

/// Status, mover and last message.
fn seen(script: &Script<MoveOrder>) -> [String; 3] {
    let row = script.row::<MoverInfos>().expect("it has a row");
    ["status", "movertel", "lastMessage"].map(|field| row[field].as_str().unwrap_or("-").to_owned())
}

#[test]
fn the_customer_sees_where_the_order_is_who_comes_and_what_was_said_last() {
    let requested = strict().complete::<RequestAssignment>(&());
    assert_eq!(seen(&requested), ["-", "-", "-"]);
    assert_eq!(seen(&requested.complete::<PlaceOrder>(&())), ["호출", "-", "-"]);
    assert_eq!(seen(&accepted()), ["호출", "-", "호출중 : mapo 2500000원"]);
    let assigned = "할당확정 : 안채우 010-3345-7789 44나4567";
    assert_eq!(seen(&confirmed()), ["호출확정", "010-3345-7789", assigned]);
    let script = confirmed().cancel().complete::<ReleaseMover>(&()).complete::<SendNotice>(&());
    let cancelled = "호출취소 : mapo 2500000원";
    assert_eq!(seen(&script), ["호출확정", "-", cancelled]);
    assert_eq!(seen(&script.complete::<CancelOrder>(&())), ["호출취소", "-", cancelled]);
}

#[test]
fn an_order_that_was_never_taken_is_not_seen_as_cancelled() {
    let lost = strict().complete::<RequestAssignment>(&()).lose::<PlaceOrder>();
    let cancelled = lost.complete::<CancelOrder>(&());
    assert_eq!(seen(&cancelled), ["-", "-", "-"]);
    assert_eq!(cancelled.row::<MoverInfos>().expect("it has a row")[MoverInfos::PLACED], false);
    assert_eq!(confirmed().row::<MoverInfos>().expect("it has a row")[MoverInfos::PLACED], true);
}

#[test]
fn what_is_stored_reads_as_the_documents_say() {
    let of = |order| Payload::of(&PlaceOrder { order }).unwrap().get().to_owned();
    let mut asked = order(hansom_workflows::move_order::Policy::Strict);
    assert_eq!(
        of(asked.clone()),
        r#"{"order_id":1,"tel":"01012345678","location":"mapo","cost":2500000,"policy":"strict"}"#
    );
    asked.move_type = Some(MoveType::Half);
    assert!(of(asked).contains(r#""move_type":"반포장""#));
    assert_eq!(ORDER.workflow_id(), "move.order.1");
}
