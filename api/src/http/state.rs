//! What the handlers share.

use std::sync::{Mutex, PoisonError};

use hansom_activities::breaker::Breakers;
use hansom_engine::{Client, Worker};
use tokio::sync::watch;

use super::errors::draining;
use super::kinds::{self, Kind};
use super::problem::Problem;
use super::views::Feeds;

/// When who was refused should come again, in seconds.
const COME_AGAIN: u32 = 2;

/// The client that handlers ask, and the worker behind it until it is drained.
pub struct Api {
    client: Client,
    worker: Mutex<Option<Worker>>,
    draining: watch::Sender<bool>,
    breakers: Breakers,
    /// Past it nothing is started; 0 is no bound.
    max_backlog: usize,
    feeds: Feeds,
    landscape: Option<String>,
    problems: Vec<Kind>,
}

impl Api {
    /// For a worker that runs.
    pub fn new(worker: Worker) -> Self {
        let client = worker.client();
        Self {
            client,
            worker: Mutex::new(Some(worker)),
            draining: watch::Sender::new(false),
            breakers: Breakers::default(),
            max_backlog: 0,
            feeds: Feeds::default(),
            landscape: None,
            problems: Vec::new(),
        }
    }

    /// With the breakers that its activities go through.
    #[must_use]
    pub fn with_breakers(self, breakers: Breakers) -> Self {
        Self { breakers, ..self }
    }

    /// Describes these kinds of problem too.
    #[must_use]
    pub fn with_problems(self, problems: Vec<Kind>) -> Self {
        Self { problems, ..self }
    }

    /// The kinds of problem that are not in [`super::kinds`].
    pub(super) fn problems(&self) -> &[Kind] {
        &self.problems
    }

    /// Starts nothing while [`Client::backlog`] is this or more; 0, as without it, is no bound.
    #[must_use]
    pub fn with_max_backlog(self, max_backlog: usize) -> Self {
        Self { max_backlog, ..self }
    }

    /// Says at `/v1/server` and `/metrics` what the place where it runs is called.
    #[must_use]
    pub fn with_landscape(self, landscape: Option<String>) -> Self {
        landscape.as_deref().inspect(|name| super::metrics::landscape(name));
        Self { landscape, ..self }
    }

    pub(super) fn landscape(&self) -> Option<&str> {
        self.landscape.as_deref()
    }

    /// The breakers that its activities go through.
    pub(super) fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    /// Whether a workflow may be started here now: asked before anything of it is written.
    /// What is accepted already, and whatever is said to it, is never refused by this.
    pub(crate) fn admit(&self) -> Result<(), Problem> {
        if self.is_draining() {
            return Err(draining());
        }
        let backlog = self.client.backlog();
        if self.max_backlog == 0 || backlog < self.max_backlog {
            return Ok(());
        }
        tracing::debug!(backlog, max_backlog = self.max_backlog, "server_overloaded");
        metrics::counter!(super::metrics::REFUSED).increment(1);
        let detail = format!(
            "{backlog} attempts and starts wait here already; from {} on nothing is started",
            self.max_backlog
        );
        let problem = Problem::new(kinds::OVERLOADED, detail).retry_after(COME_AGAIN);
        Err(problem.limit(self.max_backlog as u64))
    }

    /// What handlers ask.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whoever follows a view.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.feeds
    }

    /// As [`Worker::death`]; never, once it is drained.
    pub fn death(&self) -> impl Future<Output = String> + use<> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let death = worker.as_ref().map(Worker::death);
        async move {
            match death {
                Some(death) => death.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether traffic should be sent here.
    pub fn is_ready(&self) -> bool {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_draining() && worker.as_ref().is_some_and(Worker::is_ready)
    }

    /// Whether it is being stopped.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// From now on it is not ready, takes nothing new, and whoever waits is sent away.
    pub fn begin_drain(&self) {
        self.draining.send_replace(true);
    }

    /// Resolves once [`Api::begin_drain`] was called.
    pub async fn drained(&self) {
        let mut draining = self.draining.subscribe();
        // The sender is a field of `self`, so it outlives this wait.
        let _ = draining.wait_for(|draining| *draining).await;
    }

    /// Finishes what is in flight and hands the partitions over.
    pub async fn drain(&self) {
        self.begin_drain();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            worker.drain().await;
        }
    }
}
