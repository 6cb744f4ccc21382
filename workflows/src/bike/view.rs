//! What a user sees of a reservation, and of a purchase.

use hansom_core::{Fact, Patch, Status, View};

use super::contract::{
    CancelApproval, CancelReservation, CreateApproval, CreateReservation, IncreasePoints,
    MarkReservation, Purchase, Reservation, ReserveStatus,
};
use super::{BikeReservation, PointPurchase};

/// `/reservationDashboards`: who has which bike. The status is null until it is decided.
pub struct ReservationDashboards;

impl ReservationDashboards {
    /// The field that says whether the reservation was ever written down: the others are not
    /// for show.
    pub const CREATED: &'static str = "created";
}

const STATUS: &str = "reserveStatus";

impl View for ReservationDashboards {
    const NAME: &'static str = "reservation_dashboards";
    type Workflow = BikeReservation;

    fn key(reservation: &Reservation) -> i64 {
        reservation.reserve_no.0
    }

    /// The number is a text here, as in the documents.
    fn start(reservation: &Reservation) -> Patch {
        let row = Patch::new().set("reserveNo", reservation.reserve_no.0.to_string());
        let row = row.set("userId", reservation.user_id).set("bikeId", reservation.bike_id);
        row.set(STATUS, None::<ReserveStatus>).set(Self::CREATED, false)
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
        if fact.done::<CreateReservation>().is_some() {
            return Some(Patch::new().set(Self::CREATED, true));
        }
        let status = fact.field::<ReserveStatus>(STATUS);
        let to = if let Some((mark, ())) = fact.done::<MarkReservation>() {
            mark.status
        } else if fact.undone::<CancelReservation>().is_some() {
            ReserveStatus::Cancelled
        } else if fact.closed() == Some(Status::Failed) {
            ReserveStatus::Rejected
        } else {
            return None;
        };
        let is_final = !matches!(status, None | Some(ReserveStatus::Started));
        (!is_final).then(|| Patch::new().set(STATUS, to))
    }
}

/// How far each purchase of points is.
pub struct PointPurchases;

impl PointPurchases {
    /// The field that says how far it is: null until it is written down, `requested`, `given` or
    /// `cancelled`.
    pub const PROGRESS: &'static str = "progress";
}

impl View for PointPurchases {
    const NAME: &'static str = "point_purchases";
    type Workflow = PointPurchase;

    fn key(purchase: &Purchase) -> i64 {
        purchase.confirm_id.0
    }

    fn start(purchase: &Purchase) -> Patch {
        let row = Patch::new().set("confirmId", purchase.confirm_id);
        let row = row.set("userId", purchase.user_id).set("price", purchase.price);
        row.set("approveDate", &purchase.approve_date).set(Self::PROGRESS, None::<&str>)
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let progress = if fact.done::<CreateApproval>().is_some() {
            "requested"
        } else if fact.done::<IncreasePoints>().is_some() {
            "given"
        } else if fact.undone::<CancelApproval>().is_some() {
            // One that was never written down is not cancelled either.
            fact.field::<String>(Self::PROGRESS)?;
            "cancelled"
        } else {
            return None;
        };
        Some(Patch::new().set(Self::PROGRESS, progress))
    }
}
