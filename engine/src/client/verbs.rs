//! What operators ask of a workflow.

use hansom_core::{Ledger, Status};
use uuid::Uuid;

use super::{Client, read};
use crate::ClientError;
use crate::store::history;
use crate::store::workflow::Row;
use crate::view::UndoPlan;

impl Client {
    /// Asks for a cancellation: kept when this returns, and then the workflow
    /// unwinds. Asking again is no error; what came of it is in its history.
    /// Answers the status it was found in: [`Status::Cancelled`] when there was
    /// nothing left to do.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::AfterPivot`], and
    /// [`ClientError::Closed`] unless it is closed by a cancellation.
    pub async fn cancel(
        &self,
        workflow_id: &str,
        reason: Option<&str>,
    ) -> Result<Status, ClientError> {
        let row = self.row(workflow_id).await?;
        let status = row.cached().status;
        match status {
            Status::Cancelled => return Ok(status),
            status if status.is_closed() => {
                return Err(ClientError::Closed { workflow_id: row.workflow_id, status });
            }
            _ => {}
        }
        let ledger = self.ledger_of(&row).await?;
        if ledger.pivoted() {
            return Err(ClientError::AfterPivot(row.workflow_id));
        }
        if ledger.cause().is_none() {
            self.send(&row, "cancel".to_owned(), None, reason.map(storable)).await?;
        }
        Ok(status)
    }

    /// Closes a workflow where it is, whatever state it is in: kept when this returns.
    /// Nothing is undone; what stays owed is answered, and listed with the workflow from
    /// then on. Asking again is no error.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], and [`ClientError::Closed`] when it ended otherwise.
    pub async fn terminate(
        &self,
        workflow_id: &str,
        reason: &str,
    ) -> Result<UndoPlan, ClientError> {
        let row = self.row(workflow_id).await?;
        let status = row.cached().status;
        if status.is_closed() && status != Status::Terminated {
            return Err(ClientError::Closed { workflow_id: row.workflow_id, status });
        }
        let undos = self.ledger_of(&row).await?.undo_plan();
        if status != Status::Terminated {
            self.send(&row, "terminate".to_owned(), None, Some(storable(reason))).await?;
        }
        Ok(UndoPlan { workflow_id: row.workflow_id, run: row.run, undos })
    }

    /// Lets a stuck workflow try again: kept when this returns. Undos that ran out of attempts
    /// and steps that wait for a person get all their attempts anew; a body that did not
    /// fit its history is replayed with the code that is running now.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::NotStuck`].
    pub async fn retry(&self, workflow_id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        let row = self.row(workflow_id).await?;
        if row.cached().status != Status::Stuck {
            return Err(ClientError::NotStuck(row.workflow_id));
        }
        // Each is a word of its own: it may get stuck again.
        let key = format!("retry:{}", Uuid::now_v7());
        self.send(&row, key, None, reason.map(storable)).await
    }

    async fn ledger_of(&self, row: &Row) -> Result<Ledger, ClientError> {
        Ok(read::ledger(&history::of(&self.pool, row.part, row.run).await?))
    }
}

/// Text in the database has no NUL.
fn storable(reason: &str) -> String {
    reason.replace('\0', "\u{fffd}")
}
