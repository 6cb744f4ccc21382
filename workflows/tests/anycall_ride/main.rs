//! The ride that a driver accepts: rehearsed, walked, and as it is written down.

mod golden;
mod payment;
mod view;
mod walk;
mod world;

use std::time::Duration;

use hansom_core::testing::Script;
use hansom_core::{Activity, ActivityError, Cause, Command, Event, Ledger, Status, UndoStatus};
use hansom_workflows::anycall_ride::{
    AnycallRide, AssignTaxi, AttachMember, Call, CallId, CallTaken, CloseDispatch, CustomerCancel,
    DriverAccept, LoadMember, MarkCancelled, MarkEnded, MarkStarted, Member, MemberGone, MemberId,
    OpenDispatch, PlaceCall, Position, RecordTrip, Refusal, Review, ReviewCall, Ride, RideEnd,
    RideError, RideStart, Rider, ScoreTaxi, Stage, Taxi, Terms, Trip, TripCount, UnassignTaxi,
    WithdrawCall,
};
use hansom_workflows::notification::{Channel, Notice, Notify};
use hansom_workflows::payment::{Charge, Payer, PaymentId, Won};

type Story = Script<AnycallRide>;

const CALL: CallId = CallId(1);
const CARD: &str = "1111";
const FARE: RideEnd = RideEnd { pay_amt: Won(15_000) };

fn ride() -> Ride {
    let call = Call {
        call_id: CALL,
        member_id: MemberId(7),
        phone_number: "010-7202-2664".to_owned(),
        start_address: "정자동".to_owned(),
        end_address: "목동".to_owned(),
    };
    Ride { call, terms: Terms::default() }
}

/// A member whose card ends so.
fn rider(last: &str) -> Rider {
    let member = Member {
        name: "홍길동".to_owned(),
        phone_number: "010-1111-2222".to_owned(),
        masked_card: format!("****-****-****-{last}"),
        friend_phone_number: "010-3333-4444".to_owned(),
    };
    Rider { member, payer: payer(last) }
}

fn payer(last: &str) -> Payer {
    Payer(format!("card_{last}"))
}

fn accept(number: &str) -> DriverAccept {
    let (taxi_number, taxi_info) = (number.to_owned(), "서울택시(주)".to_owned());
    DriverAccept { taxi: Taxi { taxi_number, taxi_info } }
}

fn started() -> Story {
    Script::start(&ride())
}

fn searching() -> Story {
    let opened = started().complete::<PlaceCall>(&()).complete::<OpenDispatch>(&());
    opened.complete::<LoadMember>(&rider(CARD)).complete::<AttachMember>(&())
}

fn assigned() -> Story {
    searching().update("accept", &accept("114너7484")).complete::<AssignTaxi>(&())
}

fn riding() -> Story {
    assigned().update("start", &RideStart {}).complete::<MarkStarted>(&())
}

fn paid() -> Story {
    riding().update("end", &FARE).complete::<Charge>(&PaymentId(5))
}

fn ended() -> Story {
    paid().complete::<MarkEnded>(&())
}

fn plan(ledger: &Ledger) -> Vec<String> {
    ledger.undo_plan().into_iter().map(|undo| undo.activity).collect()
}

fn asked<A: Activity>(script: &Story) -> Vec<A> {
    let events = script.history().iter().flat_map(|(_, events)| events);
    let asked = events.filter_map(|event| match event {
        Event::Asked(Command::Run { activity, request, .. }) if activity == A::NAME => {
            request.decode().ok()
        }
        _ => None,
    });
    asked.collect()
}

/// The messages that were sent off: by their ids, to whom.
fn told(script: &Story) -> Vec<(String, Notify)> {
    let events = script.history().iter().flat_map(|(_, events)| events);
    let told = events.filter_map(|event| match event {
        Event::Asked(Command::StartChild(start)) => {
            Some((start.workflow_id.clone(), start.input.decode().expect("a message")))
        }
        _ => None,
    });
    told.collect()
}

fn told_what(script: &Story) -> Vec<String> {
    let ids = told(script).into_iter().map(|(id, _)| id);
    ids.map(|id| id.trim_start_matches("anycall.call.1.").to_owned()).collect()
}

