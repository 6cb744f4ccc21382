//! Starting: at most one open run per workflow id, whatever is repeated.

use chrono::Datelike;
use hansom_core::{Event, Outcome, Payload, Status, Workflow};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgExecutor;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::messages::message_id;
use super::{Client, check_size, invalid};
use crate::ClientError;
use crate::address::{Address, NAMESPACE, is_id, part_of};
use crate::owner::{NewStart, StartAnswer, first_row};
use crate::store::workflow::Row;
use crate::store::{from_time, history, workflow};
use crate::view::{IdReuse, SignalRequest, StartRequest, Started};
use crate::worker::hub::Watcher;
use crate::worker::told::ToLane;

/// A commit that takes longer is not waited for; it may still take place.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whether an open transaction has ended is looked at first after this …
const LOOK: Duration = Duration::from_millis(10);
/// … and then less and less often, down to this.
const LOOKS: Duration = Duration::from_millis(250);

const OPEN: &str = "a transaction that is open has started it";

/// So many labels of one workflow.
const LABELS_MAX: usize = 32;
/// Bytes of a label's key, and of its value.
const LABEL_MAX: usize = 255;

impl Client {
    /// Starts a workflow. Durable when this returns; repeating it with the same
    /// id and input returns the same run.
    ///
    /// # Errors
    ///
    /// [`ClientError::InputConflict`], when a run of that id has another input;
    /// [`ClientError::UnknownType`]; [`ClientError::InvalidId`];
    /// [`ClientError::Unavailable`], after which a repetition is safe.
    pub async fn start<W: Workflow>(
        &self,
        workflow_id: &str,
        input: &W::Input,
    ) -> Result<Started, ClientError> {
        self.start_raw(StartRequest {
            workflow_type: W::NAME.to_owned(),
            workflow_id: workflow_id.to_owned(),
            input: Payload::of(input).map_err(|error| invalid(&error))?,
            labels: std::collections::BTreeMap::new(),
            id_reuse: IdReuse::default(),
            deadline: None,
            signal: None,
        })
        .await
    }

    /// As [`Client::start`], with its types erased.
    ///
    /// # Errors
    ///
    /// As [`Client::start`], and [`ClientError::InvalidInput`].
    pub async fn start_raw(&self, request: StartRequest) -> Result<Started, ClientError> {
        self.begin(request, Uuid::now_v7()).await
    }

    /// Starts, and listens for the end from before the beginning: cheaper than
    /// [`Client::start_raw`] and then [`Client::result`].
    ///
    /// # Errors
    ///
    /// As [`Client::start_raw`].
    pub async fn start_to_end(
        &self,
        request: StartRequest,
    ) -> Result<(Started, Ending), ClientError> {
        let workflow_id = request.workflow_id.clone();
        let run = Uuid::now_v7();
        let watcher = self.hub.watch(run);
        let started = self.begin(request, run).await?;
        // Of another run it must be heard from before it is looked at.
        let watcher = if started.run == run { watcher } else { self.hub.watch(started.run) };
        let looked = started.run == run;
        let ending =
            Ending { client: self.clone(), workflow_id, run: started.run, watcher, looked };
        Ok((started, ending))
    }

    pub(super) fn is_local(&self, workflow_id: &str) -> bool {
        self.hub.lane_of(part_of(NAMESPACE, workflow_id, self.hub.partitions())).is_some()
    }

    async fn begin(&self, request: StartRequest, run: Uuid) -> Result<Started, ClientError> {
        if self.hub.is_draining() {
            return Err(ClientError::Draining);
        }
        self.check(&request)?;
        let workflow_id = request.workflow_id.as_str();
        let address = Address {
            part: part_of(NAMESPACE, workflow_id, self.hub.partitions()),
            run,
            namespace: NAMESPACE.into(),
            workflow_id: workflow_id.into(),
            run_no: 1,
        };
        if self.start_at(&address, &request).await? {
            return Ok(Started { run, existing: false });
        }
        self.start_again(address, &request).await
    }

