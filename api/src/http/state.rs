//! What the handlers share.

use std::sync::{Mutex, PoisonError};

use hansom_engine::{Client, Worker};
use tokio::sync::watch;

/// The client that handlers ask, and the worker behind it until it is drained.
pub struct Api {
    client: Client,
    worker: Mutex<Option<Worker>>,
    draining: watch::Sender<bool>,
}

impl Api {
    /// For a worker that runs.
    pub fn new(worker: Worker) -> Self {
        let client = worker.client();
        Self { client, worker: Mutex::new(Some(worker)), draining: watch::Sender::new(false) }
    }

    /// What handlers ask.
    pub fn client(&self) -> &Client {
        &self.client
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
