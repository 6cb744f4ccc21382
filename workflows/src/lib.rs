//! The sagas, their domain types, and the contracts of the activities they
//! need. Pure by its manifest: there is nothing here to do I/O with.

use hansom_core::Workflows;

pub mod anycall_ride;
pub mod bike;
pub mod move_order;
pub mod notification;
mod patience;
pub mod payment;
pub mod taxi_call;

/// Every workflow type of this crate.
pub fn all() -> Workflows {
    Workflows::default()
        .with::<taxi_call::TaxiCall>()
        .view::<taxi_call::CallViews>()
        .with::<notification::Notice>()
        .with::<anycall_ride::AnycallRide>()
        .view::<anycall_ride::TaxiServiceInfos>()
        .with::<move_order::MoveOrder>()
        .view::<move_order::MoverInfos>()
        .with::<bike::BikeReservation>()
        .view::<bike::ReservationDashboards>()
        .with::<bike::PointPurchase>()
        .view::<bike::PointPurchases>()
}
