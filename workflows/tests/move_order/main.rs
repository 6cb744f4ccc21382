//! The moving order: rehearsed, walked, and what it writes down.

mod golden;
mod rehearsal;
mod walk;

use hansom_core::testing::Script;
use hansom_workflows::move_order::{
    ConfirmOrder, ConfirmRequest, MoveOrder, Mover, Order, OrderId, PickMover, PlaceOrder, Policy,
    RequestAssignment,
};
use hansom_workflows::notification::SendNotice;
use hansom_workflows::payment::Won;

const ORDER: OrderId = OrderId(1);

fn order(policy: Policy) -> Order {
    Order {
        order_id: ORDER,
        tel: "01012345678".to_owned(),
        location: "mapo".to_owned(),
        cost: Won(2_500_000),
        move_type: None,
        policy,
    }
}

fn mover() -> Mover {
    let (plate, name) = ("44나4567".to_owned(), "안채우".to_owned());
    Mover { plate, name, tel: "010-3345-7789".to_owned() }
}

fn strict() -> Script<MoveOrder> {
    Script::start(&order(Policy::Strict))
}

fn fallback() -> Script<MoveOrder> {
    Script::start(&order(Policy::Fallback))
}

/// The manager has it, and the customer was told.
fn accepted() -> Script<MoveOrder> {
    let script = strict().complete::<RequestAssignment>(&()).complete::<PlaceOrder>(&());
    script.complete::<SendNotice>(&())
}

fn confirmed() -> Script<MoveOrder> {
    let script = accepted().complete::<PickMover>(&mover());
    script.complete::<ConfirmOrder>(&()).complete::<ConfirmRequest>(&())
}
