//! The approval service: who bought points, and for how much.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::bike::{CancelApproval, ConfirmId, CreateApproval, Purchase, Taken};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct ApprovalService(Store);

/// A purchase as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// What is bought.
    pub purchase: Purchase,
    /// Whether it came to nothing.
    pub is_cancelled: bool,
}

impl ApprovalService {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The purchase of that id.
    pub async fn get(&self, id: ConfirmId) -> Result<Option<Approval>, StoreError> {
        self.0.get(id).await
    }

    /// All purchases, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Approval>, StoreError> {
        self.0.list(page).await
    }
}

impl Handler<CreateApproval> for ApprovalService {
    async fn handle(&self, ask: CreateApproval, cx: ActivityContext) -> Result<(), Failure<Taken>> {
        let ours = self.0.create(&ask.purchase, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(Taken)) }
    }
}

impl Handler<CancelApproval> for ApprovalService {
    async fn handle(&self, ask: CancelApproval, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.0.cancel(ask.confirm_id, &cx.run).await?)
    }
}
