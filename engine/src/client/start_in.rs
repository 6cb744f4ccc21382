//! Starting inside a transaction of the caller's.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::Client;
use super::messages::{check_open, message_id};
use super::start::{compare, labels, may_follow};
use crate::ClientError;
use crate::address::{Address, NAMESPACE, part_of};
use crate::owner::{Message, first_row};
use crate::store::inbox;
use crate::store::workflow::{self, NewRun, Row};
use crate::view::{SignalRequest, StartRequest, Started};

impl Client {
    /// Starts a workflow in a transaction of the caller's: it is there when that commits, and
    /// never was when it does not. Otherwise as [`Client::start_raw`], a repetition too.
    ///
    /// ```no_run
    /// # use hansom_engine::{Client, ClientError, StartRequest, sqlx::{self, query}};
    /// # async fn place(client: Client, pool: sqlx::PgPool, trip: i64) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = pool.begin().await?;
    /// query("insert into trip (id) values ($1)").bind(trip).execute(&mut *tx).await?;
    /// let input = hansom_core::Payload::of(&trip)?;
    /// client.start_in(&mut tx, StartRequest::new("trip", &format!("trip-{trip}"), input)).await?;
    /// tx.commit().await?; // the row and its saga, or neither
    /// # Ok(()) }
    /// ```
    ///
    /// In a [`TransactionHandler`](crate::TransactionHandler) `tx` is that of the step: the
    /// workflow is started exactly once with it.
    ///
    /// As long as the transaction is open, other starts of the same id wait for it, and nothing
    /// else does; keep it short. A worker begins with the workflow once it has heard of the commit
    /// (at once, as a rule; within a second in any case). In a transaction at repeatable read or
    /// above, a start that has lost against a concurrent one is a serialization failure, as is
    /// usual there.
    ///
    /// # Errors
    ///
    /// As [`Client::start_raw`]. After [`ClientError::Unavailable`] the transaction is of no use
    /// any more; the other errors leave it as it was. Dropped before it is ready, this
    /// leaves the transaction as any statement does: roll it back.
    pub async fn start_in(
        &self,
        tx: &mut PgConnection,
        request: StartRequest,
    ) -> Result<Started, ClientError> {
        self.check(&request)?;
        let run = Uuid::now_v7();
        let mut address = Address {
            part: part_of(NAMESPACE, &request.workflow_id, self.hub.partitions()),
            run,
            namespace: NAMESPACE.into(),
            workflow_id: request.workflow_id.as_str().into(),
            run_no: 1,
        };
        let (events, labels) = (first_row(&self.first_events(&request)?), labels(&request)?);
        loop {
            let new = NewRun {
                address: &address,
                workflow_type: &request.workflow_type,
                events: &events,
                labels: labels.as_deref(),
                deadline: request.deadline,
            };
            if workflow::start(&mut *tx, &new).await? {
                return Ok(Started { run, existing: false });
            }
            let id = &request.workflow_id;
            let row = workflow::latest(&mut *tx, address.part, NAMESPACE, id).await?;
            let row = row.ok_or_else(|| ClientError::NotFound(id.clone()))?;
            if !may_follow(row.cached().status, request.id_reuse) {
                compare(&mut *tx, &row, &request).await?;
                signal(tx, &row, request.signal).await?;
                return Ok(Started { run: row.run, existing: true });
            }
            address.run_no = row.run_no + 1;
        }
    }
}

/// A run that was there already hears the signal that the start came with.
async fn signal(
    tx: &mut PgConnection,
    row: &Row,
    signal: Option<SignalRequest>,
) -> Result<(), ClientError> {
    let Some(SignalRequest { name, id, payload }) = signal else { return Ok(()) };
    check_open(&mut *tx, row).await?;
    let message = Message {
        address: Arc::new(row.address()),
        key: format!("signal:{}", message_id(id.as_deref())?),
        name: Some(name),
        payload: Some(payload.get().to_owned()),
    };
    Ok(inbox::send(tx, &message, true).await?)
}
