//! What became of steps whose handlers take the transaction.

use std::time::Duration;

use hansom_core::Payload;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction};
use uuid::Uuid;

use crate::address::Part;

/// A step, by its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Of the run that asked for the action.
    pub(crate) part: Part,
    /// Which asked for the action.
    pub(crate) run: Uuid,
    /// The action, or what is undone.
    pub(crate) seq: i32,
    pub(crate) undo: bool,
}

/// Whose partition it was when an attempt was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    pub(crate) part: Part,
    pub(crate) worker: Uuid,
    pub(crate) epoch: i64,
}

/// What an attempt finds.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nothing: the step is this transaction's, of this number.
    Fresh(String),
    /// It took place, and this was the answer.
    Done(Payload),
    /// It was given up, and is not to take place any more.
    Void,
    /// Its handler ended the transaction by itself: something of it took place.
    Broken,
}

/// Begins the transaction of an attempt. No statement in it lasts longer than `limit`, and nor
/// does a pause between two: whoever waits for its locks waits no longer.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    limit: Duration,
) -> Result<PgTransaction<'_>, sqlx::Error> {
    // Zero would be no limit.
    let millis = limit.as_millis().clamp(1, 2_147_483_647);
    let statement = format!(
        "begin isolation level read committed; set local statement_timeout = {millis};
         set local idle_in_transaction_session_timeout = {millis}"
    );
    connection.begin_with(AssertSqlSafe(statement)).await
}

/// Takes the step, or finds out what became of it. Waits for an attempt that has it.
pub(crate) async fn take(tx: &mut PgConnection, key: Key) -> Result<Taken, sqlx::Error> {
    let row = sqlx::query!(
        r#"select fresh as "fresh!", output, void as "void!", xid
         from hansom.take_step($1, $2, $3, $4)"#,
        key.part,
        key.run,
        key.seq,
        key.undo,
    )
    .fetch_one(tx)
    .await?;
    Ok(match (row.xid, row.output) {
        (Some(xid), _) if row.fresh => Taken::Fresh(xid),
        (_, Some(output)) => {
            Taken::Done(Payload::parse(output).map_err(|error| sqlx::Error::Decode(error.into()))?)
        }
        _ if row.void => Taken::Void,
        _ => Taken::Broken,
    })
}

/// Writes down the answer; false when this is not the transaction any more that took the step.
pub(crate) async fn answer(
    tx: &mut PgConnection,
    key: Key,
    output: &Payload,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update hansom.outcome set output = $5
         where part = $1 and run = $2 and seq = $3 and undo = $4
           and xmin = pg_current_xact_id()::xid",
        key.part,
        key.run,
        key.seq,
        key.undo,
        output.get(),
    );
    Ok(done.execute(tx).await?.rows_affected() == 1)
}

/// Commits, unless the worker has lost the partition. An error says nothing about the commit,
/// but for [`is_fenced`].
pub(crate) async fn commit(mut tx: PgTransaction<'_>, fence: Fence) -> Result<(), sqlx::Error> {
    let Fence { part, worker, epoch } = fence;
    // One message: nothing of this worker comes between the check and the commit. The chain
    // leaves a transaction behind, empty, because sqlx will end the one that it began.
    let statement = format!("select hansom.hold({part}, '{worker}', {epoch}); commit and chain");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    // Committed it is, whatever becomes of the rest.
    let _ = tx.rollback().await;
    Ok(())
}

/// Whether nothing was committed because the worker has lost the partition.
pub(crate) fn is_fenced(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("HS001")
}

/// Ends the transaction of that number, whatever it is doing; true when it is rolled back.
pub(crate) async fn end(connection: &mut PgConnection, xid: &str) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query_scalar!(
        r#"select pg_terminate_backend(pid, 2000) as "ended!"
         from pg_stat_activity where backend_xid::text = $1"#,
        xid,
    );
    Ok(ended.fetch_optional(connection).await?.unwrap_or(true))
}

/// Makes sure that an action never takes place any more; true when it has.
pub(crate) async fn void(connection: &mut PgConnection, key: Key) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select hansom.void_step($1, $2, $3) as "took_place!""#,
        key.part,
        key.run,
        key.seq,
    )
    .fetch_one(connection)
    .await
}
