//! The services of taxisvc, on a real Postgres.

mod owner;
mod queries;
mod rig;

use std::time::{Duration, Instant};

use hansom_activities::faults::Faults;
use hansom_activities::page::Page;
use hansom_activities::taxisvc::drive::DriveStatus;
use hansom_core::{Attempt, Failure, Handler};
use hansom_postgres::testing::PATIENCE;
use hansom_workflows::taxi_call::{
    CallId, CallStatus, ChargeFare, Fare, PayId, PaymentDeclined, RegisterCall, RequestDrive,
};

use self::rig::{
    CALL, CANCEL, CHARGE, COMPLETE, DRIVE, FARE, REFUND, RELEASE, Rig, call, cx, done,
    eight_at_once, ledger, mark, rig,
};

#[tokio::test]
async fn a_charge_asked_for_eight_times_at_once_is_one_charge_and_one_event() {
    let rig = rig().await;
    let heard = eight_at_once(&rig.taxi.payments, &CHARGE).await;
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
    assert_eq!(rig.events().await, ["FarePaid"]);
    // Of numbers that are drawn at once any may be taken.
    let paid = done(&rig.taxi.payments, CHARGE).await;
    assert_eq!(heard, [paid; 8]);
    assert!(rig.taxi.payments.get(paid).await.expect("it answers").is_some());
}

#[tokio::test]
async fn a_second_charge_with_another_fare_is_refused_and_changes_nothing() {
    let rig = rig().await;
    done(&rig.taxi.payments, CHARGE).await;
    let other = ChargeFare { fare: Fare(1), ..CHARGE };
    let answer = rig.taxi.payments.handle(other, cx()).await;
    assert!(matches!(answer, Err(Failure::Refused(PaymentDeclined))), "{answer:?}");
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
}

#[tokio::test]
async fn a_refund_asked_for_eight_times_at_once_gives_the_fare_back_once() {
    let rig = rig().await;
    done(&rig.taxi.payments, CHARGE).await;
    eight_at_once(&rig.taxi.payments, &REFUND).await;
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000), ("refund", 200_000)]));
    let payment = rig.taxi.payments.get(PayId(1)).await.expect("it answers").expect("it is there");
    assert_eq!(payment.refund.expect("it went back").fare, FARE);
}

#[tokio::test]
async fn a_refund_before_the_charge_leaves_a_tombstone_that_refuses_it() {
    let rig = rig().await;
    done(&rig.taxi.payments, REFUND).await;
    let late = rig.taxi.payments.handle(CHARGE, cx()).await;
    assert!(matches!(late, Err(Failure::Refused(PaymentDeclined))), "{late:?}");
    done(&rig.taxi.payments, REFUND).await;
    assert_eq!(rig.ledger().await, ledger([("void", 0)]));
    assert!(rig.events().await.is_empty());
}

#[tokio::test]
async fn a_charge_and_its_refund_at_the_same_time_leave_nothing_taken() {
    for _ in 0..10 {
        let rig = rig().await;
        let (charge, refund) = (rig.taxi.payments.clone(), rig.taxi.payments.clone());
        let charge = tokio::spawn(async move { charge.handle(CHARGE, cx()).await.is_ok() });
        let refund = tokio::spawn(async move { refund.handle(REFUND, cx()).await.is_ok() });
        let charged = charge.await.expect("no panic");
        assert!(refund.await.expect("no panic"));
        let expected = if charged {
            ledger([("charge", 200_000), ("refund", 200_000)])
        } else {
            ledger([("void", 0)])
        };
        assert_eq!(rig.ledger().await, expected);
    }
}

#[tokio::test]
async fn a_payment_once_declined_is_not_taken_by_an_attempt_that_comes_late() {
    let rig = rig().await;
    rig.faults.set(Faults { decline: true, ..Faults::default() });
    let declined = rig.charge().await;
    assert!(matches!(declined, Attempt::Refused(_)), "{declined:?}");
    rig.faults.set(Faults::default());
    let late = rig.taxi.payments.handle(CHARGE, cx()).await;
    assert!(matches!(late, Err(Failure::Refused(PaymentDeclined))), "{late:?}");
    assert_eq!(rig.ledger().await, ledger([("void", 0)]));
}

#[tokio::test]
async fn a_payment_once_taken_is_not_declined_afterwards() {
    let rig = rig().await;
    rig.faults.set(Faults { lose_answer: true, ..Faults::default() });
    let lost = rig.charge().await;
    assert_eq!(lost, Attempt::failed("the answer of the service was lost"));
    rig.faults.set(Faults { decline: true, ..Faults::default() });
    assert_eq!(done(&rig.taxi.payments, CHARGE).await, PayId(1));
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
}

