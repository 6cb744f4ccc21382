//! The typed client: start, signal, cancel, and look.
//!
//! A client of a worker hands starts to the lane that owns the partition, where
//! they join its next commit. Everything else, and every start for a partition
//! that another process owns, goes through the database.

mod read;
mod start;
mod tasks;

use std::sync::Arc;

use hansom_core::{Payload, Signal, Status, WorkflowType};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use start::Ending;

use crate::address::{NAMESPACE, is_id, part_of};
use crate::owner::Message;
use crate::store::workflow::Row;
use crate::store::{history, inbox, workflow};
use crate::worker::hub::{Hub, Watcher};
use crate::worker::told::ToLane;
use crate::{ClientError, Registry};

/// So many starts of one client wait for their commit at a time.
const STARTS: usize = 8_192;
/// So many messages of one run wait in the inbox.
const INBOX_MAX: i64 = 1_000;

/// Talks to workflows. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: PgPool,
    registry: Arc<Registry>,
    hub: Arc<Hub>,
    starts: Arc<Semaphore>,
}

impl Client {
    pub(crate) fn of_worker(pool: PgPool, registry: Arc<Registry>, hub: Arc<Hub>) -> Self {
        Self { pool, registry, hub, starts: Arc::new(Semaphore::new(STARTS)) }
    }

    /// The workflow types this binary knows, by name.
    pub fn workflow_types(&self) -> impl Iterator<Item = &WorkflowType> {
        self.registry.workflows()
    }

    /// Sends a signal. One with the id of an earlier one is dropped; without an
    /// id each is a new one. It is kept when this returns, and delivered in
    /// order of arrival, before the workflow waits for it if need be.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::Closed`],
    /// [`ClientError::UnknownSignal`], [`ClientError::QueueFull`].
    pub async fn signal<S: Signal>(
        &self,
        workflow_id: &str,
        signal: &S,
        signal_id: Option<&str>,
    ) -> Result<(), ClientError> {
        let payload = Payload::of(signal).map_err(|error| invalid(&error))?;
        self.signal_raw(workflow_id, S::NAME, signal_id, payload).await
    }

    /// As [`Client::signal`], with its types erased.
    ///
    /// # Errors
    ///
    /// As [`Client::signal`].
    pub async fn signal_raw(
        &self,
        workflow_id: &str,
        name: &str,
        signal_id: Option<&str>,
        payload: Payload,
    ) -> Result<(), ClientError> {
        check_size("the signal", &payload)?;
        let id = signal_id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        if !is_id(&id) {
            return Err(ClientError::InvalidId(id));
        }
        let row = self.row(workflow_id).await?;
        let kind = self.registry.workflow(&row.workflow_type);
        if let Some(kind) = kind {
            let Some(signal) = kind.signals.iter().find(|signal| signal.name == name) else {
                return Err(ClientError::UnknownSignal {
                    workflow_type: row.workflow_type,
                    name: name.to_owned(),
                    known: kind.signals.iter().map(|signal| signal.name).collect(),
                });
            };
            signal.check(&payload).map_err(|error| invalid(&error))?;
        }
        let status = row.cached().status;
        if status.is_closed() {
            return Err(ClientError::Closed { workflow_id: row.workflow_id, status });
        }
        if inbox::waiting(&self.pool, row.part, row.run).await? >= INBOX_MAX {
            return Err(ClientError::QueueFull { workflow_id: row.workflow_id, limit: INBOX_MAX });
        }
        let payload = Some(payload.get().to_owned());
        self.send(&row, format!("signal:{id}"), Some(name.to_owned()), payload).await
    }

    /// Asks for a cancellation: kept when this returns, and then the workflow
    /// unwinds. Asking again is no error; what came of it is in its history.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::AfterPivot`], and
    /// [`ClientError::Closed`] unless it is closed by a cancellation.
    pub async fn cancel(&self, workflow_id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        let row = self.row(workflow_id).await?;
        match row.cached().status {
            Status::Cancelled => return Ok(()),
            status if status.is_closed() => {
                return Err(ClientError::Closed { workflow_id: row.workflow_id, status });
            }
            _ => {}
        }
        let ledger = read::ledger(&history::of(&self.pool, row.part, row.run).await?);
        if ledger.pivoted() {
            return Err(ClientError::AfterPivot(row.workflow_id));
        }
        if ledger.cause().is_some() {
            return Ok(());
        }
        // Text in the database has no NUL.
        let reason = reason.map(|reason| reason.replace('\0', "\u{fffd}"));
        self.send(&row, "cancel".to_owned(), None, reason).await
    }

    async fn send(
        &self,
        row: &Row,
        key: String,
        name: Option<String>,
        payload: Option<String>,
    ) -> Result<(), ClientError> {
        let lane = self.hub.lane_of(row.part);
        let message = Message { address: Arc::new(row.address()), key, name, payload };
        inbox::send(&self.pool, &message, lane.is_none()).await?;
        if let Some(lane) = lane {
            // A lane that stops leaves the inbox to the next owner.
            let _ = lane.send(ToLane::Poke);
        }
        Ok(())
    }

    /// The latest run of a workflow id.
    async fn row(&self, workflow_id: &str) -> Result<Row, ClientError> {
        if !is_id(workflow_id) {
            return Err(ClientError::InvalidId(workflow_id.to_owned()));
        }
        let part = part_of(NAMESPACE, workflow_id, self.hub.partitions());
        let row = workflow::latest(&self.pool, part, NAMESPACE, workflow_id).await?;
        row.ok_or_else(|| ClientError::NotFound(workflow_id.to_owned()))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn ping(&self) -> Result<(), ClientError> {
        crate::store::worker::time(&self.pool).await?;
        Ok(())
    }

    /// Hears of a workflow from now on: see [`Watch::changed`].
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`].
    pub async fn watch(&self, workflow_id: &str) -> Result<Watch, ClientError> {
        let row = self.row(workflow_id).await?;
        Ok(Watch(self.hub.watch(row.run)))
    }
}

/// A hint that something may have happened to a workflow.
pub struct Watch(Watcher);

impl Watch {
    /// Returns when something of it was committed, or after `limit` in any case:
    /// another process may own it.
    pub async fn changed(&mut self, limit: std::time::Duration) {
        // Over time or told, the caller looks for itself.
        let _ = tokio::time::timeout(limit, self.0.next()).await;
    }
}

fn check_size(what: &'static str, payload: &Payload) -> Result<(), ClientError> {
    match payload.get().len() {
        bytes if bytes > Payload::MAX => {
            Err(ClientError::TooLarge { what, bytes, limit: Payload::MAX })
        }
        _ => Ok(()),
    }
}

fn invalid(error: &serde_json::Error) -> ClientError {
    ClientError::InvalidInput(error.to_string())
}
