//! What became of workflows, by their ids or their runs: for who compares books with them.

use std::collections::HashMap;

use hansom_core::Status;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::address::{NAMESPACE, part_of};
use crate::store::{partition, workflow};

/// The statuses of the latest runs of these workflow ids, as the rows have them, in the
/// caller's transaction. Of an id that was never used there is none.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn statuses(
    connection: &mut PgConnection,
    workflow_ids: &[String],
) -> Result<HashMap<String, Status>, sqlx::Error> {
    let partitions = partition::count(&mut *connection).await?;
    let parts: Vec<_> = workflow_ids.iter().map(|id| part_of(NAMESPACE, id, partitions)).collect();
    let statuses = workflow::statuses(connection, &parts, NAMESPACE, workflow_ids).await?;
    Ok(statuses.into_iter().collect())
}

/// The workflow ids and statuses of these runs, as [`statuses`]. Of a run that never was there is
/// none.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn statuses_of_runs(
    connection: &mut PgConnection,
    runs: &[Uuid],
) -> Result<HashMap<Uuid, (String, Status)>, sqlx::Error> {
    Ok(workflow::statuses_of_runs(connection, runs).await?.into_iter().collect())
}
