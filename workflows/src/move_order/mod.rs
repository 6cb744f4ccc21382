//! A moving company is called: the manager takes the request, a mover is picked out of the
//! pool, and the customer hears of it by `KakaoTalk`.
//!
//! Cancelled at any time, it comes out last in, first out: the mover is let go (할당취소), the
//! customer is told, the request (호출요청취소됨) and the order (호출취소) are marked.
//!
//! There is no end of a move in the documents. It is over with [`CompleteMove`], or after
//! 30 days; from then on it cannot be cancelled any more.

mod contract;
mod feed;
mod status;
mod view;

use std::time::Duration;

use hansom_core::{
    Activity, Ctx, Fingerprint, ParentClose, SignalType, Step, WhenUnavailable, Workflow,
};

pub use contract::{
    CancelOrder, CancelRequest, CompleteMove, ConfirmOrder, ConfirmRequest, Moved, Mover, Order,
    OrderError, OrderId, OrderTaken, PickMover, PlaceOrder, Policy, ReleaseMover,
    RequestAssignment,
};
pub use status::{AssignmentStatus, MoveType, OrderStatus, RequestStatus};
pub use view::MoverInfos;

use self::feed::News;
use crate::notification::{Notice, SendNotice};
use crate::patience::persistent;

/// After so long a move that nobody completed is over.
const RETENTION: Duration = Duration::from_hours(30 * 24);

/// The saga. Its workflow id is [`OrderId::workflow_id`].
pub struct MoveOrder;

impl Workflow for MoveOrder {
    const NAME: &'static str = "move_order";
    const ACTIVITIES: &'static [&'static str] = &[
        PlaceOrder::NAME,
        ConfirmOrder::NAME,
        CancelOrder::NAME,
        RequestAssignment::NAME,
        ConfirmRequest::NAME,
        CancelRequest::NAME,
        PickMover::NAME,
        ReleaseMover::NAME,
        SendNotice::NAME,
    ];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<CompleteMove>()];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[
        include_bytes!("mod.rs"),
        include_bytes!("contract.rs"),
        include_bytes!("feed.rs"),
        include_bytes!("status.rs"),
        include_bytes!("../patience.rs"),
    ]));
    type Input = Order;
    type Output = Moved;
    type Error = OrderError;

    async fn run(ctx: Ctx, order: Order) -> Result<Moved, OrderError> {
        let order_id = order.order_id;
        ctx.label("tel", &order.tel);
        accept(&ctx, &order).await?;

        // Whoever was told of the order is told of its end.
        let requested = ctx.run(News::Requested.of(&order));
        requested.undo(News::Cancelled.of(&order)).await?;

        let pick = PickMover { order_id, location: order.location.clone() };
        let mover = ctx.run(pick).undo(ReleaseMover { order_id }).await;
        let mover = mover.map_err(OrderError::Assign)?;
        let at_manager = ConfirmRequest { order_id, mover: mover.clone() };
        let marks = (ctx.run(ConfirmOrder { order_id }), ctx.run(at_manager));
        let (order_marked, request_marked) =
            ctx.join(marks.0.into_future(), marks.1.into_future()).await;
        order_marked?;
        request_marked?;

        let completes = ctx.signals::<CompleteMove>();
        let over = ctx.timeout(RETENTION, completes.next());
        let news = [News::Confirmed.of(&order), News::Assigned(&mover).of(&order)];
        // Completed or over time, it is done; its messages hold nothing up.
        let _ = ctx.select(over, tell(&ctx, &news)).await;
        Ok(Moved { order_id, mover })
    }
}

/// A strict order is not written down before the manager has the request: whatever becomes of
/// that, nothing is left of an order that was refused. With the fallback it is the other way
/// round, and the manager is asked until it answers.
async fn accept(ctx: &Ctx, order: &Order) -> Result<(), OrderError> {
    match order.policy {
        Policy::Strict => {
            request(ctx, order).await.map_err(OrderError::Request)?;
            place(ctx, order).await.map_err(OrderError::Place)
        }
        Policy::Fallback => {
            place(ctx, order).await.map_err(OrderError::Place)?;
            let patient = persistent();
            let request = request(ctx, order).retry(patient.retry);
            let request = request.start_to_close(patient.start_to_close);
            request.when_unavailable(WhenUnavailable::Wait).await.map_err(OrderError::Request)
        }
    }
}

fn request(ctx: &Ctx, order: &Order) -> Step<RequestAssignment> {
    let undo = CancelRequest { order_id: order.order_id };
    ctx.run(RequestAssignment { order: order.clone() }).undo(undo)
}

fn place(ctx: &Ctx, order: &Order) -> Step<PlaceOrder> {
    let undo = CancelOrder { order_id: order.order_id };
    ctx.run(PlaceOrder { order: order.clone() }).undo(undo)
}

/// One after the other, each on its own way; and then there is nothing more to say.
async fn tell(ctx: &Ctx, news: &[SendNotice]) {
    for SendNotice { id, notify } in news {
        let notice = ctx.child::<Notice>(id, notify).on_parent_close(ParentClose::Abandon);
        // Whether it arrived or not.
        let _ = notice.await;
    }
    std::future::pending::<()>().await;
}
