//! The taxi call, rehearsed.

use hansom_core::testing::Script;
use hansom_core::{Activity, ActivityError, Event, Ledger, Status, UndoStatus};
use hansom_workflows::taxi_call::{
    Call, CallError, CallId, CallTaken, CancelCall, ChargeFare, CompleteDrive, Drive, DriveId,
    DriveNotAvailable, EndDrive, Fare, MarkCall, PayId, PaymentDeclined, Receipt, RefundFare,
    RegisterCall, ReleaseDrive, RequestDrive, TaxiCall,
};

const CALL: CallId = CallId(1);
const END: EndDrive = EndDrive { drive_id: DriveId(7) };

fn call() -> Call {
    let distance = "20".parse().expect("a distance");
    Call { call_id: CALL, user_id: "1".to_owned(), user_name: "nana".to_owned(), distance }
}

fn drive() -> Drive {
    Drive {
        drive_id: DriveId(7),
        driver_name: "driver1111".to_owned(),
        taxi_num: "1111".to_owned(),
    }
}

fn registered() -> Script<TaxiCall> {
    Script::start(&call()).complete::<RegisterCall>(&())
}

fn charged() -> Script<TaxiCall> {
    registered().complete::<ChargeFare>(&PayId(5))
}

fn placed() -> Script<TaxiCall> {
    charged().complete::<MarkCall>(&())
}

fn driving() -> Script<TaxiCall> {
    placed().complete::<RequestDrive>(&drive()).complete::<MarkCall>(&())
}

fn plan(ledger: &Ledger) -> Vec<String> {
    ledger.undo_plan().into_iter().map(|undo| undo.activity).collect()
}

/// The statuses that were asked for, in order.
fn marks(script: &Script<TaxiCall>) -> Vec<String> {
    let events = script.history().iter().flat_map(|(_, events)| events);
    let asked = events.filter_map(|event| match event {
        Event::Asked(hansom_core::Command::Run { activity, request, .. })
            if activity == MarkCall::NAME =>
        {
            request.decode::<MarkCall>().ok()
        }
        _ => None,
    });
    asked.map(|mark| mark.status.as_str().to_owned()).collect()
}

