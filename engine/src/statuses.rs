//! What became of workflows, by their ids: for who compares books with them.

use std::collections::HashMap;

use hansom_core::Status;
use sqlx::PgConnection;

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
