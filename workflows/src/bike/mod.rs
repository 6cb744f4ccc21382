//! Bikes that are reserved with points, and points that are bought.

mod contract;
mod purchase;
mod reservation;
mod view;

pub use contract::{
    BikeId, CancelApproval, CancelReservation, ConfirmId, CreateApproval, CreateReservation,
    FreeBike, HoldBike, IncreasePoints, MarkReservation, NoBike, NotEnoughPoints, Points, Purchase,
    Reservation, ReserveNo, ReserveStatus, ReturnPoints, Taken, UsePoints, UserId,
};
pub use purchase::{PointPurchase, PurchaseError};
pub use reservation::{BikeReservation, ReservationError, ReturnBike};
pub use view::{PointPurchases, ReservationDashboards};
