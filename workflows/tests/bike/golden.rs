//! What reservations and purchases write down, kept in `golden`; see
//! `hansom_core::testing::golden`.

use std::time::Duration;

use hansom_core::testing::{Golden, Script, golden};
use hansom_core::{Activity, Workflow};
use hansom_workflows::bike::{
    BikeReservation, CancelApproval, CancelReservation, CreateApproval, CreateReservation,
    FreeBike, HoldBike, IncreasePoints, MarkReservation, NoBike, NotEnoughPoints, PointPurchase,
    ReturnBike, ReturnPoints, UsePoints,
};
use hansom_workflows::payment::{Charge, Declined, PaymentId, Refund};

use super::{bought, reservation};

/// It takes a second.
fn done<A: Activity, W: Workflow>(story: Script<W>, output: &A::Output) -> Script<W> {
    story.wait(Duration::from_secs(1)).complete::<A>(output)
}

fn created() -> Script<BikeReservation> {
    done::<CreateReservation, _>(Script::start(&reservation()), &())
}

fn held() -> Script<BikeReservation> {
    done::<HoldBike, _>(created(), &())
}

fn started() -> Script<BikeReservation> {
    done::<MarkReservation, _>(done::<UsePoints, _>(held(), &()), &())
}

fn paid() -> Script<PointPurchase> {
    done::<Charge, _>(done::<CreateApproval, _>(bought(), &()), &PaymentId(5))
}

fn kept<W: Workflow>(name: &str, story: &Script<W>) {
    golden(format!("tests/golden/{}/{name}.json", W::NAME), story);
}

fn replayed<W: Workflow>() -> usize {
    let folder = format!("tests/golden/{}", W::NAME);
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let replay = |file: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("it is text");
        Golden::<W>::parse(&text).replay();
    };
    files.map(replay).count()
}

#[test]
fn whatever_was_kept_can_go_on_also_when_its_story_is_not_told_any_more() {
    assert!(replayed::<BikeReservation>() >= 6);
    assert!(replayed::<PointPurchase>() >= 4);
}

#[test]
fn a_bike_that_is_used_and_returned() {
    kept("under_way", &started());
    let back = started().wait(Duration::from_hours(1)).update("return", &ReturnBike {});
    kept("returned", &done::<MarkReservation, _>(done::<FreeBike, _>(back, &()), &()));
}

#[test]
fn a_bike_that_is_taken_and_points_that_do_not_suffice() {
    let taken = done::<MarkReservation, _>(created().refuse::<HoldBike>(NoBike::Held), &());
    kept("bike_taken", &done::<CancelReservation, _>(taken, &()));
    let poor = done::<MarkReservation, _>(held().refuse::<UsePoints>(NotEnoughPoints), &());
    kept("too_few_points", &done::<CancelReservation, _>(done::<FreeBike, _>(poor, &()), &()));
}

#[test]
fn a_cancellation_under_way_and_one_while_points_are_taken() {
    let given_back = |story| {
        let story = done::<FreeBike, _>(done::<ReturnPoints, _>(story, &()), &());
        done::<CancelReservation, _>(story, &())
    };
    kept("cancelled", &given_back(started().cancel()));
    kept("cancelled_while_pending", &given_back(held().cancel().lose::<UsePoints>()));
}

#[test]
fn points_that_are_bought_declined_and_given_back() {
    kept("bought", &done::<IncreasePoints, _>(paid(), &()));
    kept("cancelled_too_late", &paid().cancel());
    let asked = || done::<CreateApproval, _>(bought(), &());
    let declined = asked().refuse::<Charge>(Declined::Card);
    kept("declined", &done::<CancelApproval, _>(declined, &()));
    let cancelled = done::<Refund, _>(done::<Charge, _>(asked().cancel(), &PaymentId(5)), &());
    kept("cancelled", &done::<CancelApproval, _>(cancelled, &()));
}
