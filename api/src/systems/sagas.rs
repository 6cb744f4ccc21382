//! What façades ask of the engine, and wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hansom_activities::numbers::{Numbers, Series};
use hansom_core::{Event, Status, View, Workflow};
use hansom_engine::ClientError;
use serde_json::{Map, Value};
use sqlx::PgPool;

use super::key::Key;
use crate::http::Api;
use crate::http::errors::draining;
use crate::http::problem::Problem;

/// A server that is being stopped has handed the saga over: its answer is worth a short wait,
/// for what is repeated without a key is done twice.
const PATIENCE_DRAIN: Duration = Duration::from_secs(3);

/// What comes after a cancel is quick, while all services are up.
pub(super) const PATIENCE_SETTLE: Duration = Duration::from_secs(5);

/// How often is looked without a hint: another process may own the workflow.
const LOOK: Duration = Duration::from_millis(200);

/// The sagas behind a façade. Clones share them.
#[derive(Clone)]
pub(super) struct Sagas {
    api: Arc<Api>,
    numbers: Numbers,
}

/// What the saga behind a view is started with.
type Input<V> = <<V as View>::Workflow as Workflow>::Input;

/// What became of a saga that was just started.
pub(super) enum Begun<T> {
    /// What was waited for.
    Decided(T),
    /// It unwinds, or is closed, and that did not come.
    Ended,
    /// Neither, so far.
    Pending,
    /// Its id belongs to another one, which someone started by hand.
    Taken,
}

/// What became of a cancel.
pub(super) enum Cancelled {
    /// Nothing is left to do.
    Settled,
    /// It is on its way.
    Pending,
    /// There is nothing to cancel.
    Unknown,
    /// It was over before, like this.
    Over(Status),
}

impl Sagas {
    pub(super) fn new(api: Arc<Api>, pool: &PgPool) -> Self {
        Self { api, numbers: Numbers::new(pool.clone()) }
    }

    pub(super) fn client(&self) -> &hansom_engine::Client {
        self.api.client()
    }

    /// The number that a key has. Its request may be a repetition then: what was begun is told as
    /// it is, whatever would keep anything new from being begun by now.
    pub(super) async fn drawn(&self, series: Series, key: &Key) -> Result<Option<i64>, Problem> {
        let Some(key) = key.as_deref() else { return Ok(None) };
        Ok(self.numbers.drawn(series, key).await?)
    }

    /// A number for something new, if anything may be started now; a key has it from then on.
    pub(super) async fn draw(&self, series: Series, key: &Key) -> Result<i64, Problem> {
        self.api.admit()?;
        Ok(match key.as_deref() {
            Some(key) => self.numbers.next_for(series, key).await?,
            None => self.numbers.next(series).await?,
        })
    }

    /// Resolves when the server is being stopped.
    pub(super) async fn drained(&self) {
        self.api.drained().await;
    }

    pub(super) fn refuse_while_draining(&self) -> Result<(), Problem> {
        if self.api.is_draining() { Err(draining()) } else { Ok(()) }
    }

    /// Starts a saga, and waits until its row in `V` says what is waited for. With a key, one that
    /// was started with the same is the one that is meant, open or closed. `same` compares what
    /// clients say: the settings of the server, or its version, may be others by now.
    pub(super) async fn begin<V: View, T>(
        &self,
        (id, input): (&str, &Input<V>),
        key: &Key,
        patience: Duration,
        same: impl Fn(&Input<V>, &Input<V>) -> bool,
        decided: impl Fn(&Map<String, Value>) -> Option<T>,
    ) -> Result<Begun<T>, Problem> {
        let repeats = key.is_given();
        match self.client().start::<V::Workflow>(id, input).await {
            Ok(started) if repeats || !started.existing => {}
            Err(ClientError::InputConflict { .. }) if repeats => {
                let stored = self.input::<V::Workflow>(id).await?;
                if !stored.is_some_and(|stored| same(&stored, input)) {
                    return Err(Key::used("request"));
                }
            }
            Ok(_) | Err(ClientError::InputConflict { .. }) => return Ok(Begun::Taken),
            Err(error @ ClientError::Unavailable(_)) => return Err(key.unsure(error.into())),
            Err(error) => return Err(error.into()),
        }
        match self.watched::<V, T>(id, V::key(input), patience, decided).await {
            // It is on its way, whether anybody can look at it or not.
            Err(ClientError::Unavailable(error)) => {
                tracing::warn!(%error, workflow_id = id, "saga.not_watched");
                Ok(Begun::Pending)
            }
            watched => Ok(watched?),
        }
    }

