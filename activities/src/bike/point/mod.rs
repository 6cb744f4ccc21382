//! The point service: what everybody has, and a ledger of how that came about.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::bike::{
    IncreasePoints, NotEnoughPoints, Points, ReturnPoints, UsePoints, UserId,
};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct PointService(Store);

/// What a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose.
    pub user_id: UserId,
    /// How many.
    pub total: Points,
}

impl PointService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// What that user has; none who never bought any.
    pub async fn get(&self, id: UserId) -> Result<Option<Balance>, StoreError> {
        self.0.get(id).await
    }

    /// What everybody has, by user.
    pub async fn list(&self, page: Page) -> Result<Paged<Balance>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<IncreasePoints> for PointService {
    async fn handle(&self, ask: IncreasePoints, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.increase(ask, &cx.run).await?)
    }
}

impl Handler<UsePoints> for PointService {
    async fn handle(
        &self,
        ask: UsePoints,
        cx: ActivityContext,
    ) -> Result<(), Failure<NotEnoughPoints>> {
        let spent = self.0.spend(ask, &cx.run).await?;
        if spent { Ok(()) } else { Err(Failure::Refused(NotEnoughPoints)) }
    }
}

impl Handler<ReturnPoints> for PointService {
    async fn handle(&self, ask: ReturnPoints, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.0.void(ask.reserve_no, &cx.run).await?;
        Ok(self.0.give_back(ask.reserve_no, &cx.run).await?)
    }
}
