//! What the ride writes down, kept in `golden`; see `taxi_call_golden.rs`.

use std::time::Duration;

use hansom_core::Activity;
use hansom_core::testing::{Golden, Script, golden};
use hansom_workflows::anycall_ride::{
    AnycallRide, AssignTaxi, AttachMember, CallTaken, CloseDispatch, CustomerCancel, LoadMember,
    MarkCancelled, MarkEnded, MarkStarted, MemberGone, OpenDispatch, PlaceCall, Position,
    RecordTrip, Review, ReviewCall, RideEnd, RideStart, ScoreTaxi, TripCount, UnassignTaxi,
    WithdrawCall,
};
use hansom_workflows::notification::{Channel, Notice, Notify};
use hansom_workflows::payment::{Charge, Declined, PaymentId, Refund, WasCharged, Won};

use super::{FARE, Story, accept, ride, rider};

/// It takes a second.
fn done<A: Activity>(story: Story, output: &A::Output) -> Story {
    story.wait(Duration::from_secs(1)).complete::<A>(output)
}

fn placed() -> Story {
    done::<PlaceCall>(Script::start(&ride()), &())
}

fn searching() -> Story {
    let loaded = done::<LoadMember>(done::<OpenDispatch>(placed(), &()), &rider("1111"));
    done::<AttachMember>(loaded, &())
}

fn assigned() -> Story {
    done::<AssignTaxi>(searching().update("accept", &accept("114너7484")), &())
}

fn riding() -> Story {
    done::<MarkStarted>(assigned().update("start", &RideStart {}), &())
}

fn ended() -> Story {
    let paid = done::<Charge>(riding().update("end", &FARE), &PaymentId(5));
    done::<MarkEnded>(paid, &())
}

fn closed(story: Story) -> Story {
    done::<WithdrawCall>(done::<CloseDispatch>(story, &()), &())
}

fn kept(name: &str, story: &Story) {
    golden(format!("tests/golden/anycall_ride/{name}.json"), story);
}

#[test]
fn whatever_was_kept_can_go_on_also_when_its_story_is_not_told_any_more() {
    let mut kept = 0;
    for file in std::fs::read_dir("tests/golden/anycall_ride").expect("the folder is there") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("it is text");
        Golden::<AnycallRide>::parse(&text).replay();
        kept += 1;
    }
    assert!(kept >= 12, "{kept} are kept");
}

#[test]
fn a_ride_from_its_call_to_its_review() {
    kept("under_way", &riding().signal(&Position { latitude: 37.36, longitude: 127.1 }));
    let review = Review { estimate_score: "5".to_owned() };
    let reviewed = done::<ReviewCall>(ended().update("review", &review), &());
    let counted = done::<RecordTrip>(done::<ScoreTaxi>(reviewed, &()), &TripCount(1));
    kept("reviewed", &counted);
    let window = ended().advance(Duration::from_hours(7 * 24));
    kept("not_reviewed", &done::<RecordTrip>(window, &TripCount(2)));
}

#[test]
fn a_search_that_is_cancelled_one_that_is_given_up_and_a_taxi_that_does_not_come() {
    let first = searching().fire();
    kept("reminding", &first);
    let first = first.complete_child::<Notice>("anycall.call.1.searching.1", &true, Vec::new());
    let cancelled = first.fire().update("cancel", &CustomerCancel {});
    kept("cancelled_by_customer", &closed(done::<MarkCancelled>(cancelled, &())));
    let mut impatient = ride();
    impatient.terms.give_up_after_ms = 1_000;
    kept("no_show", &closed(done::<UnassignTaxi>(assigned().fire(), &())));
    kept("given_up", &Story::start(&impatient).complete::<PlaceCall>(&()).fire());
}

#[test]
fn who_comes_too_early_and_too_late() {
    let late = assigned().update("two", &accept("2")).update("cancel", &CustomerCancel {});
    kept("turned_away", &late.update("end", &FARE));
}

#[test]
fn a_call_that_is_taken_and_one_that_nobody_would_pay() {
    kept("call_taken", &Script::start(&ride()).refuse::<PlaceCall>(CallTaken));
    let gone = done::<OpenDispatch>(placed(), &()).refuse::<LoadMember>(MemberGone);
    kept("member_gone", &closed(gone));
}

#[test]
fn a_payment_that_is_declined_and_one_in_doubt() {
    let declined = riding().update("end", &FARE).refuse::<Charge>(Declined::Card);
    let again = done::<LoadMember>(declined.update("again", &FARE), &rider("2222"));
    kept("declined", &done::<Charge>(again, &PaymentId(6)));
    let doubt = riding().update("end", &FARE).exhaust::<Charge>().lose::<WasCharged>();
    let other = doubt.update("other", &RideEnd { pay_amt: Won(1) });
    kept("in_doubt", &done::<Charge>(other.update("again", &FARE), &PaymentId(5)));
    let not_done = riding().update("end", &FARE).exhaust::<Charge>();
    kept("not_charged", &not_done.find_not_done::<WasCharged>());
}

#[test]
fn a_ride_that_an_operator_cancels_under_way_and_while_it_is_charged() {
    kept("cancelled", &closed(done::<UnassignTaxi>(riding().cancel(), &())));
    let charging = done::<Charge>(riding().update("end", &FARE).cancel(), &PaymentId(5));
    let back = done::<UnassignTaxi>(done::<Refund>(charging, &()), &());
    kept("cancelled_while_charging", &closed(back));
}

#[test]
fn a_message_on_its_way() {
    let notify = Notify {
        about: "anycall.call.1".to_owned(),
        channel: Channel::App,
        from: "02-1234-5678".to_owned(),
        to: "010-7202-2664".to_owned(),
        message: "배차 중입니다".to_owned(),
    };
    let told = Script::<Notice>::start(&notify).complete::<Notify>(&());
    golden("tests/golden/notice/told.json", &told);
    let lost = Script::<Notice>::start(&notify).lose::<Notify>();
    golden("tests/golden/notice/lost.json", &lost);
}
