use hansom_core::{Payload, Workflow};
use hansom_workflows::notification::{Notice, SendNotice};
use sqlx::{Connection as _, PgConnection};

/// What `hansom.start_workflow` says of an id that something else was started with.
const TAKEN: &str = "HS014";

/// Starts the notice, unless it was started: false when its id is taken by something else.
pub(super) async fn start(tx: &mut PgConnection, ask: &SendNotice) -> Result<bool, sqlx::Error> {
    let input = Payload::of(&ask.notify).map_err(|error| sqlx::Error::Encode(error.into()))?;
    // What is refused ends here, and not with the whole transaction.
    let mut attempt = tx.begin().await?;
    let started = sqlx::query("select from hansom.start_workflow($1, $2, $3::jsonb)")
        .bind(&ask.id)
        .bind(Notice::NAME)
        .bind(input.get())
        .execute(&mut *attempt)
        .await;
    match started {
        Ok(_) => attempt.commit().await.map(|()| true),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TAKEN) => {
            attempt.rollback().await.map(|()| false)
        }
        Err(error) => Err(error),
    }
}
