//! The call service: what was called, and whether it still stands.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Handlers, Never};
use hansom_workflows::anycall_ride::{
    Call, CallId, CallStatus, CallTaken, MarkCancelled, PlaceCall, ReviewCall, WithdrawCall,
};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct CallService {
    store: Store,
}

/// A call as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What was asked for.
    pub call: Call,
    /// Where it is.
    pub status: CallStatus,
}

impl CallService {
    /// The service on a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<PlaceCall>(self.clone())
            .with::<WithdrawCall>(self.clone())
            .with::<MarkCancelled>(self.clone())
            .with::<ReviewCall>(self.clone())
    }

    /// The call of that id.
    pub async fn get(&self, id: CallId) -> Result<Option<Placed>, StoreError> {
        self.store.get(id).await
    }

    /// All calls, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Placed>, StoreError> {
        self.store.list(page).await
    }
}

impl Handler<PlaceCall> for CallService {
    async fn handle(&self, ask: PlaceCall, cx: ActivityContext) -> Result<(), Failure<CallTaken>> {
        let ours = self.store.place(&ask.call, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(CallTaken)) }
    }
}

impl Handler<WithdrawCall> for CallService {
    async fn handle(&self, ask: WithdrawCall, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.store.withdraw_unplaced(ask.call_id, &cx.run).await?;
        Ok(self.store.move_to(ask.call_id, &cx.run, CallStatus::Cancelled).await?)
    }
}

impl Handler<MarkCancelled> for CallService {
    async fn handle(&self, ask: MarkCancelled, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.store.move_to(ask.call_id, &cx.run, CallStatus::Cancelled).await?)
    }
}

impl Handler<ReviewCall> for CallService {
    async fn handle(&self, ask: ReviewCall, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.store.move_to(ask.call_id, &cx.run, CallStatus::Reviewed).await?)
    }
}
