//! What the sagas need of the bike, point, reservation and approval services.
//!
//! Every request is addressed by the reservation, or by the purchase: a second request for the
//! same one changes nothing, and an undo that comes before its action makes the action come
//! too late. What was refused stays refused, however late an attempt of it comes. What is
//! written for one belongs to the run that wrote it: another run is refused, and undoes nothing.

use hansom_core::{Activity, ActivityOptions, Harmless, Never};
use serde::{Deserialize, Serialize};

use crate::patience::{persistent, quick};
use crate::payment::Won;

/// A bike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BikeId(pub i64);

/// A user of bikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub i64);

/// Points; one is bought for one won. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Points(pub i64);

impl Points {
    /// What a reservation takes.
    pub const RESERVATION: Self = Self(1000);
}

/// A reservation. The façade draws it from a sequence before it starts the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReserveNo(pub i64);

impl ReserveNo {
    /// The id of the workflow that serves this reservation.
    pub fn workflow_id(self) -> String {
        format!("bike.reservation.{}", self.0)
    }
}

/// A purchase of points. The façade draws it from a sequence before it starts the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfirmId(pub i64);

impl ConfirmId {
    /// The id of the workflow that serves this purchase; also its account at the payment service.
    pub fn workflow_id(self) -> String {
        format!("bike.approval.{}", self.0)
    }
}

/// What is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The reservation.
    pub reserve_no: ReserveNo,
    /// For whom.
    pub user_id: UserId,
    /// Which bike.
    pub bike_id: BikeId,
}

/// What is bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The purchase.
    pub confirm_id: ConfirmId,
    /// For whom.
    pub user_id: UserId,
    /// For how much, above 0; as many points come of it.
    pub price: Won,
    /// `yyyymmdd`, as the user wrote it; may be empty.
    pub approve_date: String,
}

/// Where a reservation is. One that is only registered has no status yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReserveStatus {
    /// The bike is held, and the points are taken.
    #[serde(rename = "예약시작")]
    Started,
    /// The bike is taken, or the points do not suffice. Final.
    #[serde(rename = "예약거절")]
    Rejected,
    /// Cancelled; the points are back. Final.
    #[serde(rename = "예약취소")]
    Cancelled,
    /// The bike is back; the points are spent. Final.
    #[serde(rename = "사용완료")]
    Returned,
}

impl ReserveStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "예약시작",
            Self::Rejected => "예약거절",
            Self::Cancelled => "예약취소",
            Self::Returned => "사용완료",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Started, Self::Rejected, Self::Cancelled, Self::Returned];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// It belongs to another run, or was cancelled before. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("it belongs to another saga, or was cancelled")]
pub struct Taken;

/// Nobody can have that bike. Final for this reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoBike {
    /// There is none of that number.
    #[error("there is no such bike")]
    Unknown,
    /// Another reservation holds it.
    #[error("the bike is taken")]
    Held,
}

/// The user has no points, or not enough of them. Final for this reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the points do not suffice")]
pub struct NotEnoughPoints;

/// Write the reservation down. Undone by [`CancelReservation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateReservation {
    /// What is reserved.
    #[serde(flatten)]
    pub reservation: Reservation,
}

impl Activity for CreateReservation {
    const NAME: &'static str = "create_reservation";
    type Output = ();
    type Error = Taken;

    fn options() -> ActivityOptions {
        quick()
    }
}

/// Tell the user where the reservation is. A status only ever moves forward: a request that
/// comes late changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkReservation {
    /// Which reservation.
    pub reserve_no: ReserveNo,
    /// The new status; [`ReserveStatus::Cancelled`] is [`CancelReservation`]'s alone.
    pub status: ReserveStatus,
}

impl Activity for MarkReservation {
    const NAME: &'static str = "mark_reservation";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for MarkReservation {}

/// Mark the reservation 예약취소, unless it is final already; if it was never written down, see
/// to it that it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelReservation {
    /// Which reservation.
    pub reserve_no: ReserveNo,
}

impl Activity for CancelReservation {
    const NAME: &'static str = "cancel_reservation";
    type Output = ();
    type Error = Never;
}

/// Hold the bike, which nobody else can then. Undone by [`FreeBike`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldBike {
    /// For which reservation.
    pub reserve_no: ReserveNo,
    /// Which bike.
    pub bike_id: BikeId,
}

impl Activity for HoldBike {
    const NAME: &'static str = "hold_bike";
    type Output = ();
    type Error = NoBike;

    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Let go of the bike of this reservation; if it held none, see to it that it never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeBike {
    /// Of which reservation.
    pub reserve_no: ReserveNo,
}

impl Activity for FreeBike {
    const NAME: &'static str = "free_bike";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Take points. Undone by [`ReturnPoints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsePoints {
    /// For which reservation.
    pub reserve_no: ReserveNo,
    /// Whose.
    pub user_id: UserId,
    /// How many.
    pub points: Points,
}

impl Activity for UsePoints {
    const NAME: &'static str = "use_points";
    type Output = ();
    type Error = NotEnoughPoints;

    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Give the points of this reservation back; if none were taken, see to it that none are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnPoints {
    /// Of which reservation.
    pub reserve_no: ReserveNo,
}

impl Activity for ReturnPoints {
    const NAME: &'static str = "return_points";
    type Output = ();
    type Error = Never;
}

/// Write the purchase down. Undone by [`CancelApproval`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateApproval {
    /// What is bought.
    #[serde(flatten)]
    pub purchase: Purchase,
}

impl Activity for CreateApproval {
    const NAME: &'static str = "create_approval";
    type Output = ();
    type Error = Taken;

    fn options() -> ActivityOptions {
        quick()
    }
}

/// Mark the purchase cancelled; if it was never written down, see to it that it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelApproval {
    /// Which purchase.
    pub confirm_id: ConfirmId,
}

impl Activity for CancelApproval {
    const NAME: &'static str = "cancel_approval";
    type Output = ();
    type Error = Never;
}

/// Give points, once. A user who had none has an account then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncreasePoints {
    /// For which purchase.
    pub confirm_id: ConfirmId,
    /// To whom.
    pub user_id: UserId,
    /// How many.
    pub points: Points,
}

impl Activity for IncreasePoints {
    const NAME: &'static str = "increase_points";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}
