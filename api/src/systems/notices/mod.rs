//! Notices that a step of a saga sends off: a saga of their own, started in the step's own
//! transaction.

mod store;

use hansom_core::{ActivityContext, Failure, Never};
use hansom_engine::{TransactionHandler, TransactionHandlers};
use hansom_workflows::notification::SendNotice;
use sqlx::PgConnection;

struct Notices;

impl TransactionHandler<SendNotice> for Notices {
    async fn handle(
        &self,
        ask: SendNotice,
        _: ActivityContext,
        tx: &mut PgConnection,
    ) -> Result<(), Failure<Never>> {
        if !store::start(tx, &ask).await? {
            // A message holds nothing up: not even one that somebody else has the id of.
            tracing::warn!(notice = ask.id, "notice_id_taken");
        }
        Ok(())
    }
}

/// What is done in the engine's own database.
pub(super) fn transactions() -> TransactionHandlers {
    TransactionHandlers::default().with::<SendNotice>(Notices)
}
