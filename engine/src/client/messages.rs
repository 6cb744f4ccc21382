//! What may be said to a workflow: signals, and updates that it answers.

use std::time::Duration;

use hansom_core::{Event, Payload, Signal, Update, UpdateAnswer};
use sqlx::PgExecutor;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Client, check_size, invalid};
use crate::ClientError;
use crate::address::is_id;
use crate::store::history::{self, Look, Seen};
use crate::store::inbox;
use crate::store::workflow::Row;
use crate::view::State;

/// So many messages of one run wait in the inbox.
const INBOX_MAX: i64 = 1_000;
/// An answer that another process commits is looked for this often.
const POLL: Duration = Duration::from_millis(250);

impl Client {
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
        let id = message_id(signal_id)?;
        let row = self.row(workflow_id).await?;
        self.check_signal(&row.workflow_type, name, &payload)?;
        check_open(&self.pool, &row).await?;
        let payload = Some(payload.get().to_owned());
        self.send(&row, format!("signal:{id}"), Some(name.to_owned()), payload).await
    }

    /// Whether workflows of that type take this signal. What another binary knows is left
    /// to that one.
    pub(super) fn check_signal(
        &self,
        workflow_type: &str,
        name: &str,
        payload: &Payload,
    ) -> Result<(), ClientError> {
        let Some(kind) = self.registry.workflow(workflow_type) else { return Ok(()) };
        let Some(signal) = kind.signals.iter().find(|signal| signal.name == name) else {
            return Err(ClientError::UnknownSignal {
                workflow_type: workflow_type.to_owned(),
                name: name.to_owned(),
                known: kind.signals.iter().map(|signal| signal.name).collect(),
            });
        };
        signal.check(payload).map_err(|error| invalid(&error))
    }

    /// Sends an update, and waits at most `wait` for the workflow's answer: the output, or its
    /// refusal. It is answered once; with the same id the same answer is heard again, also
    /// when the workflow has closed since.
    ///
    /// ```no_run
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct EndRide { fare: u64 }
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("declined")] struct Declined;
    /// # impl Update for EndRide { const NAME: &'static str = "end_ride"; type Output = u64; type Error = Declined; }
    /// # async fn example(client: hansom_engine::Client) -> Result<(), hansom_engine::ClientError> {
    /// let wait = std::time::Duration::from_secs(30);
    /// match client.update("trip-7", &EndRide { fare: 900 }, Some("end-1"), wait).await? {
    ///     Ok(paid) => println!("paid {paid}"),
    ///     Err(declined) => println!("{declined}: the ride is still open"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::UnknownUpdate`],
    /// [`ClientError::StillOpen`], when there is no answer yet;
    /// [`ClientError::Closed`], when there will be none; [`ClientError::QueueFull`].
    pub async fn update<U: Update>(
        &self,
        workflow_id: &str,
        update: &U,
        update_id: Option<&str>,
        wait: Duration,
    ) -> Result<Result<U::Output, U::Error>, ClientError> {
        let payload = Payload::of(update).map_err(|error| invalid(&error))?;
        let answer = self.update_raw(workflow_id, U::NAME, update_id, payload, wait).await?;
        match answer {
            UpdateAnswer::Done { output } => output.decode().map(Ok),
            UpdateAnswer::Refused { error } => error.decode().map(Err),
        }
        .map_err(|error| invalid(&error))
    }

    /// As [`Client::update`], with its types erased.
    ///
    /// # Errors
    ///
    /// As [`Client::update`].
    pub async fn update_raw(
        &self,
        workflow_id: &str,
        name: &str,
        update_id: Option<&str>,
        payload: Payload,
        wait: Duration,
    ) -> Result<UpdateAnswer, ClientError> {
        check_size("the update", &payload)?;
        let id = message_id(update_id)?;
        let row = self.row(workflow_id).await?;
        if let Some(kind) = self.registry.workflow(&row.workflow_type) {
            let Some(update) = kind.updates.iter().find(|update| update.name == name) else {
                return Err(ClientError::UnknownUpdate {
                    workflow_type: row.workflow_type,
                    name: name.to_owned(),
                    known: kind.updates.iter().map(|update| update.name).collect(),
                });
            };
            update.check(&payload).map_err(|error| invalid(&error))?;
        }
        // Before it is sent, and before it is looked for: what is answered meanwhile is heard.
        let mut watcher = self.hub.watch(row.run);
        let mut from = (row.run_no, history::last(&self.pool, row.part, row.run).await?);
        if update_id.is_some()
            && let Some(answer) = self.answered_before(&row, &id).await?
        {
            return Ok(answer);
        }
        check_open(&self.pool, &row).await?;
        let payload = Some(payload.get().to_owned());
        self.send(&row, format!("update:{id}"), Some(name.to_owned()), payload).await?;
        let (mut run, end) = (row.run, Instant::now() + wait);
        loop {
            let next = (Instant::now() + POLL).min(end);
            // Told or not, it looks for itself.
            let _ = tokio::time::timeout_at(next, watcher.next()).await;
            let look = self.look(&row, from, &id).await?;
            if let Some(answer) = look.answer {
                return Ok(answer);
            }
            let workflow_id = || row.workflow_id.clone();
            let Some(Seen { last, heir, status }) = look.seen else {
                return Err(ClientError::NotFound(workflow_id()));
            };
            // An answer may come with the end, and would have been seen with it.
            if status.is_closed() {
                return Err(ClientError::Closed { workflow_id: workflow_id(), status });
            }
            if Instant::now() >= end {
                return Err(ClientError::StillOpen(workflow_id()));
            }
            if heir != run {
                run = heir;
                watcher = self.hub.watch(run);
            }
            from = last;
        }
    }

    /// The answer to an update that was sent before: by this run, or by one that went on in it
    /// and told it so.
    async fn answered_before(
        &self,
        row: &Row,
        id: &str,
    ) -> Result<Option<UpdateAnswer>, ClientError> {
        let look = self.look(row, (row.run_no, 0), id).await?;
        if look.answer.is_some() || row.run_no == 1 {
            return Ok(look.answer);
        }
        let first = history::page(&self.pool, row.part, row.run, 0, 1).await?;
        let key = format!("update:{id}");
        let heard = first.iter().flat_map(|(_, _, events)| events).any(|event| match event {
            Event::Started { continued: Some(before), .. } => before.heard.contains(&key),
            _ => false,
        });
        if !heard {
            return Ok(None);
        }
        let workflow = (row.namespace.as_str(), row.workflow_id.as_str());
        let beginning = history::beginning(&self.pool, row.part, workflow, row.run_no).await?;
        let begun = beginning.map_or(row.run_no, |(run_no, ..)| run_no);
        Ok(self.look(row, (begun, 0), id).await?.answer)
    }

    /// Looks for the answer to an update, `from` that row of that run on.
    async fn look(&self, row: &Row, from: (i32, i32), id: &str) -> Result<Look, ClientError> {
        let workflow = (row.namespace.as_str(), row.workflow_id.as_str());
        Ok(history::answer(&self.pool, row.part, workflow, from, id).await?)
    }

    /// What the body published last: a plain read, that asks nothing of the workflow.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`].
    pub async fn state(&self, workflow_id: &str) -> Result<State, ClientError> {
        let row = self.row(workflow_id).await?;
        let state = history::last_published(&self.pool, row.part, row.run).await?;
        Ok(State { workflow_id: row.workflow_id, run: row.run, state })
    }
}

/// Whether a run takes messages.
pub(super) async fn check_open(db: impl PgExecutor<'_>, row: &Row) -> Result<(), ClientError> {
    let (workflow_id, status) = (row.workflow_id.clone(), row.cached().status);
    if status.is_closed() {
        return Err(ClientError::Closed { workflow_id, status });
    }
    if inbox::waiting(db, row.part, row.run).await? >= INBOX_MAX {
        return Err(ClientError::QueueFull { workflow_id, limit: INBOX_MAX });
    }
    Ok(())
}

pub(super) fn message_id(id: Option<&str>) -> Result<String, ClientError> {
    let id = id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    if is_id(&id) { Ok(id) } else { Err(ClientError::InvalidId(id)) }
}
