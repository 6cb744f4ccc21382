//! A call belongs to the run that registered it.

use hansom_activities::taxisvc::drive::DriveStatus;
use hansom_core::{Activity, Failure, Handler};
use hansom_workflows::taxi_call::{
    CallStatus, CallTaken, DriveNotAvailable, PaymentDeclined, RegisterCall,
};

use super::rig::{
    CANCEL, CHARGE, COMPLETE, DRIVE, REFUND, RELEASE, Rig, call, cx, done, ledger, mark, rig,
    stranger,
};

/// Another run asks, and is told that it is done.
async fn shrugged<A: Activity<Output = ()>>(handler: &impl Handler<A>, ask: A) {
    let answer = handler.handle(ask, stranger()).await;
    assert!(answer.is_ok(), "{}: {answer:?}", A::NAME);
}

#[tokio::test]
async fn a_call_of_one_run_is_refused_to_another_and_is_still_its_own() {
    let rig = rig().await;
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
    let other = rig.taxi.calls.handle(RegisterCall { call: call() }, stranger()).await;
    assert!(matches!(other, Err(Failure::Refused(CallTaken))), "{other:?}");
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
}

#[tokio::test]
async fn a_call_cancelled_by_another_run_before_it_was_registered_is_taken() {
    let rig = rig().await;
    shrugged(&rig.taxi.calls, CANCEL).await;
    let late = rig.taxi.calls.handle(RegisterCall { call: call() }, cx()).await;
    assert!(matches!(late, Err(Failure::Refused(CallTaken))), "{late:?}");
}

#[tokio::test]
async fn a_refund_of_another_run_leaves_the_charge_alone() {
    let rig = Rig::placed().await;
    shrugged(&rig.taxi.payments, REFUND).await;
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
    done(&rig.taxi.payments, REFUND).await;
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000), ("refund", 200_000)]));
}

#[tokio::test]
async fn a_charge_of_another_run_does_not_ride_on_the_one_there_is() {
    let rig = Rig::placed().await;
    let other = rig.taxi.payments.handle(CHARGE, stranger()).await;
    assert!(matches!(other, Err(Failure::Refused(PaymentDeclined))), "{other:?}");
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
}

#[tokio::test]
async fn another_run_neither_marks_nor_cancels_the_call_nor_touches_its_drive() {
    let rig = Rig::driving().await;
    shrugged(&rig.taxi.calls, mark(CallStatus::DriveComplete)).await;
    shrugged(&rig.taxi.calls, CANCEL).await;
    shrugged(&rig.taxi.drives, RELEASE).await;
    shrugged(&rig.taxi.drives, COMPLETE).await;
    let other = rig.taxi.drives.handle(DRIVE, stranger()).await;
    assert!(matches!(other, Err(Failure::Refused(DriveNotAvailable))), "{other:?}");
    assert_eq!(rig.status().await, Some(CallStatus::DriveStart));
    assert_eq!(rig.drive_status().await, DriveStatus::Start);
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted"]);
}
