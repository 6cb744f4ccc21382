//! What the customer sees of an order, in one place.

use hansom_core::{Fact, Patch, View};

use super::contract::{
    CancelOrder, ConfirmOrder, ConfirmRequest, Order, PickMover, PlaceOrder, ReleaseMover,
};
use super::feed::assigned;
use super::status::OrderStatus;
use super::{MoveOrder, Mover};
use crate::notification::SendNotice;

/// `/moverinfos`: status, mover and last message of every order. One that is not taken yet, or
/// never was, is not [`MoverInfos::PLACED`], and has no status.
pub struct MoverInfos;

impl MoverInfos {
    /// The field that says whether the order was ever taken: the others are not for show.
    pub const PLACED: &'static str = "placed";
}

const STATUS: &str = "status";

impl View for MoverInfos {
    const NAME: &'static str = "mover_infos";
    type Workflow = MoveOrder;

    fn key(order: &Order) -> i64 {
        order.order_id.0
    }

    fn start(order: &Order) -> Patch {
        let row = Patch::new().set("id", order.order_id).set("tel", &order.tel);
        let row = row.set("location", &order.location).set("cost", order.cost);
        let row = row.set("moveType", order.move_type).set(STATUS, None::<OrderStatus>);
        with_mover(row, None).set("lastMessage", None::<&str>).set(Self::PLACED, false)
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let patch = Patch::new();
        if fact.done::<PlaceOrder>().is_some() {
            return Some(patch.set(STATUS, OrderStatus::Called).set(Self::PLACED, true));
        }
        if fact.done::<ConfirmOrder>().is_some() {
            return Some(patch.set(STATUS, OrderStatus::Confirmed));
        }
        // One that was never taken is not cancelled either.
        if fact.undone::<CancelOrder>().is_some() {
            fact.field::<OrderStatus>(STATUS)?;
            return Some(patch.set(STATUS, OrderStatus::Cancelled));
        }
        if let Some((_, mover)) = fact.done::<PickMover>() {
            return Some(with_mover(patch, Some(&mover)));
        }
        if fact.undone::<ReleaseMover>().is_some() {
            return Some(with_mover(patch, None));
        }
        let told = fact.done::<SendNotice>().map(|(told, ())| told);
        let told = told.or_else(|| fact.undone()).map(|told| told.notify.message);
        // Who comes is told as soon as the manager knows.
        let told = told.or_else(|| {
            fact.done::<ConfirmRequest>().map(|(request, ())| assigned(&request.mover))
        });
        told.map(|message| patch.set("lastMessage", message))
    }
}

fn with_mover(row: Patch, mover: Option<&Mover>) -> Patch {
    let row = row.set("mover", mover.map(|mover| &mover.name));
    row.set("moverid", mover.map(|mover| &mover.plate)).set("movertel", mover.map(|m| &m.tel))
}
