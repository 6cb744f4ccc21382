//! The movemanage service: requests for movers, and where they are.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::move_order::{
    CancelRequest, ConfirmRequest, Mover, OrderId, OrderTaken, RequestAssignment, RequestStatus,
};
use hansom_workflows::payment::Won;
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct ManageService(Store);

/// A request, and who comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of which order.
    pub order_id: OrderId,
    /// Where the customer is called.
    pub tel: String,
    /// Where the movers come to.
    pub location: String,
    /// What the customer expects to pay.
    pub cost: Won,
    /// Where it is.
    pub status: RequestStatus,
    /// Who comes, once that is known.
    pub mover: Option<Mover>,
}

impl ManageService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The request of that order.
    pub async fn get(&self, id: OrderId) -> Result<Option<Request>, StoreError> {
        self.0.get(id).await
    }

    /// All requests, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Request>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<RequestAssignment> for ManageService {
    async fn handle(
        &self,
        ask: RequestAssignment,
        cx: ActivityContext,
    ) -> Result<(), Failure<OrderTaken>> {
        let ours = self.0.request(&ask.order, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(OrderTaken)) }
    }
}

impl Handler<ConfirmRequest> for ManageService {
    async fn handle(&self, ask: ConfirmRequest, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.confirm(ask.order_id, &cx.run, &ask.mover).await?)
    }
}

impl Handler<CancelRequest> for ManageService {
    async fn handle(&self, ask: CancelRequest, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.cancel(ask.order_id, &cx.run).await?)
    }
}