    pub(super) fn check(&self, request: &StartRequest) -> Result<(), ClientError> {
        if !is_id(&request.workflow_id) {
            return Err(ClientError::InvalidId(request.workflow_id.clone()));
        }
        check_size("the input", &request.input)?;
        if let Some(signal) = &request.signal {
            check_size("the signal", &signal.payload)?;
            self.check_signal(&request.workflow_type, &signal.name, &signal.payload)?;
            message_id(signal.id.as_deref())?;
        }
        // Refused here, because the database would refuse the whole batch it is in.
        let unstorable = |text: &String| text.contains('\0') || text.len() > LABEL_MAX;
        if request.labels.len() > LABELS_MAX
            || request.labels.iter().any(|(key, value)| unstorable(key) || unstorable(value))
        {
            let rule = "at most 32 labels, each of at most 255 bytes and without NUL";
            return Err(ClientError::InvalidInput(rule.to_owned()));
        }
        if request.deadline.is_some_and(|deadline| !(1970..10_000).contains(&deadline.year())) {
            let rule = "a deadline is a time from 1970 on and before the year 10000";
            return Err(ClientError::InvalidInput(rule.to_owned()));
        }
        let kind = self.registry.workflow(&request.workflow_type);
        let kind = kind.ok_or_else(|| ClientError::UnknownType {
            name: request.workflow_type.clone(),
            known: self.registry.workflows().map(|kind| kind.name).collect(),
        })?;
        kind.check_input(&request.input).map_err(|error| invalid(&error))
    }

    /// Through the lane that owns it, or else the database; false when the id is taken.
    async fn start_at(
        &self,
        address: &Address,
        request: &StartRequest,
    ) -> Result<bool, ClientError> {
        // Kept until the commit: what waits for one is bounded, also when nobody waits for it.
        let permit = Arc::clone(&self.starts).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, permit).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?.ok();
        if let Some(lane) = self.hub.lane_of(address.part) {
            let (reply, answer) = oneshot::channel();
            let start = NewStart {
                address: address.clone(),
                workflow_type: request.workflow_type.clone(),
                events: self.first_events(request)?,
                labels: labels(request)?,
                reply,
                permit,
            };
            if lane.send(ToLane::Start(start)).is_ok() {
                match tokio::time::timeout(PATIENCE, answer).await {
                    Ok(Ok(StartAnswer::Started)) => return Ok(true),
                    Ok(Ok(StartAnswer::Taken)) => return Ok(false),
                    // Unknown, or another owner's: the database decides, by the run's id.
                    Ok(Ok(StartAnswer::NotMine) | Err(_)) => {}
                    Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
                }
            }
        }
        // What an owner writes down, it looks at itself.
        if request.input.get().len() > Payload::LARGE {
            let bytes = request.input.get().len();
            tracing::warn!(workflow_id = %address.workflow_id, run = %address.run, bytes, "payload_large");
        }
        self.start_past_owner(address, request).await
    }

    /// Through the database; false when the id is taken, or may be by a transaction that is open.
    async fn start_past_owner(
        &self,
        address: &Address,
        request: &StartRequest,
    ) -> Result<bool, ClientError> {
        let (events, labels) = (first_row(&self.first_events(request)?), labels(request)?);
        let start = workflow::NewRun {
            address,
            workflow_type: &request.workflow_type,
            events: &events,
            labels: labels.as_deref(),
            deadline: request.deadline,
        };
        Ok(workflow::try_start(&self.pool, &start).await?.unwrap_or(false))
    }

    /// The events that it begins with.
    pub(super) fn first_events(&self, request: &StartRequest) -> Result<Vec<Event>, ClientError> {
        let kind = self.registry.workflow(&request.workflow_type);
        let started = Event::Started {
            input: request.input.clone(),
            code: kind.and_then(|kind| kind.code).map(|code| code.to_string()),
            deadline: request.deadline.map(from_time),
            parent: None,
            continued: None,
        };
        let mut events = vec![started];
        if let Some(SignalRequest { name, id, payload }) = request.signal.clone() {
            events.push(Event::Signalled { name, id: message_id(id.as_deref())?, payload });
        }
        Ok(events)
    }

    /// A run that was there already hears the signal that the start came with.
    async fn signal_existing(&self, request: &StartRequest) -> Result<(), ClientError> {
        let Some(SignalRequest { name, id, payload }) = &request.signal else { return Ok(()) };
        let workflow_id = &request.workflow_id;
        self.signal_raw(workflow_id, name, id.as_deref(), payload.clone()).await
    }

    /// The id is taken: by the same start, by another, or by a closed run that
    /// may be followed by a new one.
    async fn start_again(
        &self,
        mut address: Address,
        request: &StartRequest,
    ) -> Result<Started, ClientError> {
        let (begun, mut wait) = (Instant::now(), LOOK);
        loop {
            let row = match self.row(&request.workflow_id).await {
                Ok(row) if row.run_no >= address.run_no => row,
                Err(error) if !matches!(error, ClientError::NotFound(_)) => return Err(error),
                // Whoever has the id cannot be seen: a transaction is open. Its owner is not asked
                // again, because all else in its commit would wait.
                Ok(_) | Err(_) => {
                    if begun.elapsed() > PATIENCE {
                        return Err(sqlx::Error::Io(std::io::Error::other(OPEN)).into());
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LOOKS);
                    if self.start_past_owner(&address, request).await? {
                        return Ok(Started { run: address.run, existing: false });
                    }
                    continue;
                }
            };
            let same = compare(&self.pool, &row, request).await;
            if row.run == address.run {
                return Ok(Started { run: row.run, existing: false });
            }
            if !may_follow(row.cached().status, request.id_reuse) {
                same?;
                self.signal_existing(request).await?;
                return Ok(Started { run: row.run, existing: true });
            }
            address.run_no = row.run_no + 1;
            if self.start_at(&address, request).await? {
                return Ok(Started { run: address.run, existing: false });
            }
        }
    }
}