    /// What a saga was started with; none while there is no such saga.
    pub(super) async fn input<W: Workflow>(&self, id: &str) -> Result<Option<W::Input>, Problem> {
        let first = match self.client().history(id, None, 1).await {
            Ok(first) => first.items.into_iter().next(),
            Err(ClientError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(Event::Started { input, .. }) = first.map(|first| first.what) else {
            return Ok(None);
        };
        Ok(input.decode().ok())
    }

    /// Waits until a row says what is waited for, or the saga unwinds or is closed without it.
    pub(super) async fn watched<V: View, T>(
        &self,
        id: &str,
        key: i64,
        patience: Duration,
        decided: impl Fn(&Map<String, Value>) -> Option<T>,
    ) -> Result<Begun<T>, ClientError> {
        let client = self.client();
        let mut news = client.watch(id).await?;
        let mut deadline = Instant::now() + patience;
        let mut drain_deadline = None;
        loop {
            // Looked at before its row: what is decided, and over at once, was decided.
            let status = client.describe(id).await?.status;
            let row = client.view::<V>(key).await?;
            let ours = row.filter(|record| record.workflow_id == id);
            if let Some(decided) = ours.and_then(|record| decided(&record.row)) {
                return Ok(Begun::Decided(decided));
            }
            let now = Instant::now();
            if self.api.is_draining() {
                deadline = deadline.min(*drain_deadline.get_or_insert(now + PATIENCE_DRAIN));
            }
            if status == Status::Compensating || status.is_closed() {
                return Ok(Begun::Ended);
            }
            // What is stuck may go on when a person has looked at it.
            if now >= deadline || status == Status::Stuck {
                return Ok(Begun::Pending);
            }
            news.changed(LOOK.min(deadline - now)).await;
        }
    }

    /// Cancels a saga, and waits a little until all it did is undone.
    pub(super) async fn cancel(&self, id: &str, reason: &str) -> Result<Cancelled, Problem> {
        self.refuse_while_draining()?;
        match self.client().cancel(id, Some(reason)).await {
            Ok(_) => {}
            Err(ClientError::NotFound(_)) => return Ok(Cancelled::Unknown),
            Err(ClientError::AfterPivot(_)) => return Ok(Cancelled::Over(Status::Completed)),
            Err(ClientError::Closed { status, .. }) => return Ok(Cancelled::Over(status)),
            Err(error) => return Err(error.into()),
        }
        Ok(match self.closed(id).await? {
            Some(Status::Cancelled) => Cancelled::Settled,
            // It came to another end while the cancel was on its way.
            Some(status) => Cancelled::Over(status),
            None => Cancelled::Pending,
        })
    }

    /// Why it failed, if it did and closes soon.
    pub(super) async fn error<W: Workflow>(&self, id: &str) -> Result<Option<W::Error>, Problem> {
        if self.closed(id).await? != Some(Status::Failed) {
            return Ok(None);
        }
        let error = self.client().result(id, Duration::ZERO).await?.error;
        Ok(error.and_then(|error| error.decode().ok()))
    }

    /// How it closed, if it does so soon.
    pub(super) async fn closed(&self, id: &str) -> Result<Option<Status>, Problem> {
        let result = tokio::select! {
            result = self.client().result(id, PATIENCE_SETTLE) => result,
            () = self.api.drained() => return Ok(None),
        };
        match result {
            Ok(outcome) => Ok(Some(outcome.status)),
            Err(ClientError::StillOpen(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
