//! What the customer sees of a ride.

use hansom_workflows::anycall_ride::{
    CloseDispatch, CustomerCancel, LoadMember, MarkCancelled, PlaceCall, Position, RecordTrip,
    Review, ReviewCall, ScoreTaxi, TaxiServiceInfos, TripCount, UnassignTaxi, WithdrawCall,
};
use hansom_workflows::payment::{Charge, Declined};
use serde_json::{Value, json};

use super::{FARE, Story, assigned, ended, rider, riding, searching, started};

fn row(story: &Story) -> Value {
    story.row::<TaxiServiceInfos>().expect("there is a row")
}

fn fields(story: &Story, fields: &[&str]) -> Value {
    let row = row(story);
    fields.iter().map(|field| row[field].clone()).collect()
}

#[test]
fn every_stage_from_the_call_to_the_review() {
    let stages = ["callStatus", "taxiStatus"];
    assert_eq!(fields(&started(), &stages), json!([null, null]));
    assert_eq!(fields(&started().complete::<PlaceCall>(&()), &stages), json!(["택시호출", null]));
    assert_eq!(fields(&assigned(), &stages), json!(["택시호출", "배정됨"]));
    assert_eq!(fields(&riding(), &stages), json!(["택시호출", "운행시작"]));
    assert_eq!(fields(&ended(), &stages), json!(["택시호출", "운행종료"]));
    let reviewed = ended().update("review", &Review { estimate_score: "5".to_owned() });
    let reviewed = reviewed.complete::<ReviewCall>(&()).complete::<ScoreTaxi>(&());
    let mut row = row(&reviewed.complete::<RecordTrip>(&TripCount(2)));
    assert!(row["updatedAt"].take().is_i64());
    assert_eq!(
        row,
        json!({
            "callId": 1, "memberId": 7, "memberName": "홍길동", "phoneNumber": "010-7202-2664",
            "friendPhoneNumber": "010-3333-4444", "creditCardNumber": "****-****-****-1111",
            "startAddress": "정자동", "endAddress": "목동", "callStatus": "서비스평가",
            "taxiNumber": "114너7484", "taxiInfo": "서울택시(주)", "taxiStatus": "운행종료",
            "payAmt": 15_000, "estimateScore": "5", "latitude": null, "longitude": null,
            "updatedAt": null,
        })
    );
}

#[test]
fn a_cancelled_call_says_so() {
    let cancelled = searching().update("cancel", &CustomerCancel {}).complete::<MarkCancelled>(&());
    assert_eq!(row(&cancelled)["callStatus"], "호출취소");
    let unwound = riding().cancel().complete::<UnassignTaxi>(&()).complete::<CloseDispatch>(&());
    let unwound = unwound.complete::<WithdrawCall>(&());
    let all = ["callStatus", "taxiStatus", "taxiNumber", "taxiInfo"];
    assert_eq!(fields(&unwound, &all), json!(["호출취소", null, null, null]));
}

#[test]
fn the_position_is_of_interest_from_the_assignment_to_the_end() {
    let at = ["latitude", "longitude"];
    let position = Position { latitude: 37.36, longitude: 127.1 };
    assert_eq!(fields(&searching().signal(&position), &at), json!([null, null]));
    assert_eq!(fields(&assigned().signal(&position), &at), json!([37.36, 127.1]));
    let on = Position { latitude: 37.5, longitude: 127.0 };
    assert_eq!(fields(&riding().signal(&position).signal(&on), &at), json!([37.5, 127.0]));
    assert_eq!(fields(&ended().signal(&on), &at), json!([null, null]));
}

#[test]
fn another_card_is_shown_once_it_is_looked_up() {
    let declined = riding().update("end", &FARE).refuse::<Charge>(Declined::Card);
    let again = declined.update("again", &FARE).complete::<LoadMember>(&rider("2222"));
    assert_eq!(row(&again)["creditCardNumber"], "****-****-****-2222");
}
