//! What a user sees of a reservation.

use hansom_core::{Fact, Patch, Status, View};

use super::BikeReservation;
use super::contract::{CancelReservation, MarkReservation, Reservation, ReserveStatus};

/// `/reservationDashboards`: who has which bike. The status is null until it is decided.
pub struct ReservationDashboards;

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
        row.set(STATUS, None::<ReserveStatus>)
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
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
