//! The typed client: start, tell, and look.
//!
//! A client of a worker hands starts to the lane that owns the partition, where
//! they join its next commit. Everything else, and every start for a partition
//! that another process owns, goes through the database.

mod messages;
mod read;
mod schedule;
mod start;
mod start_in;
mod tasks;
mod verbs;
mod views;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hansom_core::{Payload, WorkflowType};
use tokio::sync::{Semaphore, watch};

pub use start::Ending;

use crate::address::{NAMESPACE, is_id, part_of};
use crate::owner::Message;
use crate::store::workflow::Row;
use crate::store::{Pool, inbox, to_time, workflow};
use crate::worker::hub::{Hub, Watcher};
use crate::worker::told::ToLane;
use crate::{ClientError, Registry};

/// So many starts of one client wait for their commit at a time.
const STARTS: usize = 8_192;

/// Talks to workflows. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: Pool,
    registry: Arc<Registry>,
    hub: Arc<Hub>,
    starts: Arc<Semaphore>,
}

impl Client {
    pub(crate) fn of_worker(pool: Pool, registry: Arc<Registry>, hub: Arc<Hub>) -> Self {
        Self { pool, registry, hub, starts: Arc::new(Semaphore::new(STARTS)) }
    }

    /// What this process has taken on and not worked off: starts that wait for their commit, and
    /// attempts that wait to be made here, or are being made. Read without a lock.
    ///
    /// Not what costs rows only: runs that sleep, wait for a signal or for a worker elsewhere,
    /// are held back, or wait for the time of their next attempt. When that comes it counts, and
    /// waits behind the others: a service that is slow or down is seen here all the same.
    pub fn backlog(&self) -> usize {
        STARTS - self.starts.available_permits() + self.hub.under_way()
    }

    /// The workflow types this binary knows, by name.
    pub fn workflow_types(&self) -> impl Iterator<Item = &WorkflowType> {
        self.registry.workflows()
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

    /// The run that this one has gone on in by now; mostly itself.
    async fn heir(&self, row: &Row) -> Result<Row, ClientError> {
        let id = (row.namespace.as_str(), row.workflow_id.as_str());
        let heir = workflow::heir(&self.pool, row.part, id, row.run_no).await?;
        heir.ok_or_else(|| ClientError::NotFound(row.workflow_id.clone()))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.now().await.map(drop)
    }

    /// The database's time, which decides what is due.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn now(&self) -> Result<DateTime<Utc>, ClientError> {
        Ok(to_time(crate::store::worker::time(&self.pool).await?))
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

    /// Hears from now on whether this process commits anything, of whatever workflow.
    pub fn commits(&self) -> Commits {
        Commits(self.hub.commits.subscribe())
    }
}

/// A hint that something may have happened to some workflow.
pub struct Commits(watch::Receiver<()>);

impl Commits {
    /// Whether anything was committed since it was made, or since [`Commits::forget`].
    pub fn has_changed(&self) -> bool {
        // An error: there is nobody any more who commits.
        self.0.has_changed().unwrap_or_default()
    }

    /// What was committed by now is known.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
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
