//! The taxi call, walked: every story it can come to, in a world whose services
//! keep the rules of the real ones.

use std::collections::BTreeMap;

use hansom_core::testing::Exhaust;
use hansom_core::testing::exhaust::Visit;
use hansom_core::{Failure, Outcome, Status};
use hansom_workflows::taxi_call::{
    Call, CallId, CallStatus, CallTaken, CancelCall, ChargeFare, CompleteDrive, Drive, DriveId,
    DriveNotAvailable, EndDrive, Fare, MarkCall, PayId, PaymentDeclined, RefundFare, RegisterCall,
    ReleaseDrive, RequestDrive, TaxiCall,
};

const CALL: CallId = CallId(1);

/// What the call, payment and drive services remember.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    calls: BTreeMap<i64, CallRow>,
    payments: BTreeMap<i64, Payment>,
    drives: BTreeMap<i64, DriveRow>,
}

/// A call belongs to the run that wrote it first; without a distance it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
struct CallRow {
    run: String,
    status: Option<CallStatus>,
    is_registered: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Payment {
    charged: Option<Fare>,
    refunded: Option<Fare>,
    void: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum DriveRow {
    Start,
    End,
    RequestCancel,
}

impl World {
    fn register(&mut self, ask: &Call, visit: &Visit<'_>) -> Result<(), Failure<CallTaken>> {
        let ours = CallRow { run: visit.run.clone(), status: None, is_registered: true };
        let row = self.calls.entry(ask.call_id.0).or_insert(ours);
        if row.run == visit.run { Ok(()) } else { Err(Failure::Refused(CallTaken)) }
    }

    /// A status only ever moves forward.
    fn mark(&mut self, id: CallId, to: CallStatus, visit: &Visit<'_>) {
        use CallStatus::{DriveComplete, DriveRequest, DriveStart, PayFail, RequestCancel};
        let Some(row) = self.calls.get_mut(&id.0).filter(|row| row.run == visit.run) else {
            return;
        };
        let moves = match to {
            DriveRequest | PayFail => row.status.is_none(),
            DriveStart => row.status == Some(DriveRequest),
            DriveComplete => matches!(row.status, Some(DriveRequest | DriveStart)),
            RequestCancel => matches!(row.status, None | Some(DriveRequest | DriveStart)),
        };
        if moves {
            row.status = Some(to);
        }
    }

    fn cancel(&mut self, id: CallId, visit: &Visit<'_>) {
        let tombstone = CallRow {
            run: visit.run.clone(),
            status: Some(CallStatus::RequestCancel),
            is_registered: false,
        };
        self.calls.entry(id.0).or_insert(tombstone);
        self.mark(id, CallStatus::RequestCancel, visit);
    }

    /// A refusal is written down: a charge that is still on its way must not go through.
    fn charge(
        &mut self,
        ask: ChargeFare,
        visit: &Visit<'_>,
    ) -> Result<PayId, Failure<PaymentDeclined>> {
        let payment = self.payments.entry(ask.call_id.0).or_default();
        if payment.charged.is_none() && !payment.void {
            if visit.happens("the card is declined") {
                payment.void = true;
            } else {
                payment.charged = Some(ask.fare);
            }
        }
        match payment.charged {
            Some(fare) if fare == ask.fare => Ok(PayId(5)),
            _ => Err(Failure::Refused(PaymentDeclined)),
        }
    }

    fn refund(&mut self, id: CallId) {
        let payment = self.payments.entry(id.0).or_default();
        payment.void = true;
        payment.refunded = payment.charged;
    }

    fn request(
        &mut self,
        ask: RequestDrive,
        visit: &Visit<'_>,
    ) -> Result<Drive, Failure<DriveNotAvailable>> {
        let row = self.drives.entry(ask.call_id.0).or_insert_with(|| {
            let nobody = ask.fare > Fare(1_000_000) || visit.happens("no driver goes there");
            if nobody { DriveRow::RequestCancel } else { DriveRow::Start }
        });
        if *row == DriveRow::RequestCancel {
            return Err(Failure::Refused(DriveNotAvailable));
        }
        let (driver_name, taxi_num) = ("driver1111".to_owned(), "1111".to_owned());
        Ok(Drive { drive_id: DriveId(7), driver_name, taxi_num })
    }

    fn release(&mut self, id: CallId) {
        let row = self.drives.entry(id.0).or_insert(DriveRow::RequestCancel);
        if *row == DriveRow::Start {
            *row = DriveRow::RequestCancel;
        }
    }

    fn complete(&mut self, id: CallId) {
        if let Some(row) = self.drives.get_mut(&id.0).filter(|row| **row == DriveRow::Start) {
            *row = DriveRow::End;
        }
    }

    fn kept(&self) -> i64 {
        let won = |fare: Option<Fare>| fare.map_or(0, |fare| fare.0);
        self.payments.values().map(|payment| won(payment.charged) - won(payment.refunded)).sum()
    }

    fn status(&self) -> Option<CallStatus> {
        self.calls.get(&CALL.0).and_then(|row| row.status)
    }
}

fn no_money_is_lost(world: &World, end: &Outcome) -> bool {
    let paid = if end.status == Status::Completed { 200_000 } else { 0 };
    world.kept() == paid
}

fn nobody_is_left_driving(world: &World, end: &Outcome) -> bool {
    match world.drives.get(&CALL.0) {
        Some(DriveRow::End) => end.status == Status::Completed,
        Some(DriveRow::Start) => false,
        Some(DriveRow::RequestCancel) | None => end.status != Status::Completed,
    }
}

fn the_call_says_how_it_ended(world: &World, end: &Outcome) -> bool {
    match world.status() {
        Some(CallStatus::DriveComplete) => end.status == Status::Completed,
        // None: it belongs to another run.
        Some(CallStatus::RequestCancel | CallStatus::PayFail) | None => {
            end.status != Status::Completed
        }
        _ => false,
    }
}

/// The call's own drive is 7; the end of another must end nothing.
fn end_of(drive: i64) -> EndDrive {
    EndDrive { drive_id: DriveId(drive) }
}

fn call(kilometres: &str) -> Call {
    let distance = kilometres.parse().expect("a distance");
    Call { call_id: CALL, user_id: "1".to_owned(), user_name: "nana".to_owned(), distance }
}

fn taxi_call(kilometres: &str) -> Exhaust<TaxiCall, World> {
    Exhaust::start(&call(kilometres), World::default())
        .perform::<RegisterCall>(|world, ask, visit| world.register(&ask.call, visit))
        .may_refuse::<RegisterCall>(CallTaken)
        .does::<CancelCall>(|world, ask, visit| world.cancel(ask.call_id, visit))
        .does::<MarkCall>(|world, ask, visit| world.mark(ask.call_id, ask.status, visit))
        .perform::<ChargeFare>(World::charge)
        .does::<RefundFare>(|world, ask, _| world.refund(ask.call_id))
        .perform::<RequestDrive>(World::request)
        .does::<ReleaseDrive>(|world, ask, _| world.release(ask.call_id))
        .does::<CompleteDrive>(|world, ask, _| world.complete(ask.call_id))
        .signal_when(|world: &World| world.drives.get(&CALL.0).and(Some(end_of(8))))
        .invariant("no money is lost", no_money_is_lost)
        .invariant("nobody is left driving", nobody_is_left_driving)
        .invariant("the call says how it ended", the_call_says_how_it_ended)
}

/// The driver arrives, as soon as there is one.
fn arrival(world: &World) -> Option<EndDrive> {
    (world.drives.get(&CALL.0) == Some(&DriveRow::Start)).then_some(end_of(7))
}

#[test]
fn whatever_happens_to_a_call_no_money_is_lost_and_nobody_is_left_driving() {
    let walked = taxi_call("20").signal_when(arrival).walk();
    assert!(walked.never_asked().is_empty(), "{walked}");
    for twist in ["answer lost", "cancelled", "late", "overtaken", "unknown", "worker lost"] {
        assert!(walked.twists(twist) > 100, "{twist}: {walked}");
    }
}

#[test]
fn a_call_that_goes_too_far_for_any_driver_is_always_paid_back() {
    let walked = taxi_call("100.01").walk();
    assert_eq!(walked.performed("complete_drive"), 0, "{walked}");
    assert!(walked.performed("refund_fare") > 100, "{walked}");
}

#[test]
fn the_end_of_another_drive_ends_nothing_however_it_comes() {
    let broken = taxi_call("20").try_walk().expect_err("without its own end it drives on");
    assert!(broken.promise.contains("it waits for ever"), "{broken}");
}
