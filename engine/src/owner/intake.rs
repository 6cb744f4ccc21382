//! What an owner is told.

use std::sync::Arc;

use hansom_core::{Attempt, Event, Payload, Seq, Timestamp};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::batch::{Cached, StartReply};
use crate::address::Address;

/// A start, on its way to the owner.
#[derive(Debug)]
pub(crate) struct NewStart {
    pub(crate) address: Address,
    pub(crate) workflow_type: String,
    pub(crate) input: Payload,
    pub(crate) labels: Option<String>,
    pub(crate) reply: StartReply,
    /// Its place among the starts that wait for a commit.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// A run as the database has it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) address: Arc<Address>,
    pub(crate) workflow_type: String,
    pub(crate) cached: Cached,
    pub(crate) history: Vec<(Timestamp, Vec<Event>)>,
}

/// What came through the inbox.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) address: Arc<Address>,
    /// Its key in the inbox.
    pub(crate) key: String,
    /// The name and payload of a signal; of a cancel, its reason as payload.
    pub(crate) name: Option<String>,
    pub(crate) payload: Option<String>,
}

/// An answered attempt.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) run: Uuid,
    pub(crate) seq: Seq,
    pub(crate) attempt: u32,
    pub(crate) ended: Attempt,
    /// Whether heartbeats of its step are kept.
    pub(crate) said: bool,
}
