//! What the rider sees of a call, whatever comes of it.

use hansom_core::testing::Script;
use hansom_workflows::taxi_call::{
    Call, CallId, CallTaken, CallViews, CancelCall, ChargeFare, CompleteDrive, Drive, DriveId,
    DriveNotAvailable, EndDrive, MarkCall, PayId, PaymentDeclined, RefundFare, RegisterCall,
    ReleaseDrive, RequestDrive, TaxiCall,
};
use serde_json::{Value, json};

fn started() -> Script<TaxiCall> {
    let distance = "20".parse().expect("a distance");
    let call_id = CallId(1);
    Script::start(&Call { call_id, user_id: "1".into(), user_name: "nana".into(), distance })
}

fn registered() -> Script<TaxiCall> {
    started().complete::<RegisterCall>(&())
}

fn placed() -> Script<TaxiCall> {
    registered().complete::<ChargeFare>(&PayId(5)).complete::<MarkCall>(&())
}

fn driving() -> Script<TaxiCall> {
    let (driver_name, taxi_num) = ("driver1111".into(), "1111".into());
    let drive = Drive { drive_id: DriveId(7), driver_name, taxi_num };
    placed().complete::<RequestDrive>(&drive).complete::<MarkCall>(&())
}

fn given_back(script: Script<TaxiCall>) -> Script<TaxiCall> {
    script.complete::<CancelCall>(&()).complete::<RefundFare>(&()).complete::<CancelCall>(&())
}

fn row(script: &Script<TaxiCall>) -> Value {
    script.row::<CallViews>().expect("it has a row")
}

/// `callStatus`, `driveStatus`, `placed` and `payment`.
fn states(script: &Script<TaxiCall>) -> Value {
    let row = row(script);
    json!([row["callStatus"], row["driveStatus"], row["placed"], row["payment"]])
}

#[test]
fn a_ride_is_seen_from_its_call_to_its_end() {
    let call = json!({"callId": 1, "userName": "nana", "callStatus": null, "driveId": null,
        "driveStatus": null, "driverName": null, "taxiNum": null, "placed": false, "payment": null});
    assert_eq!(row(&registered()), call);
    assert_eq!(states(&registered().complete::<ChargeFare>(&PayId(5)))[3], "paid");
    assert_eq!(states(&placed()), json!(["driveRequest", null, true, "paid"]));
    let under_way = json!({"callId": 1, "userName": "nana", "callStatus": "driveStart",
        "driveId": 7, "driveStatus": "start", "driverName": "driver1111", "taxiNum": "1111",
        "placed": true, "payment": "paid"});
    assert_eq!(row(&driving()), under_way);
    let ended = driving().signal(&EndDrive { drive_id: DriveId(7) }).complete::<CompleteDrive>(&());
    assert_eq!(states(&ended), json!(["driveStart", "end", true, "paid"]));
    let completed = ended.complete::<MarkCall>(&());
    assert_eq!(states(&completed), json!(["driveComplete", "end", true, "paid"]));
}

#[test]
fn a_payment_that_fails_says_why_and_stays_failed_when_the_call_is_undone() {
    let declined = registered().refuse::<ChargeFare>(PaymentDeclined).complete::<MarkCall>(&());
    let declined = declined.complete::<CancelCall>(&());
    assert_eq!(states(&declined), json!(["payFail", null, false, "declined"]));
    let unanswered = registered().lose::<ChargeFare>().complete::<MarkCall>(&());
    let unanswered = unanswered.complete::<RefundFare>(&()).complete::<CancelCall>(&());
    assert_eq!(states(&unanswered), json!(["payFail", null, false, "unanswered"]));
}

#[test]
fn a_call_without_a_driver_and_one_that_is_cancelled_are_given_back() {
    let refused = placed().refuse::<RequestDrive>(DriveNotAvailable);
    assert_eq!(states(&refused), json!(["driveRequest", "requestCancel", true, "paid"]));
    let cancelled = json!(["requestCancel", "requestCancel", true, "paid"]);
    assert_eq!(states(&given_back(refused)), cancelled);
    let released = driving().cancel().complete::<ReleaseDrive>(&());
    assert_eq!(row(&released)["driverName"], "driver1111", "who it was is still to be seen");
    assert_eq!(states(&given_back(released)), cancelled);
    let lost = placed().cancel().lose::<RequestDrive>().complete::<ReleaseDrive>(&());
    assert_eq!(states(&given_back(lost)), json!(["requestCancel", null, true, "paid"]));
}

#[test]
fn a_call_that_belongs_to_another_saga_is_never_placed() {
    let taken = started().refuse::<RegisterCall>(CallTaken);
    assert_eq!(states(&taken), json!([null, null, false, null]));
}
