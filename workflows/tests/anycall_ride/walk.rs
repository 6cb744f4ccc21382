//! The ride, walked: every story it can come to, in a world whose services keep the rules of
//! the real ones.

use hansom_core::testing::Exhaust;
use hansom_core::{Outcome, Status};
use hansom_workflows::anycall_ride::{
    AnycallRide, AssignTaxi, AttachMember, CallTaken, CloseDispatch, CustomerCancel, LoadMember,
    MarkCancelled, MarkEnded, MarkStarted, MemberGone, OpenDispatch, PlaceCall, RecordTrip, Review,
    ReviewCall, Ride, RideEnd, RideStart, ScoreTaxi, UnassignTaxi, WithdrawCall,
};
use hansom_workflows::notification::{Notice, Notify};
use hansom_workflows::payment::{Charge, Refund, WasCharged, Won};

use super::world::{CallStatus, TaxiStatus, World};
use super::{accept, ride, rider};

fn who_rides_pays_and_nobody_else(world: &World, end: &Outcome) -> bool {
    match (end.status, world.dispatch.as_ref().and_then(|row| row.row.pay_amt)) {
        (Status::Completed, Some(paid)) => world.kept() == paid.0,
        (Status::Completed, None) => false,
        _ => world.kept() == 0,
    }
}

fn no_taxi_is_left_waiting(world: &World, end: &Outcome) -> bool {
    match world.status() {
        TaxiStatus::Ended => end.status == Status::Completed,
        // A ride that an operator cancelled under way: its taxi was let go.
        TaxiStatus::Free => end.status != Status::Completed,
        TaxiStatus::Assigned | TaxiStatus::Started => false,
    }
}

fn the_call_says_how_it_ended(world: &World, end: &Outcome) -> bool {
    match world.call.as_ref().map(|row| row.row) {
        Some(CallStatus::Cancelled) | None => end.status != Status::Completed,
        Some(CallStatus::Called | CallStatus::Reviewed) => end.status == Status::Completed,
    }
}

fn what_is_cancelled_is_offered_to_nobody(world: &World, end: &Outcome) -> bool {
    end.status == Status::Completed || !world.is_offered()
}

fn services(ride: &Ride) -> Exhaust<AnycallRide, World> {
    Exhaust::start(ride, World::default())
        .perform::<PlaceCall>(|world, _, visit| world.place(visit))
        .may_refuse::<PlaceCall>(CallTaken)
        .does::<WithdrawCall>(|world, _, visit| world.withdraw(visit))
        .does::<MarkCancelled>(|world, _, visit| world.mark(CallStatus::Cancelled, visit))
        .does::<ReviewCall>(|world, _, visit| world.mark(CallStatus::Reviewed, visit))
        .does::<OpenDispatch>(|world, _, visit| world.open(visit))
        .does::<CloseDispatch>(|world, _, visit| world.close(visit))
        .does::<LoadMember>(|_, _, _| rider("1111"))
        .may_refuse::<LoadMember>(MemberGone)
        .does::<AttachMember>(|world, _, visit| world.taxi(visit, |taxi| taxi.has_member = true))
        .does::<AssignTaxi>(World::assign)
        .does::<UnassignTaxi>(|world, _, visit| world.unassign(visit))
        .does::<MarkStarted>(|world, _, visit| {
            world.moves(TaxiStatus::Assigned, TaxiStatus::Started, visit);
        })
        .does::<MarkEnded>(|world, ask, visit| {
            world.moves(TaxiStatus::Started, TaxiStatus::Ended, visit);
            world.taxi(visit, |taxi| taxi.pay_amt = Some(ask.pay_amt));
        })
        .does::<ScoreTaxi>(|world, ask, visit| {
            world.taxi(visit, |taxi| taxi.score = Some(ask.estimate_score));
        })
        .does::<RecordTrip>(World::record)
        .perform::<Charge>(|world, ask, visit| world.charge(&ask, visit))
        .does::<WasCharged>(|world, ask, visit| world.was_charged(&ask, visit))
        .does::<Refund>(|world, _, _| world.refund())
        .with_child::<Notice>()
        .does::<Notify>(|world, _, visit| {
            world.told.insert(visit.idempotency_key());
        })
        .invariant("who rides pays, and nobody else", who_rides_pays_and_nobody_else)
        .invariant("no taxi is left waiting", no_taxi_is_left_waiting)
        .invariant("the call says how it ended", the_call_says_how_it_ended)
        .invariant("what is cancelled is offered to nobody", what_is_cancelled_is_offered_to_nobody)
        .stories_max(2_500)
        .always("nobody pays twice", |world| world.kept() <= 15_000)
}

/// Asks for an amount, as long as the ride is under way.
fn ends_with(amount: i64) -> impl Fn(&World) -> Option<RideEnd> {
    move |world| (world.status() == TaxiStatus::Started).then_some(RideEnd { pay_amt: Won(amount) })
}

/// A driver who asks again when it was not paid, sometimes for less. Each story has two
/// mishaps at most, so one of the four is paid.
fn driven(walk: Exhaust<AnycallRide, World>) -> Exhaust<AnycallRide, World> {
    walk.update_when(|world: &World| world.is_offered().then(|| accept("1")))
        .update_when(|world: &World| {
            (world.status() == TaxiStatus::Assigned).then_some(RideStart {})
        })
        .update_when(ends_with(15_000))
        .update_when(ends_with(14_000))
        .update_when(ends_with(15_000))
        .update_when(ends_with(14_000))
}

#[test]
fn whatever_happens_to_a_ride_who_rides_pays_and_nobody_else() {
    let review = |world: &World| {
        let ended = world.status() == TaxiStatus::Ended;
        ended.then(|| Review { estimate_score: "5".to_owned() })
    };
    let walked = driven(services(&ride())).update_when(review).walk();
    assert_eq!(walked.never_asked(), ["mark_cancelled"], "{walked}");
    for twist in ["answer lost", "cancelled", "late", "overtaken", "unknown", "worker lost"] {
        assert!(walked.twists(twist) > 30, "{twist}: {walked}");
    }
    assert!(walked.performed("was_charged") > 10, "{walked}");
}

#[test]
fn a_customer_who_cancels_gets_a_taxi_or_their_way_and_never_half_of_both() {
    let cancelled = services(&ride()).update_when(|world: &World| {
        let placed = world.call.as_ref().is_some_and(|row| row.row == CallStatus::Called);
        (placed && world.dispatch.is_some()).then_some(CustomerCancel {})
    });
    // Whoever is asked first: in most stories it is the customer.
    let walked = driven(cancelled).walk();
    assert!(walked.performed("mark_cancelled") > 100, "{walked}");
    assert!(walked.performed("mark_ended") > 10, "{walked}");
}

#[test]
fn a_call_that_no_driver_takes_is_given_up_and_leaves_nothing() {
    let mut impatient = ride();
    impatient.terms.give_up_after_ms = 70_000;
    let walked = services(&impatient).walk();
    assert_eq!(walked.performed("assign_taxi"), 0, "{walked}");
    assert!(walked.performed("close_dispatch") > 100, "{walked}");
}

#[test]
fn a_taxi_that_does_not_come_is_free_again() {
    let mut impatient = ride();
    impatient.terms.no_show_after_ms = 60_000;
    let taken = |world: &World| world.is_offered().then(|| accept("1"));
    let walked = services(&impatient).update_when(taken).walk();
    assert_eq!(walked.performed("mark_started"), 0, "{walked}");
    assert!(walked.performed("unassign_taxi") > 100, "{walked}");
}
