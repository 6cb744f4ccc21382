//! What the taxi call writes down, kept in `golden`: the format and the steps of every main way
//! through it. What was kept once holds every body that comes after, as long as such runs are
//! open; see `hansom_core::testing::golden` for how one is added.

use std::time::Duration;

use hansom_core::Activity;
use hansom_core::testing::{Golden, Script, golden};
use hansom_workflows::taxi_call::{
    Call, CallId, CallTaken, CancelCall, ChargeFare, CompleteDrive, Drive, DriveId,
    DriveNotAvailable, EndDrive, MarkCall, PayId, PaymentDeclined, RefundFare, RegisterCall,
    ReleaseDrive, RequestDrive, TaxiCall,
};

type Story = Script<TaxiCall>;

const END: EndDrive = EndDrive { drive_id: DriveId(7) };

fn started() -> Story {
    let distance = "20".parse().expect("a distance");
    let call_id = CallId(1);
    Script::start(&Call { call_id, user_id: "1".into(), user_name: "nana".into(), distance })
}

/// It takes a second.
fn done<A: Activity>(story: Story, output: &A::Output) -> Story {
    story.wait(Duration::from_secs(1)).complete::<A>(output)
}

fn registered() -> Story {
    done::<RegisterCall>(started(), &())
}

fn charged() -> Story {
    done::<ChargeFare>(registered(), &PayId(5))
}

fn placed() -> Story {
    done::<MarkCall>(charged(), &())
}

fn driving() -> Story {
    let (driver_name, taxi_num) = ("driver1111".into(), "1111".into());
    let drive = Drive { drive_id: DriveId(7), driver_name, taxi_num };
    done::<MarkCall>(done::<RequestDrive>(placed(), &drive), &())
}

/// What was placed is given back.
fn given_back(story: Story) -> Story {
    let story = done::<RefundFare>(done::<CancelCall>(story, &()), &());
    done::<CancelCall>(story, &())
}

fn kept(name: &str, story: &Story) {
    golden(format!("tests/golden/taxi_call/{name}.json"), story);
}

#[test]
fn whatever_was_kept_can_go_on_also_when_its_story_is_not_told_any_more() {
    let mut kept = 0;
    for file in std::fs::read_dir("tests/golden/taxi_call").expect("the folder is there") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("it is text");
        Golden::<TaxiCall>::parse(&text).replay();
        kept += 1;
    }
    assert!(kept >= 12, "{kept} are kept");
}

#[test]
fn a_ride_from_its_call_to_its_end() {
    kept("under_way", &driving());
    let ended = driving().wait(Duration::from_mins(20)).signal(&END);
    kept("completed", &done::<MarkCall>(done::<CompleteDrive>(ended, &()), &()));
}

#[test]
fn a_signal_for_another_drive_and_one_that_is_early() {
    let other = driving().signal(&EndDrive { drive_id: DriveId(8) });
    kept("end_of_another", &other);
    kept("early_end", &placed().signal(&END));
}

#[test]
fn a_call_that_is_taken() {
    kept("call_taken", &started().refuse::<RegisterCall>(CallTaken));
}

#[test]
fn a_payment_that_is_declined_and_one_that_nobody_knows_of() {
    let declined = done::<MarkCall>(registered().refuse::<ChargeFare>(PaymentDeclined), &());
    kept("payment_declined", &done::<CancelCall>(declined, &()));
    let unknown = done::<MarkCall>(registered().lose::<ChargeFare>(), &());
    let unknown = done::<RefundFare>(unknown, &());
    kept("payment_unknown", &done::<CancelCall>(unknown, &()));
}

#[test]
fn no_driver() {
    let refused = placed().refuse::<RequestDrive>(DriveNotAvailable);
    kept("no_driver", &given_back(refused));
}

#[test]
fn a_cancellation_under_way_during_a_charge_and_too_late() {
    let cancelled = done::<ReleaseDrive>(driving().cancel(), &());
    kept("cancelled", &given_back(cancelled));
    let charging = done::<ChargeFare>(registered().cancel(), &PayId(5));
    kept("cancelled_while_charging", &done::<CancelCall>(done::<RefundFare>(charging, &()), &()));
    kept("cancelled_too_late", &driving().signal(&END).cancel());
}

#[test]
fn an_undo_that_stays_owed() {
    let owing = driving().cancel().lose::<ReleaseDrive>();
    let owing = done::<CancelCall>(owing, &()).lose::<RefundFare>();
    kept("undo_exhausted", &done::<CancelCall>(owing, &()));
}
