//! The mover service: what was ordered, and where it is. (The documents call an order a mover.)

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::move_order::{
    CancelOrder, ConfirmOrder, MoveType, OrderId, OrderStatus, OrderTaken, PlaceOrder,
};
use hansom_workflows::payment::Won;
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct MoverService(Store);

/// An order that is open or over, but not cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mover {
    /// The order.
    pub order_id: OrderId,
    /// Where the customer is called.
    pub tel: String,
    /// Where the movers come to.
    pub location: String,
    /// What the customer expects to pay.
    pub cost: Won,
    /// Who packs, if the customer said so.
    pub move_type: Option<MoveType>,
    /// Where it is.
    pub status: OrderStatus,
}

impl MoverService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The order of that id, unless it is cancelled.
    pub async fn get(&self, id: OrderId) -> Result<Option<Mover>, StoreError> {
        self.0.get(id).await
    }

    /// All orders but the cancelled ones, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Mover>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<PlaceOrder> for MoverService {
    async fn handle(
        &self,
        ask: PlaceOrder,
        cx: ActivityContext,
    ) -> Result<(), Failure<OrderTaken>> {
        let ours = self.0.place(&ask.order, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(OrderTaken)) }
    }
}

impl Handler<ConfirmOrder> for MoverService {
    async fn handle(&self, ask: ConfirmOrder, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.confirm(ask.order_id, &cx.run).await?)
    }
}

impl Handler<CancelOrder> for MoverService {
    async fn handle(&self, ask: CancelOrder, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.cancel(ask.order_id, &cx.run).await?)
    }
}