fn error(script: &Story) -> RideError {
    match script.ledger().cause() {
        Some(Cause::Failed { error }) => error.decode().expect("the error of a ride"),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn a_ride_is_accepted_driven_paid_and_reviewed() {
    let script = ended().update("review", &Review { estimate_score: "5".to_owned() });
    let script = script.complete::<ReviewCall>(&()).complete::<ScoreTaxi>(&());
    let script = script.complete::<RecordTrip>(&TripCount(1));
    assert_eq!(script.ledger().status(), Status::Completed);
    let trip: Trip = script.ledger().outcome().unwrap().output.unwrap().decode().unwrap();
    let (payment_id, pay_amt) = (PaymentId(5), Won(15_000));
    let estimate_score = Some("5".to_owned());
    assert_eq!(trip, Trip { call_id: CALL, payment_id, pay_amt, estimate_score });
    assert_eq!(
        told_what(&script),
        ["assigned", "started", "started.friend", "ended", "ended.friend", "paid", "promotion"]
    );
    assert_eq!(asked::<Charge>(&script)[0].payer, payer(CARD));
    assert_eq!(script.answer::<DriverAccept>("accept"), Some(Ok(())));
    assert_eq!(script.answer::<RideStart>("start"), Some(Ok(())));
    assert_eq!(script.answer::<RideEnd>("end"), Some(Ok(PaymentId(5))));
    assert_eq!(script.answer::<Review>("review"), Some(Ok(())));
}

#[test]
fn the_customer_is_told_in_the_app_and_the_friend_by_text_message() {
    let told = told(&riding());
    let whom: Vec<_> = told.iter().map(|(_, n)| (n.channel, n.to.as_str())).collect();
    let (customer, friend) = ("010-7202-2664", "010-3333-4444");
    assert_eq!(whom, [(Channel::App, customer), (Channel::App, customer), (Channel::Sms, friend)]);
    assert_eq!(told[0].1.message, "택시가 배정되었습니다 : 서울택시(주)");
    assert_eq!(told[2].1.message, "택시운행이 시작되었습니다 : 서울택시(주)");
}

#[test]
fn without_a_friend_nobody_is_told_but_the_customer() {
    let opened = started().complete::<PlaceCall>(&()).complete::<OpenDispatch>(&());
    let mut alone = rider(CARD);
    alone.member.friend_phone_number.clear();
    let script = opened.complete::<LoadMember>(&alone).complete::<AttachMember>(&());
    let script = script.update("accept", &accept("1")).complete::<AssignTaxi>(&());
    let script = script.update("start", &RideStart {}).complete::<MarkStarted>(&());
    assert_eq!(told_what(&script), ["assigned", "started"]);
}

#[test]
fn no_message_holds_up_the_ride_or_comes_back_when_it_unwinds() {
    // None of those above was ever answered. Cancelled, it does not wait for them either.
    let script = riding().cancel().complete::<UnassignTaxi>(&()).complete::<CloseDispatch>(&());
    let script = script.complete::<WithdrawCall>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
}

#[test]
fn a_customer_who_waits_is_told_once_an_interval_and_of_no_interval_that_was_slept_through() {
    let (every, nearly) = (Duration::from_secs(30), Duration::from_millis(29_999));
    let told = |script: &Story| told_what(script);
    let arrived = |script: Story, number: u32| {
        let id = format!("anycall.call.1.searching.{number}");
        script.complete_child::<Notice>(&id, &true, Vec::new())
    };
    let script = searching().advance(nearly);
    assert!(told(&script).is_empty());
    let script = arrived(script.fire(), 1);
    let script = arrived(script.fire(), 2);
    assert_eq!(told(&script), ["searching.1", "searching.2"]);
    // Nobody is there for ten intervals; then it is told once, and next an interval later.
    let script = arrived(script.wait(every * 10).fire(), 3);
    let script = script.advance(nearly);
    assert_eq!(told(&script), ["searching.1", "searching.2", "searching.3"]);
    let script = script.fire();
    // The fourth has not arrived: there is no fifth.
    assert_eq!(told(&script).len(), 4);
    let script = script.advance(every * 10);
    assert_eq!(told(&script).len(), 4);
    // Assigned: the fourth is called back, and there are no more.
    let script = script.update("accept", &accept("1")).complete::<AssignTaxi>(&());
    assert!(script.story().iter().any(|line| line.contains("cancel")), "{:?}", script.story());
    assert_eq!(told(&script.advance(every * 10)).last().unwrap(), "assigned");
}

#[test]
fn a_customer_may_cancel_as_long_as_no_taxi_is_assigned() {
    let script = searching().update("cancel", &CustomerCancel {});
    assert_eq!(script.answer::<CustomerCancel>("cancel"), None, "the call is not marked yet");
    let script = script.complete::<MarkCancelled>(&());
    assert_eq!(script.answer::<CustomerCancel>("cancel"), Some(Ok(())));
    let script = script.complete::<CloseDispatch>(&()).complete::<WithdrawCall>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
    assert!(told(&script).is_empty());
}

#[test]
fn a_customer_may_cancel_while_no_taxi_can_be_reached() {
    let script = started().complete::<PlaceCall>(&()).update("cancel", &CustomerCancel {});
    let script = script.complete::<MarkCancelled>(&());
    assert_eq!(script.answer::<CustomerCancel>("cancel"), Some(Ok(())));
    // The dispatch is under way, so it is waited for, and closed.
    let script = script.complete::<OpenDispatch>(&()).complete::<CloseDispatch>(&());
    assert_eq!(script.complete::<WithdrawCall>(&()).ledger().status(), Status::Cancelled);
}

#[test]
fn a_cancel_after_the_assignment_is_refused_and_changes_nothing() {
    let late = |script: Story, stage| {
        let before = plan(script.ledger());
        let script = script.update("cancel", &CustomerCancel {});
        let refused = script.answer::<CustomerCancel>("cancel");
        assert_eq!(refused, Some(Err(Refusal::Stage(stage))));
        assert_eq!(plan(script.ledger()), before);
        assert!(!script.story().iter().any(|line| line == "unwind"));
    };
    late(searching().update("accept", &accept("1")), Stage::Assigned);
    late(assigned(), Stage::Assigned);
    late(riding(), Stage::InService);
    late(ended(), Stage::Ended);
}

#[test]
fn of_two_drivers_one_has_it() {
    let script = searching().update("one", &accept("1")).update("two", &accept("2"));
    let taken = Some(Err(Refusal::Stage(Stage::Assigned)));
    assert_eq!(script.answer::<DriverAccept>("two"), taken);
    assert_eq!(script.answer::<DriverAccept>("one"), None, "it is not written down yet");
    let script = script.complete::<AssignTaxi>(&());
    assert_eq!(script.answer::<DriverAccept>("one"), Some(Ok(())));
    assert_eq!(asked::<AssignTaxi>(&script)[0].taxi.taxi_number, "1");
}

#[test]
fn a_driver_who_is_early_waits_for_the_dispatch() {
    let script = started().complete::<PlaceCall>(&()).update("accept", &accept("1"));
    assert_eq!(script.answer::<DriverAccept>("accept"), None);
    let script = script.complete::<OpenDispatch>(&()).complete::<LoadMember>(&rider(CARD));
    let script = script.complete::<AttachMember>(&()).complete::<AssignTaxi>(&());
    assert_eq!(script.answer::<DriverAccept>("accept"), Some(Ok(())));
}

#[test]
fn whatever_comes_too_early_is_refused() {
    let review = Review { estimate_score: "5".to_owned() };
    let stage = |stage| Some(Err(Refusal::Stage(stage)));
    let script = searching().update("start", &RideStart {});
    assert_eq!(script.answer::<RideStart>("start"), stage(Stage::Unassigned));
    let script = assigned().update("end", &FARE);
    assert_eq!(script.answer::<RideEnd>("end"), Some(Err(Refusal::Stage(Stage::Assigned))));
    let script = riding().update("review", &review);
    assert_eq!(script.answer::<Review>("review"), stage(Stage::InService));
    let script = riding().update("again", &RideStart {});
    assert_eq!(script.answer::<RideStart>("again"), stage(Stage::InService));
}

#[test]
fn nobody_who_can_pay_is_told_so() {
    let opened = started().complete::<PlaceCall>(&()).complete::<OpenDispatch>(&());
    let script = opened.refuse::<LoadMember>(MemberGone);
    assert_eq!(told_what(&script), ["cancelled"]);
    let script = script.complete::<CloseDispatch>(&()).complete::<WithdrawCall>(&());
    assert_eq!(error(&script), RideError::Member(ActivityError::Refused(MemberGone)));
}

#[test]
fn a_call_that_no_taxi_takes_is_given_up() {
    let mut ride = ride();
    ride.terms.give_up_after_ms = 20_000;
    let opened = Story::start(&ride).complete::<PlaceCall>(&()).complete::<OpenDispatch>(&());
    let script = opened.complete::<LoadMember>(&rider("1")).complete::<AttachMember>(&());
    let script = script.advance(Duration::from_secs(20));
    assert_eq!(told_what(&script), ["cancelled"]);
    let script = script.complete::<CloseDispatch>(&()).complete::<WithdrawCall>(&());
    assert_eq!(error(&script), RideError::NoTaxi);
}

#[test]
fn a_taxi_that_does_not_come_is_let_go_and_the_customer_is_told() {
    let (hour, nearly) = (Duration::from_hours(1), Duration::from_millis(3_599_999));
    let waiting = assigned().advance(nearly);
    assert_eq!(told_what(&waiting), ["assigned"]);
    let script = waiting.fire();
    assert_eq!(told_what(&script), ["assigned", "cancelled"]);
    assert!(told(&script)[1].1.message.contains("오지 않아"));
    let script = script.complete::<UnassignTaxi>(&()).complete::<CloseDispatch>(&());
    let script = script.complete::<WithdrawCall>(&());
    assert_eq!(error(&script), RideError::NoShow);
    assert_eq!(script.ledger().status(), Status::Failed);
    // One that has come has come.
    assert_eq!(riding().advance(hour).ledger().status(), Status::Running);
}

#[test]
fn a_search_fits_into_its_history_however_often_the_customer_would_be_told() {
    let mut ride = ride();
    (ride.terms.notice_every_ms, ride.terms.give_up_after_ms) = (1, 7 * 24 * 3_600_000);
    let opened = Story::start(&ride).complete::<PlaceCall>(&()).complete::<OpenDispatch>(&());
    let mut script = opened.complete::<LoadMember>(&rider(CARD)).complete::<AttachMember>(&());
    let mut number = 0;
    loop {
        script = script.fire();
        if script.ledger().status() != Status::Running {
            break;
        }
        number += 1;
        let id = format!("anycall.call.1.searching.{number}");
        script = script.complete_child::<Notice>(&id, &true, Vec::new());
    }
    assert!((900..=1_000).contains(&number), "{number} notices in a week");
    let (limit, positions_of_a_day) = (50_000, 24 * 3_600 / 2);
    let events = script.ledger().events();
    assert!(events + positions_of_a_day < limit, "{events} events of a search alone");
}

#[test]
fn a_call_that_is_taken_comes_to_nothing() {
    let script = started().refuse::<PlaceCall>(CallTaken);
    assert_eq!(error(&script), RideError::Place(ActivityError::Refused(CallTaken)));
    assert_eq!(script.ledger().undo_status(), UndoStatus::None);
}

#[test]
fn a_ride_under_way_owes_every_undo_last_in_first_out() {
    let undos = ["unassign_taxi", "close_dispatch", "withdraw_call"];
    assert_eq!(plan(riding().ledger()), undos);
    let charging = riding().update("end", &FARE);
    assert_eq!(plan(charging.ledger()), [&["refund"], &undos[..]].concat());
    // Paid: there is no way back.
    assert!(plan(paid().ledger()).is_empty());
    assert_eq!(paid().cancel().complete::<MarkEnded>(&()).ledger().status(), Status::Running);
}

#[test]
fn where_the_taxi_is_wakes_nobody() {
    let script = riding().signal(&Position { latitude: 37.36, longitude: 127.1 });
    assert_eq!(script.story(), riding().story());
    let update = script.update("end", &FARE).complete::<Charge>(&PaymentId(5));
    assert!(update.ledger().pivoted());
}

#[test]
fn a_ride_that_nobody_reviews_is_over_after_its_window() {
    let script = ended().advance(Duration::from_hours(7 * 24));
    let late = script.update("late", &Review { estimate_score: "5".to_owned() });
    let stage = Some(Err(Refusal::Stage(Stage::Over)));
    assert_eq!(late.answer::<Review>("late"), stage);
    let script = late.complete::<RecordTrip>(&TripCount(2));
    assert_eq!(script.ledger().status(), Status::Completed);
    assert!(!told_what(&script).contains(&"promotion".to_owned()));
}

#[test]
fn an_end_that_is_repeated_is_refused_as_ended() {
    let script = paid().update("again", &FARE);
    let ended = Some(Err(Refusal::Stage(Stage::Ended)));
    assert_eq!(script.answer::<RideEnd>("again"), ended);
    assert_eq!(script.answer::<RideEnd>("end"), None, "the taxi does not know yet");
}
