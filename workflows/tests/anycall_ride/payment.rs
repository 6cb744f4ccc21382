//! The end of a ride, which is its payment.

use hansom_core::Status;
use hansom_workflows::anycall_ride::{
    CloseDispatch, LoadMember, MarkEnded, MemberGone, Refusal, RideEnd, UnassignTaxi, WithdrawCall,
};
use hansom_workflows::payment::{Charge, Declined, PaymentId, Refund, WasCharged, Won};

use super::{FARE, Story, asked, payer, plan, rider, riding};

fn refusal(script: &Story, id: &str) -> Refusal {
    script.answer::<RideEnd>(id).expect("it is answered").expect_err("it is refused")
}

#[test]
fn a_card_that_is_declined_leaves_the_ride_open_until_another_is_registered() {
    let script = riding().update("end", &FARE).refuse::<Charge>(Declined::Card);
    assert_eq!(refusal(&script, "end"), Refusal::Declined);
    assert!(!plan(script.ledger()).contains(&"refund".to_owned()));
    let script = script.update("again", &RideEnd { pay_amt: Won(14_000) });
    let script = script.complete::<LoadMember>(&rider("2222"));
    let script = script.complete::<Charge>(&PaymentId(6));
    assert!(script.ledger().pivoted());
    let charged = asked::<Charge>(&script);
    assert_eq!((&charged[1].payer, charged[1].amount), (&payer("2222"), Won(14_000)));
}

#[test]
fn a_member_who_left_after_a_decline_or_cannot_be_looked_up_leaves_it_open() {
    let declined = || riding().update("end", &FARE).refuse::<Charge>(Declined::Card);
    let gone = declined().update("again", &FARE).refuse::<LoadMember>(MemberGone);
    assert_eq!(refusal(&gone, "again"), Refusal::Declined);
    let silent = declined().update("again", &FARE).lose::<LoadMember>();
    assert_eq!(refusal(&silent, "again"), Refusal::Unavailable);
    let script = silent.update("third", &FARE).complete::<LoadMember>(&rider("2222"));
    assert!(script.complete::<Charge>(&PaymentId(6)).ledger().pivoted());
}

#[test]
fn while_nobody_knows_whether_it_was_paid_only_the_same_amount_may_be_asked_for() {
    let script = riding().update("end", &FARE).exhaust::<Charge>().lose::<WasCharged>();
    assert_eq!(refusal(&script, "end"), Refusal::Unavailable);
    assert_eq!(plan(script.ledger())[0], "refund");
    let script = script.update("other", &RideEnd { pay_amt: Won(1) });
    assert_eq!(refusal(&script, "other"), Refusal::Stands(Won(15_000)));
    assert_eq!(asked::<Charge>(&script).len(), 1);
    let script = script.update("again", &FARE).complete::<Charge>(&PaymentId(5));
    assert!(script.ledger().pivoted());
}

#[test]
fn once_it_is_known_that_nothing_was_paid_any_amount_may_be_asked_for() {
    let script = riding().update("end", &FARE).exhaust::<Charge>();
    let script = script.find_not_done::<WasCharged>();
    assert_eq!(refusal(&script, "end"), Refusal::Unavailable);
    let script = script.update("other", &RideEnd { pay_amt: Won(1) });
    assert!(script.complete::<Charge>(&PaymentId(5)).ledger().pivoted());
}

#[test]
fn a_charge_that_the_probe_finds_ends_the_ride() {
    let script = riding().update("end", &FARE).exhaust::<Charge>();
    let script = script.find_done::<WasCharged>(&PaymentId(5)).complete::<MarkEnded>(&());
    assert_eq!(script.answer::<RideEnd>("end"), Some(Ok(PaymentId(5))));
}

#[test]
fn what_was_charged_already_is_named_a_closed_account_says_so_and_nothing_costs_nothing() {
    let script = riding().update("end", &FARE).refuse::<Charge>(Declined::Charged(Won(9)));
    assert_eq!(refusal(&script, "end"), Refusal::Stands(Won(9)));
    let script = riding().update("end", &FARE).refuse::<Charge>(Declined::Closed);
    assert_eq!(refusal(&script, "end"), Refusal::Closed);
    let script = riding().update("end", &RideEnd { pay_amt: Won(0) });
    assert_eq!(refusal(&script, "end"), Refusal::Amount);
    assert!(asked::<Charge>(&script).is_empty());
}

#[test]
fn a_charge_in_flight_is_waited_for_and_given_back_when_the_ride_is_cancelled() {
    let script = riding().update("end", &FARE).cancel().complete::<Charge>(&PaymentId(5));
    let script = script.complete::<Refund>(&()).complete::<UnassignTaxi>(&());
    let script = script.complete::<CloseDispatch>(&()).complete::<WithdrawCall>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
}
