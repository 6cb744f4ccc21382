//! What the saga needs of the mover, movemanage and moveassign services.
//!
//! Every request is addressed by the order: a second request for the same order changes
//! nothing, and an undo that comes before its action makes the action come too late. What is
//! written for an order belongs to the run that wrote it: another run is refused, and undoes
//! nothing.

use hansom_core::{Activity, ActivityError, ActivityOptions, Harmless, Never, Signal};
use serde::{Deserialize, Serialize};

use super::status::MoveType;
use crate::patience::{persistent, quick, synchronous};
use crate::payment::Won;

/// An order. The façade draws it from a sequence before it starts the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub i64);

impl OrderId {
    /// The id of the workflow that serves this order.
    pub fn workflow_id(self) -> String {
        format!("move.order.{}", self.0)
    }
}

/// What becomes of an order while the manager does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It is refused, and nothing is left of it.
    #[default]
    Strict,
    /// It is taken, and the manager is asked until it answers.
    Fallback,
}

/// What the customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order.
    pub order_id: OrderId,
    /// Where the customer is called, and hears of the order; not empty.
    pub tel: String,
    /// Where the movers come to.
    pub location: String,
    /// What the customer expects to pay. Never charged.
    pub cost: Won,
    /// Who packs, if the customer said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_type: Option<MoveType>,
    /// What to do while the manager is away.
    pub policy: Policy,
}

/// Who moves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mover {
    /// The number plate.
    pub plate: String,
    /// The mover's name.
    pub name: String,
    /// The mover's number.
    pub tel: String,
}

/// What comes of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The order.
    pub order_id: OrderId,
    /// Who moved it.
    pub mover: Mover,
}

/// Why an order may come to nothing.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderError {
    /// The manager did not take the request, or nobody knows whether it did.
    #[error("request {0}")]
    Request(ActivityError<OrderTaken>),
    /// It was not written down, or nobody knows whether it was.
    #[error("order {0}")]
    Place(ActivityError<OrderTaken>),
    /// No mover.
    #[error("assignment {0}")]
    Assign(ActivityError<OrderTaken>),
    /// A service did not keep up.
    #[error("service {0}")]
    Service(#[from] ActivityError<Never>),
}

/// The order belongs to another run, or was cancelled before. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the order belongs to another saga, or was cancelled")]
pub struct OrderTaken;

/// The move is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteMove {}

impl Signal for CompleteMove {
    const NAME: &'static str = "complete_move";
}

/// Write the order down, as 호출. Undone by [`CancelOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// What is asked for.
    #[serde(flatten)]
    pub order: Order,
}

impl Activity for PlaceOrder {
    const NAME: &'static str = "place_order";
    type Output = ();
    type Error = OrderTaken;

    /// Nothing is promised yet.
    fn options() -> ActivityOptions {
        quick()
    }
}

/// Mark the order 호출확정. One that is cancelled stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmOrder {
    /// Which order.
    pub order_id: OrderId,
}

impl Activity for ConfirmOrder {
    const NAME: &'static str = "confirm_order";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for ConfirmOrder {}

/// Mark the order 호출취소; if it was never written down, see to it that it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Which order.
    pub order_id: OrderId,
}

impl Activity for CancelOrder {
    const NAME: &'static str = "cancel_order";
    type Output = ();
    type Error = Never;
}

/// Ask the manager for movers, who has it as 호출중. Undone by [`CancelRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAssignment {
    /// What is asked for.
    #[serde(flatten)]
    pub order: Order,
}

impl Activity for RequestAssignment {
    const NAME: &'static str = "request_assignment";
    type Output = ();
    type Error = OrderTaken;

    fn options() -> ActivityOptions {
        synchronous()
    }
}

/// Mark the request 호출확정, with who comes. One that is cancelled stays so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRequest {
    /// Of which order.
    pub order_id: OrderId,
    /// Who comes.
    pub mover: Mover,
}

impl Activity for ConfirmRequest {
    const NAME: &'static str = "confirm_request";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for ConfirmRequest {}

/// Mark the request 호출요청취소됨; if it never came, see to it that it comes too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Of which order.
    pub order_id: OrderId,
}

impl Activity for CancelRequest {
    const NAME: &'static str = "cancel_request";
    type Output = ();
    type Error = Never;
}

/// Pick a mover out of the pool, 할당확정. Undone by [`ReleaseMover`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickMover {
    /// For which order.
    pub order_id: OrderId,
    /// Where to.
    pub location: String,
}

impl Activity for PickMover {
    const NAME: &'static str = "pick_mover";
    type Output = Mover;
    type Error = OrderTaken;

    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Let the mover go, 할당취소; if none was picked, see to it that none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMover {
    /// Of which order.
    pub order_id: OrderId,
}

impl Activity for ReleaseMover {
    const NAME: &'static str = "release_mover";
    type Output = ();
    type Error = Never;
}
