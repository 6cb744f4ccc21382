//! Bikes and points: rehearsed, walked, and what they write down.

mod golden;
mod purchase;
mod reservation;
mod reservation_walk;

use hansom_core::testing::Script;
use hansom_core::{Ledger, Workflow};
use hansom_workflows::bike::{
    BikeId, BikeReservation, ConfirmId, CreateReservation, HoldBike, MarkReservation,
    PointPurchase, Purchase, Reservation, ReserveNo, UsePoints, UserId,
};
use hansom_workflows::payment::Won;

const RESERVE_NO: ReserveNo = ReserveNo(1);
const USER: UserId = UserId(10);
const CONFIRM_ID: ConfirmId = ConfirmId(3);

fn reservation() -> Reservation {
    Reservation { reserve_no: RESERVE_NO, user_id: USER, bike_id: BikeId(1) }
}

fn purchase() -> Purchase {
    let approve_date = "20230207".to_owned();
    Purchase { confirm_id: CONFIRM_ID, user_id: USER, price: Won(3000), approve_date }
}

fn created() -> Script<BikeReservation> {
    Script::start(&reservation()).complete::<CreateReservation>(&())
}

fn held() -> Script<BikeReservation> {
    created().complete::<HoldBike>(&())
}

fn started() -> Script<BikeReservation> {
    held().complete::<UsePoints>(&()).complete::<MarkReservation>(&())
}

fn bought() -> Script<PointPurchase> {
    Script::start(&purchase())
}

fn plan(ledger: &Ledger) -> Vec<String> {
    ledger.undo_plan().into_iter().map(|undo| undo.activity).collect()
}

fn failed<W: Workflow>(script: &Script<W>) -> W::Error {
    match script.ledger().cause() {
        Some(hansom_core::Cause::Failed { error }) => error.decode().expect("its error"),
        other => panic!("it did not fail: {other:?}"),
    }
}