fn error(script: &Script<TaxiCall>) -> CallError {
    match script.ledger().cause() {
        Some(hansom_core::Cause::Failed { error }) => error.decode().expect("the error of a call"),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn a_ride_is_paid_driven_and_completed() {
    let script = driving().signal(&END);
    let script = script.complete::<CompleteDrive>(&()).complete::<MarkCall>(&());
    assert_eq!(
        script.story(),
        [
            "register_call",
            "charge_fare",
            "mark_call",
            "request_drive",
            "mark_call",
            "pivot",
            "complete_drive",
            "mark_call",
            "completed",
        ]
    );
    assert_eq!(marks(&script), ["driveRequest", "driveStart", "driveComplete"]);
    let receipt: Receipt = script.ledger().outcome().unwrap().output.unwrap().decode().unwrap();
    assert_eq!(
        receipt,
        Receipt { call_id: CALL, pay_id: PayId(5), drive_id: DriveId(7), fare: Fare(200_000) }
    );
}

#[test]
fn a_ride_under_way_owes_every_undo_last_in_first_out() {
    assert_eq!(
        plan(driving().ledger()),
        ["release_drive", "cancel_call", "refund_fare", "cancel_call"]
    );
}

#[test]
fn a_declined_payment_is_told_to_the_rider_and_needs_no_refund() {
    let script = registered().refuse::<ChargeFare>(PaymentDeclined).complete::<MarkCall>(&());
    let script = script.complete::<CancelCall>(&());
    assert_eq!(
        script.story(),
        ["register_call", "charge_fare", "mark_call", "unwind", "undo: cancel_call", "failed"]
    );
    assert_eq!(marks(&script), ["payFail"]);
    assert!(matches!(error(&script), CallError::Payment(_)));
}

#[test]
fn a_charge_whose_outcome_is_unknown_is_refunded() {
    let script = registered().lose::<ChargeFare>().complete::<MarkCall>(&());
    assert_eq!(plan(script.ledger()), ["refund_fare", "cancel_call"]);
    let script = script.complete::<RefundFare>(&()).complete::<CancelCall>(&());
    assert_eq!(
        script.story()[2..],
        ["mark_call", "unwind", "undo: refund_fare", "undo: cancel_call", "failed"]
    );
    assert_eq!(marks(&script), ["payFail"]);
    assert_eq!(script.ledger().undo_status(), UndoStatus::Done);
}

#[test]
fn a_call_that_could_not_be_registered_for_sure_is_cancelled_and_nothing_is_charged() {
    let script = Script::<TaxiCall>::start(&call()).lose::<RegisterCall>();
    let script = script.complete::<CancelCall>(&());
    assert_eq!(script.story(), ["register_call", "unwind", "undo: cancel_call", "failed"]);
    assert!(matches!(error(&script), CallError::Register(ActivityError::Unknown { .. })));
}

#[test]
fn a_call_that_belongs_to_another_saga_is_neither_charged_nor_cancelled() {
    let script = Script::<TaxiCall>::start(&call()).refuse::<RegisterCall>(CallTaken);
    assert_eq!(script.story(), ["register_call", "unwind", "failed"]);
    assert_eq!(error(&script), CallError::Register(ActivityError::Refused(CallTaken)));
}

#[test]
fn without_a_driver_the_call_is_cancelled_before_the_fare_goes_back() {
    let script = placed().refuse::<RequestDrive>(DriveNotAvailable);
    let script = script.complete::<CancelCall>(&()).complete::<RefundFare>(&());
    let script = script.complete::<CancelCall>(&());
    assert_eq!(
        script.story()[3..],
        [
            "request_drive",
            "unwind",
            "undo: cancel_call",
            "undo: refund_fare",
            "undo: cancel_call",
            "failed",
        ]
    );
    assert!(matches!(error(&script), CallError::Drive(_)));
}

#[test]
fn a_cancel_under_way_lets_the_driver_go_first_then_tells_the_rider_then_refunds() {
    let script = driving().cancel().complete::<ReleaseDrive>(&()).complete::<CancelCall>(&());
    let script = script.complete::<RefundFare>(&()).complete::<CancelCall>(&());
    assert_eq!(
        script.story()[5..],
        [
            "unwind",
            "undo: release_drive",
            "undo: cancel_call",
            "undo: refund_fare",
            "undo: cancel_call",
            "cancelled",
        ]
    );
}

#[test]
fn a_cancel_during_a_step_waits_for_it_and_undoes_what_is_behind_it() {
    let at_register = Script::<TaxiCall>::start(&call()).cancel().complete::<RegisterCall>(&());
    assert_eq!(plan(at_register.ledger()), ["cancel_call"]);
    let at_charge = registered().cancel().complete::<ChargeFare>(&PayId(5));
    assert_eq!(plan(at_charge.ledger()), ["refund_fare", "cancel_call"]);
    let at_mark = charged().cancel().complete::<MarkCall>(&());
    assert_eq!(plan(at_mark.ledger()), ["cancel_call", "refund_fare", "cancel_call"]);
    let at_request = placed().cancel().complete::<RequestDrive>(&drive());
    assert_eq!(
        plan(at_request.ledger()),
        ["release_drive", "cancel_call", "refund_fare", "cancel_call"]
    );
    let at_start = placed().complete::<RequestDrive>(&drive()).cancel().complete::<MarkCall>(&());
    assert_eq!(plan(at_start.ledger()), plan(at_request.ledger()));
    for script in [at_register, at_charge, at_mark, at_request, at_start] {
        assert_eq!(script.ledger().status(), Status::Compensating);
        assert!(script.story().iter().any(|line| line == "unwind"));
    }
}

#[test]
fn a_cancel_during_a_charge_that_is_declined_leaves_no_refund() {
    let script = registered().cancel().refuse::<ChargeFare>(PaymentDeclined);
    let script = script.complete::<CancelCall>(&());
    assert_eq!(
        script.story(),
        ["register_call", "charge_fare", "unwind", "undo: cancel_call", "cancelled"]
    );
}

#[test]
fn a_cancel_after_the_driver_arrived_comes_too_late() {
    let script = driving().signal(&END).cancel();
    assert!(plan(script.ledger()).is_empty());
    let script = script.complete::<CompleteDrive>(&()).cancel().complete::<MarkCall>(&());
    assert_eq!(script.ledger().status(), Status::Completed);
}

#[test]
fn the_end_of_another_drive_ends_nothing() {
    let script = driving().signal(&EndDrive { drive_id: DriveId(8) });
    assert!(!script.ledger().pivoted());
    assert!(script.signal(&END).ledger().pivoted());
}

#[test]
fn an_end_that_comes_early_is_kept() {
    let script = placed().signal(&END).complete::<RequestDrive>(&drive());
    assert!(!script.ledger().pivoted());
    assert!(script.complete::<MarkCall>(&()).ledger().pivoted());
}

#[test]
fn every_undo_that_runs_out_of_attempts_stays_owed() {
    let script = driving().cancel().lose::<ReleaseDrive>().complete::<CancelCall>(&());
    let script = script.lose::<RefundFare>().complete::<CancelCall>(&());
    assert_eq!(script.ledger().status(), Status::Stuck);
    assert_eq!(plan(script.ledger()), ["release_drive", "refund_fare"]);
}

#[test]
fn what_is_stored_reads_as_the_documents_say() {
    let json = |value: &hansom_core::Payload| value.get().to_owned();
    let of = |value: &RegisterCall| json(&hansom_core::Payload::of(value).unwrap());
    assert_eq!(
        of(&RegisterCall { call: call() }),
        r#"{"call_id":1,"user_id":"1","user_name":"nana","distance":2000}"#
    );
    let mark = r#"{"call_id":1,"status":"driveRequest"}"#;
    let mark: MarkCall = serde_json::from_str(mark).unwrap();
    assert_eq!(mark.status.as_str(), "driveRequest");
    assert_eq!(CALL.workflow_id(), "taxisvc.call.1");
}