#[tokio::test]
async fn a_service_that_is_down_does_nothing() {
    let rig = rig().await;
    rig.faults.set(Faults { down: true, ..Faults::default() });
    assert_eq!(rig.charge().await, Attempt::failed("the service is down"));
    assert!(rig.ledger().await.is_empty());
}

#[tokio::test]
async fn a_slow_service_goes_on_when_its_caller_has_given_up() {
    let rig = rig().await;
    // It gets no further than the ledger while its caller is there.
    let mut holding = rig.pool.begin().await.expect("it answers");
    let lock = sqlx::raw_sql("lock table taxisvc.payment in exclusive mode");
    lock.execute(&mut *holding).await.expect("it is locked");
    tokio::select! {
        answer = rig.charge() => panic!("it answered: {answer:?}"),
        () = rig.waiting(1) => {}
    }
    assert!(rig.ledger().await.is_empty());
    holding.rollback().await.expect("it is let go");
    let patience = Instant::now() + PATIENCE;
    while rig.events().await.is_empty() {
        assert!(Instant::now() < patience, "it does not go on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.ledger().await, ledger([("charge", 200_000)]));
}

#[tokio::test]
async fn a_ride_passes_through_every_status_and_publishes_each_event_once() {
    let rig = Rig::placed().await;
    assert_eq!(rig.status().await, Some(CallStatus::DriveRequest));
    eight_at_once(&rig.taxi.drives, &DRIVE).await;
    eight_at_once(&rig.taxi.calls, &mark(CallStatus::DriveStart)).await;
    assert_eq!(rig.status().await, Some(CallStatus::DriveStart));
    assert_eq!(rig.drive_status().await, DriveStatus::Start);
    eight_at_once(&rig.taxi.drives, &COMPLETE).await;
    eight_at_once(&rig.taxi.calls, &mark(CallStatus::DriveComplete)).await;
    assert_eq!(rig.status().await, Some(CallStatus::DriveComplete));
    assert_eq!(rig.drive_status().await, DriveStatus::End);
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted", "DrivieEnded"]);
}

#[tokio::test]
async fn a_call_placed_and_cancelled_eight_times_at_once_is_published_once_each() {
    let rig = rig().await;
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
    eight_at_once(&rig.taxi.calls, &mark(CallStatus::DriveRequest)).await;
    eight_at_once(&rig.taxi.calls, &CANCEL).await;
    assert_eq!(rig.events().await, ["CallPlaced", "CallCancelled"]);
    assert_eq!(rig.status().await, Some(CallStatus::RequestCancel));
}

#[tokio::test]
async fn a_cancel_that_had_to_wait_for_the_placement_counts_all_the_same() {
    let rig = rig().await;
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
    let mut lock = rig.pool.begin().await.expect("it answers");
    sqlx::query("select from taxisvc.call for update").execute(&mut *lock).await.expect("it locks");
    let (place, cancel) = (rig.taxi.calls.clone(), rig.taxi.calls.clone());
    let place = tokio::spawn(async move { done(&place, mark(CallStatus::DriveRequest)).await });
    rig.waiting(1).await;
    let cancel = tokio::spawn(async move { done(&cancel, CANCEL).await });
    rig.waiting(2).await;
    lock.commit().await.expect("it answers");
    place.await.expect("it is placed");
    cancel.await.expect("it is cancelled");
    assert_eq!(rig.events().await, ["CallPlaced", "CallCancelled"]);
    assert_eq!(rig.status().await, Some(CallStatus::RequestCancel));
}

#[tokio::test]
async fn a_mark_that_comes_late_never_overwrites_a_final_status() {
    use CallStatus::{DriveComplete, DriveRequest, DriveStart, PayFail, RequestCancel};
    let rig = Rig::driving().await;
    done(&rig.taxi.calls, CANCEL).await;
    for status in [DriveRequest, PayFail, DriveStart, DriveComplete] {
        done(&rig.taxi.calls, mark(status)).await;
    }
    assert_eq!(rig.status().await, Some(RequestCancel));

    let rig = Rig::driving().await;
    done(&rig.taxi.calls, mark(DriveComplete)).await;
    done(&rig.taxi.calls, CANCEL).await;
    done(&rig.taxi.calls, mark(DriveStart)).await;
    assert_eq!(rig.status().await, Some(DriveComplete));
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveStarted"]);
}

#[tokio::test]
async fn a_cancel_leaves_a_failed_payment_as_it_is() {
    let rig = rig().await;
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
    done(&rig.taxi.calls, mark(CallStatus::PayFail)).await;
    done(&rig.taxi.calls, CANCEL).await;
    assert_eq!(rig.status().await, Some(CallStatus::PayFail));
    assert!(rig.events().await.is_empty());
}

#[tokio::test]
async fn a_call_cancelled_before_it_was_registered_stays_unknown_and_cannot_be_placed() {
    let rig = rig().await;
    done(&rig.taxi.calls, CANCEL).await;
    done(&rig.taxi.calls, RegisterCall { call: call() }).await;
    done(&rig.taxi.calls, mark(CallStatus::DriveRequest)).await;
    assert_eq!(rig.taxi.calls.get(CALL).await.expect("it answers"), None);
    assert_eq!(rig.taxi.calls.list(Page::default()).await.expect("it answers").total, 0);
    assert!(rig.events().await.is_empty());
}

#[tokio::test]
async fn the_limit_is_a_million_won_and_one_more_finds_no_driver() {
    let rig = Rig::placed().await;
    done(&rig.taxi.drives, RequestDrive { fare: Fare(1_000_000), ..DRIVE }).await;
    assert_eq!(rig.drive_status().await, DriveStatus::Start);

    let rig = Rig::placed().await;
    for _ in 0..2 {
        let far = RequestDrive { fare: Fare(1_000_001), ..DRIVE };
        let answer = rig.taxi.drives.handle(far, cx()).await;
        assert!(matches!(answer, Err(Failure::Refused(_))), "{answer:?}");
    }
    assert_eq!(rig.drive_status().await, DriveStatus::RequestCancel);
    assert_eq!(rig.events().await, ["FarePaid", "CallPlaced", "DriveNotAvailavled"]);
}

#[tokio::test]
async fn a_driver_is_let_go_once_and_not_after_the_arrival() {
    let rig = Rig::driving().await;
    eight_at_once(&rig.taxi.drives, &RELEASE).await;
    done(&rig.taxi.drives, COMPLETE).await;
    assert_eq!(rig.drive_status().await, DriveStatus::RequestCancel);

    let rig = Rig::driving().await;
    done(&rig.taxi.drives, COMPLETE).await;
    done(&rig.taxi.drives, RELEASE).await;
    assert_eq!(rig.drive_status().await, DriveStatus::End);
}

#[tokio::test]
async fn a_release_before_the_request_leaves_a_tombstone_that_refuses_it() {
    let rig = Rig::placed().await;
    done(&rig.taxi.drives, RELEASE).await;
    let late = rig.taxi.drives.handle(DRIVE, cx()).await;
    assert!(matches!(late, Err(Failure::Refused(_))), "{late:?}");
    assert_eq!(rig.taxi.drives.list(Page::default()).await.expect("it answers").total, 0);
}

#[tokio::test]
async fn an_event_carries_what_the_documents_say() {
    let rig = Rig::driving().await;
    let events = rig.feed(3).await;
    let payloads: Vec<_> =
        events.iter().map(|event| serde_json::to_string(&event.payload).expect("JSON")).collect();
    assert_eq!(
        payloads,
        [
            r#"{"callId":1,"fare":200000,"payId":1}"#,
            r#"{"callId":1,"callStatus":"driveRequest","distance":20.0,"userId":"1","userName":"nana"}"#,
            r#"{"callId":1,"driveId":1,"driveStatus":"start","driverName":"driver1111","taxiNum":"1111"}"#,
        ]
    );
    let rest = rig.taxi.feed.events(events[0].event_id, 1).await.expect("it answers");
    assert_eq!(rest, events[1..2]);
}

#[tokio::test]
async fn a_reader_of_the_feed_does_not_run_ahead_of_an_event_that_is_still_to_come() {
    let rig = rig().await;
    let mut slow = rig.pool.begin().await.expect("it answers");
    sqlx::query("insert into taxisvc.event (event_type, payload) values ('CallPlaced', '{}')")
        .execute(&mut *slow)
        .await
        .expect("it answers");
    done(&rig.taxi.payments, CHARGE).await;
    assert_eq!(rig.events().await, ["FarePaid"]);
    let feed = rig.taxi.feed.events(0, 100).await.expect("it answers");
    assert!(feed.is_empty(), "an event with a lower id is still to come");
    slow.commit().await.expect("it answers");
    let types: Vec<_> = rig.feed(2).await.into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["CallPlaced", "FarePaid"]);
}

#[tokio::test]
async fn lists_come_in_pages_and_say_how_much_there_is() {
    let rig = rig().await;
    for id in 1..=5 {
        done(&rig.taxi.payments, ChargeFare { call_id: CallId(id), fare: FARE }).await;
    }
    let page = rig.taxi.payments.list(Page { number: 1, size: 2 }).await.expect("it answers");
    assert_eq!(page.items.iter().map(|p| p.pay_id.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(page.total, 5);
    let beyond = rig.taxi.payments.list(Page { number: 9, size: 2 }).await.expect("it answers");
    assert_eq!((beyond.items.len(), beyond.total), (0, 5));
}
