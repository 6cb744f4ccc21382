//! A bike is reserved: hold it, take the points, and wait until it is back.
//!
//! It is cancelled at any time before that, also while a service is away: the points go back,
//! the bike is free, the reservation is marked. A bike that was returned was used, and its
//! points are spent.

use hansom_core::{Activity, ActivityError, Ctx, Fingerprint, Never, Update, UpdateType, Workflow};
use serde::{Deserialize, Serialize};

use super::contract::{
    CancelReservation, CreateReservation, FreeBike, HoldBike, MarkReservation, NoBike,
    NotEnoughPoints, Points, Reservation, ReserveNo, ReserveStatus, ReturnPoints, Taken, UsePoints,
};

/// The bike is back. Answered when that is written down everywhere; one that comes after a
/// cancellation hears that there is nothing open any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnBike {}

impl Update for ReturnBike {
    const NAME: &'static str = "return_bike";
    type Output = ();
    type Error = Never;
}

/// Why a reservation may come to nothing.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationError {
    /// It belongs to another saga, or nobody knows whether it was written down.
    #[error("reservation {0}")]
    Create(#[from] ActivityError<Taken>),
    /// No bike.
    #[error("bike {0}")]
    Bike(#[from] ActivityError<NoBike>),
    /// No points.
    #[error("points {0}")]
    Points(#[from] ActivityError<NotEnoughPoints>),
    /// The reservation service did not keep up.
    #[error("service {0}")]
    Service(#[from] ActivityError<Never>),
}

/// The saga. Its workflow id is [`ReserveNo::workflow_id`].
pub struct BikeReservation;

impl Workflow for BikeReservation {
    const NAME: &'static str = "bike_reservation";
    const ACTIVITIES: &'static [&'static str] = &[
        CreateReservation::NAME,
        MarkReservation::NAME,
        CancelReservation::NAME,
        HoldBike::NAME,
        FreeBike::NAME,
        UsePoints::NAME,
        ReturnPoints::NAME,
    ];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<ReturnBike>()];
    const CODE: Option<Fingerprint> =
        Some(Fingerprint::of(&[include_bytes!("reservation.rs"), include_bytes!("contract.rs")]));
    type Input = Reservation;
    type Output = ();
    type Error = ReservationError;

    async fn run(ctx: Ctx, reservation: Reservation) -> Result<(), ReservationError> {
        let reserve_no = reservation.reserve_no;
        let mark = |status| MarkReservation { reserve_no, status };

        let create = CreateReservation { reservation };
        ctx.run(create).undo(CancelReservation { reserve_no }).await?;
        if let Err(error) = take(&ctx, &reservation).await {
            return Err(reject(&ctx, reserve_no, error).await);
        }
        ctx.run(mark(ReserveStatus::Started)).await?;
        let back = ctx.updates::<ReturnBike>().next().await;

        let committed = ctx.pivot();
        committed.run(FreeBike { reserve_no }).await;
        committed.run(mark(ReserveStatus::Returned)).await;
        back.answer(&());
        Ok(())
    }
}

/// The bike first: a user whose bike is taken spends no points.
async fn take(ctx: &Ctx, reservation: &Reservation) -> Result<(), ReservationError> {
    let Reservation { reserve_no, user_id, bike_id } = *reservation;
    ctx.run(HoldBike { reserve_no, bike_id }).undo(FreeBike { reserve_no }).await?;
    let take = UsePoints { reserve_no, user_id, points: Points::RESERVATION };
    ctx.run(take).undo(ReturnPoints { reserve_no }).await?;
    Ok(())
}

/// The user is told first; then the saga unwinds, and leaves the mark as it is.
async fn reject(ctx: &Ctx, reserve_no: ReserveNo, error: ReservationError) -> ReservationError {
    let mark = MarkReservation { reserve_no, status: ReserveStatus::Rejected };
    match ctx.run(mark).await {
        Ok(()) => error,
        Err(unmarked) => unmarked.into(),
    }
}
