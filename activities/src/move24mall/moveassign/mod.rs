//! The moveassign service: who moves whom.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::move_order::{
    AssignmentStatus, Mover, OrderId, OrderTaken, PickMover, ReleaseMover,
};
use sqlx::PgPool;

use self::store::{Standing, Store};
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct AssignService(Store);

/// A mover who was picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// For which order.
    pub order_id: OrderId,
    /// Who.
    pub mover: Mover,
    /// Whether it still holds.
    pub status: AssignmentStatus,
}

/// There is nobody in the pool. Tried again: somebody may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no mover in the pool")]
struct EmptyPool;

impl AssignService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The assignment of that order.
    pub async fn get(&self, id: OrderId) -> Result<Option<Assignment>, StoreError> {
        self.0.get(id).await
    }

    /// All assignments, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Assignment>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<PickMover> for AssignService {
    async fn handle(
        &self,
        ask: PickMover,
        cx: ActivityContext,
    ) -> Result<Mover, Failure<OrderTaken>> {
        self.0.pick(ask.order_id, &cx.run).await?;
        match self.0.standing(ask.order_id, &cx.run).await? {
            Some(Standing::Ours(mover)) => Ok(mover),
            Some(Standing::Taken) => Err(Failure::Refused(OrderTaken)),
            None => Err(EmptyPool.into()),
        }
    }
}

impl Handler<ReleaseMover> for AssignService {
    async fn handle(&self, ask: ReleaseMover, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.release(ask.order_id, &cx.run).await?)
    }
}
