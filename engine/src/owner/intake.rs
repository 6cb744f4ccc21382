//! What an owner is told.

use std::sync::Arc;

use hansom_core::{Attempt, Event, Ledger, Seq, Status, Timestamp};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::batch::{Cached, StartReply};
use super::kin;
use crate::address::Address;

/// A start, on its way to the owner.
#[derive(Debug)]
pub(crate) struct NewStart {
    pub(crate) address: Address,
    pub(crate) workflow_type: String,
    /// Its start, and perhaps a signal that comes with it.
    pub(crate) events: Vec<Event>,
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
    /// So many workers were lost in its body.
    pub(crate) lost: u32,
}

/// What came through the inbox.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) address: Arc<Address>,
    /// Its key in the inbox.
    pub(crate) key: String,
    /// The name and payload of a signal or an update; of what an operator asks, the reason as
    /// payload; of a child, its report.
    pub(crate) name: Option<String>,
    pub(crate) payload: Option<String>,
}

/// An answered attempt.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) run: Uuid,
    pub(crate) activity: String,
    pub(crate) seq: Seq,
    pub(crate) attempt: u32,
    pub(crate) ended: Attempt,
    /// Whether heartbeats of its step are kept.
    pub(crate) said: bool,
}

impl Message {
    /// The event it is, unless it comes too late or a second time.
    pub(super) fn event(&self, ledger: &Ledger) -> Option<Event> {
        let status = ledger.status();
        if status.is_closed() {
            return None;
        }
        let (kind, id) = self.key.split_once(':').unwrap_or((&self.key, ""));
        let (id, reason) = (id.to_owned(), self.payload.clone());
        let told = || Some((self.name.clone()?, kin::payload(self.payload.as_deref())?));
        match kind {
            "signal" if !ledger.has_seen(&id) => {
                told().map(|(name, payload)| Event::Signalled { name, id, payload })
            }
            "update" if !ledger.has_seen_update(&id) => {
                told().map(|(name, payload)| Event::UpdateRequested { name, id, payload })
            }
            "child" => kin::reported(&self.key, self.payload.as_deref(), ledger),
            "cancel" => {
                let late = ledger.pivoted() || ledger.cause().is_some();
                (!late).then_some(Event::CancelRequested { reason })
            }
            "terminate" => Some(Event::Terminated { reason: reason.unwrap_or_default() }),
            "retry" => (status == Status::Stuck).then_some(Event::Retried { reason }),
            _ => None,
        }
    }

    /// Whether it is meant for the workflow rather than for one run of it.
    pub(super) fn is_for_heirs(&self) -> bool {
        let kind = self.key.split(':').next().unwrap_or_default();
        matches!(kind, "signal" | "update" | "cancel" | "terminate" | "retry")
    }
}
