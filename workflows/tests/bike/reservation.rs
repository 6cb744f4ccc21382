use hansom_core::testing::Script;
use hansom_core::{ActivityError, Status};
use hansom_workflows::bike::{
    BikeReservation, CancelReservation, CreateReservation, FreeBike, HoldBike, MarkReservation,
    NoBike, NotEnoughPoints, ReservationDashboards, ReservationError, ReserveStatus, ReturnBike,
    ReturnPoints, Taken, UsePoints,
};

use super::{created, failed, held, plan, reservation, started};

fn status(script: &Script<BikeReservation>) -> String {
    let row = script.row::<ReservationDashboards>().expect("it has a row");
    row["reserveStatus"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_bike_is_held_paid_for_used_and_returned_without_a_refund() {
    let script = started().update("return", &ReturnBike {});
    assert!(plan(script.ledger()).is_empty(), "the points are spent");
    assert_eq!(script.answer::<ReturnBike>("return"), None, "not before it is all written down");
    let script = script.complete::<FreeBike>(&()).complete::<MarkReservation>(&());
    assert_eq!(
        script.story(),
        [
            "create_reservation",
            "hold_bike",
            "use_points",
            "mark_reservation",
            "pivot",
            "free_bike",
            "mark_reservation",
            "answer",
            "completed",
        ]
    );
    assert_eq!(script.answer::<ReturnBike>("return"), Some(Ok(())));
}

#[test]
fn a_cancellation_gives_the_points_back_frees_the_bike_and_says_so() {
    let script = started().cancel().complete::<ReturnPoints>(&()).complete::<FreeBike>(&());
    let script = script.complete::<CancelReservation>(&());
    assert_eq!(
        script.story()[4..],
        [
            "unwind",
            "undo: return_points",
            "undo: free_bike",
            "undo: cancel_reservation",
            "cancelled"
        ]
    );
}

#[test]
fn a_bike_that_is_taken_costs_nothing() {
    for error in [NoBike::Held, NoBike::Unknown] {
        let script = created().refuse::<HoldBike>(error).complete::<MarkReservation>(&());
        let script = script.complete::<CancelReservation>(&());
        assert_eq!(
            script.story(),
            [
                "create_reservation",
                "hold_bike",
                "mark_reservation",
                "unwind",
                "undo: cancel_reservation",
                "failed",
            ]
        );
        assert_eq!(failed(&script), ReservationError::Bike(ActivityError::Refused(error)));
    }
}

#[test]
fn without_enough_points_the_bike_is_free_again() {
    let script = held().refuse::<UsePoints>(NotEnoughPoints).complete::<MarkReservation>(&());
    let script = script.complete::<FreeBike>(&()).complete::<CancelReservation>(&());
    assert_eq!(
        script.story()[3..],
        ["mark_reservation", "unwind", "undo: free_bike", "undo: cancel_reservation", "failed"]
    );
    assert!(matches!(failed(&script), ReservationError::Points(_)));
}

#[test]
fn what_nobody_knows_is_undone() {
    let script = held().lose::<UsePoints>().complete::<MarkReservation>(&());
    assert_eq!(plan(script.ledger()), ["return_points", "free_bike", "cancel_reservation"]);
    let script = created().lose::<HoldBike>().complete::<MarkReservation>(&());
    assert_eq!(plan(script.ledger()), ["free_bike", "cancel_reservation"]);
    let script = Script::<BikeReservation>::start(&reservation()).lose::<CreateReservation>();
    assert_eq!(plan(script.ledger()), ["cancel_reservation"]);
    let script = held().complete::<UsePoints>(&()).lose::<MarkReservation>();
    assert_eq!(plan(script.ledger()), ["return_points", "free_bike", "cancel_reservation"]);
    let script = created().refuse::<HoldBike>(NoBike::Held).lose::<MarkReservation>();
    assert!(matches!(failed(&script), ReservationError::Service(_)));
}

#[test]
fn a_reservation_of_another_saga_is_left_alone() {
    let script =
        Script::<BikeReservation>::start(&reservation()).refuse::<CreateReservation>(Taken);
    assert_eq!(script.story(), ["create_reservation", "unwind", "failed"]);
    assert_eq!(failed(&script), ReservationError::Create(ActivityError::Refused(Taken)));
}

#[test]
fn a_cancellation_during_a_step_waits_for_it_and_undoes_what_is_behind_it() {
    let holding = created().cancel().complete::<HoldBike>(&());
    assert_eq!(plan(holding.ledger()), ["free_bike", "cancel_reservation"]);
    let using = held().cancel().complete::<UsePoints>(&());
    assert_eq!(plan(using.ledger()), ["return_points", "free_bike", "cancel_reservation"]);
    let refused = held().cancel().refuse::<UsePoints>(NotEnoughPoints);
    assert_eq!(plan(refused.ledger()), ["free_bike", "cancel_reservation"]);
    let pending = held().cancel().lose::<UsePoints>();
    assert_eq!(plan(pending.ledger())[0], "return_points");
}

#[test]
fn of_a_return_and_a_cancellation_the_first_counts() {
    let returned = started().update("return", &ReturnBike {}).cancel();
    let returned = returned.complete::<FreeBike>(&()).cancel().complete::<MarkReservation>(&());
    assert_eq!(returned.ledger().status(), Status::Completed);
    let cancelled = started().cancel().update("return", &ReturnBike {});
    assert_eq!(cancelled.answer::<ReturnBike>("return"), None);
    let cancelled = cancelled.complete::<ReturnPoints>(&()).complete::<FreeBike>(&());
    let cancelled = cancelled.complete::<CancelReservation>(&());
    assert_eq!(cancelled.ledger().status(), Status::Cancelled);
}

#[test]
fn the_dashboard_says_where_it_is() {
    assert_eq!(status(&held()), "none");
    assert_eq!(status(&started()), "예약시작");
    let row = started().row::<ReservationDashboards>().unwrap();
    assert_eq!(
        row.to_string(),
        r#"{"bikeId":1,"created":true,"reserveNo":"1","reserveStatus":"예약시작","userId":10}"#
    );
    let script = started().update("return", &ReturnBike {}).complete::<FreeBike>(&());
    assert_eq!(status(&script), "예약시작");
    assert_eq!(status(&script.complete::<MarkReservation>(&())), "사용완료");
}

#[test]
fn the_dashboard_keeps_a_rejection_apart_from_a_cancellation() {
    let rejected = held().refuse::<UsePoints>(NotEnoughPoints).complete::<MarkReservation>(&());
    assert_eq!(status(&rejected), "예약거절");
    let rejected = rejected.complete::<FreeBike>(&()).complete::<CancelReservation>(&());
    assert_eq!(status(&rejected), "예약거절");
    let cancelled = started().cancel().complete::<ReturnPoints>(&()).complete::<FreeBike>(&());
    assert_eq!(status(&cancelled), "예약시작", "not all of it is undone");
    assert_eq!(status(&cancelled.complete::<CancelReservation>(&())), "예약취소");
    let taken = Script::<BikeReservation>::start(&reservation()).refuse::<CreateReservation>(Taken);
    assert_eq!(status(&taken), "예약거절");
}

#[test]
fn statuses_are_the_words_of_the_documents() {
    use ReserveStatus::{Cancelled, Rejected, Returned, Started};
    for status in [Started, Rejected, Cancelled, Returned] {
        assert_eq!(ReserveStatus::parse(status.as_str()), Some(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
}
