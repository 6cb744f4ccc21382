use hansom_core::{Payload, Workflow};
use hansom_workflows::notification::{Notice, SendNotice};
use sqlx::PgConnection;

/// Starts the notice, unless it was started.
pub(super) async fn start(tx: &mut PgConnection, ask: &SendNotice) -> Result<(), sqlx::Error> {
    let input = Payload::of(&ask.notify).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("select from hansom.start_workflow($1, $2, $3::jsonb)")
        .bind(&ask.id)
        .bind(Notice::NAME)
        .bind(input.get())
        .execute(tx)
        .await?;
    Ok(())
}
