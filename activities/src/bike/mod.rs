//! The services of the bikes, with real state in the schema `bike`.
//!
//! Requests are deduplicated by the reservation or the purchase they are for, also while two of
//! them run at the same time; an undo that comes first leaves a tombstone, and so does what is
//! refused.

pub mod approval;
pub mod management;
pub mod point;
pub mod reservation;

use hansom_core::Handlers;
use hansom_workflows::bike::{
    CancelApproval, CancelReservation, CreateApproval, CreateReservation, FreeBike, HoldBike,
    IncreasePoints, MarkReservation, ReturnPoints, UsePoints,
};

use self::approval::ApprovalService;
use self::management::BikeService;
use self::point::PointService;
use self::reservation::ReservationService;

impl BikeService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default().with::<HoldBike>(self.clone()).with::<FreeBike>(self.clone())
    }
}

impl PointService {
    /// What it does for the sagas.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<IncreasePoints>(self.clone())
            .with::<UsePoints>(self.clone())
            .with::<ReturnPoints>(self.clone())
    }
}

impl ReservationService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<CreateReservation>(self.clone())
            .with::<MarkReservation>(self.clone())
            .with::<CancelReservation>(self.clone())
    }
}

impl ApprovalService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<CreateApproval>(self.clone())
            .with::<CancelApproval>(self.clone())
    }
}