/// Its labels, as JSON.
pub(super) fn labels(request: &StartRequest) -> Result<Option<String>, ClientError> {
    (!request.labels.is_empty())
        .then(|| serde_json::to_string(&request.labels).map_err(|error| invalid(&error)))
        .transpose()
}

/// Whether a new run may follow the latest one of an id.
pub(super) fn may_follow(status: Status, reuse: IdReuse) -> bool {
    match reuse {
        IdReuse::Allow => status.is_closed(),
        IdReuse::AllowFailed => status.is_closed() && status != Status::Completed,
        IdReuse::Reject => false,
    }
}

/// Whether a start repeats the one that made this run.
pub(super) async fn compare(
    db: impl PgExecutor<'_>,
    row: &Row,
    request: &StartRequest,
) -> Result<(), ClientError> {
    // What somebody started may have gone on in other runs since.
    let id = (row.namespace.as_str(), row.workflow_id.as_str());
    let beginning = history::beginning(db, row.part, id, row.run_no).await?;
    let Some((_, workflow_type, first)) = beginning else { return Ok(()) };
    let stored = first.iter().find_map(|event| match event {
        Event::Started { input, .. } => Some(input),
        _ => None,
    });
    let Some(stored) = stored else { return Ok(()) };
    let (same_type, given) = (workflow_type == request.workflow_type, &request.input);
    if same_type && (stored == given || canonical(stored) == canonical(given)) {
        return Ok(());
    }
    Err(ClientError::InputConflict {
        workflow_id: row.workflow_id.clone(),
        stored: hash(&workflow_type, stored),
        given: hash(&request.workflow_type, given),
    })
}

/// The end of a workflow, to be waited for.
pub struct Ending {
    client: Client,
    workflow_id: String,
    run: Uuid,
    watcher: Watcher,
    /// It was not closed when the watcher began to listen.
    looked: bool,
}

impl Ending {
    /// How it ended, waiting for that for at most `wait`.
    ///
    /// # Errors
    ///
    /// As [`Client::result`].
    pub async fn outcome(self, wait: Duration) -> Result<Outcome, ClientError> {
        let Self { client, workflow_id, run, watcher, looked } = self;
        client.hear_of_close(&workflow_id, (run, watcher, looked), wait).await
    }
}

/// The same JSON value, whatever its white space and the order of its keys.
fn canonical(payload: &Payload) -> Option<Value> {
    payload.decode().ok()
}

/// SHA-256 of the type, a NUL, and the canonical JSON (keys sorted), as hex.
fn hash(workflow_type: &str, payload: &Payload) -> String {
    let text = canonical(payload).map_or_else(|| payload.get().to_owned(), |v| v.to_string());
    let digest = Sha256::new().chain_update(workflow_type).chain_update([0]).chain_update(text);
    digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
