//! Attempts that are made elsewhere. Their rows outlive this owner: whoever follows it makes no
//! new ones of them, and charges nothing.
//!
//! A run has one out in three states. It is *in flight* until its row is known to be there; from
//! then on it is *elsewhere*, and the run may leave memory; its outcome comes through the inbox
//! and is answered as any other. A run that is not hot has all its rows: a dispatch makes it hot in
//! the same commit. Of a hot one nobody knows, so it offers again, which does nothing to a row that
//! is there.

use std::collections::HashMap;
use std::time::Duration;

use hansom_core::{Attempt, Direction, Payload, Running, Seq, Status, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::resident::{Resident, Scene};
use super::{After, Dispatch, Owner};
use crate::address::Part;

/// How an attempt ended that was made elsewhere, as it stands in the inbox.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It answered.
    Done(Payload),
    /// It refused.
    Refused(Payload),
    /// Something technical: worth another attempt.
    Failed {
        /// What went wrong.
        reason: String,
        /// When to try again, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done(output) => Self::Done(output),
            Outcome::Refused(error) => Self::Refused(error),
            Outcome::Failed { reason, retry_after } => {
                Self::Failed { reason, retry_after: retry_after.map(Duration::from_millis) }
            }
        }
    }
}

/// The step and the attempt whose outcome a message of this key is.
pub(crate) fn outcome_of(key: &str) -> Option<(Seq, u32)> {
    let (seq, attempt) = key.strip_prefix("outcome:")?.split_once(':')?;
    Some((Seq(seq.parse().ok()?), attempt.parse().ok()?))
}

/// What one commit asks for elsewhere; to be done in this order, and in the order of commits.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    /// Attempts to offer.
    pub(crate) offers: Vec<Dispatch>,
    /// Attempts whose outcome is committed.
    pub(crate) over: Vec<(Part, Uuid, Seq, u32)>,
    /// Runs that unwind, and have actions under way.
    pub(crate) recalled: Vec<(Part, Uuid)>,
    /// Runs that closed, and had attempts under way.
    pub(crate) abandoned: Vec<(Part, Uuid)>,
}

impl Elsewhere {
    pub(crate) fn is_empty(&self) -> bool {
        self.offers.is_empty()
            && self.over.is_empty()
            && self.recalled.is_empty()
            && self.abandoned.is_empty()
    }

    /// Together with what a later commit asks for.
    pub(crate) fn extend(&mut self, later: Self) {
        self.offers.extend(later.offers);
        self.over.extend(later.over);
        self.recalled.extend(later.recalled);
        self.abandoned.extend(later.abandoned);
    }

    /// Leaves the last attempt of each step: there is one row for it.
    pub(crate) fn keep_last(&mut self) {
        let mut last = HashMap::with_capacity(self.offers.len());
        for (at, offer) in self.offers.iter().enumerate() {
            last.insert((offer.address.run, offer.seq), at);
        }
        let mut at = 0..self.offers.len();
        self.offers.retain(|offer| last.get(&(offer.address.run, offer.seq)) == at.next().as_ref());
    }
}

impl After {
    /// Takes out what is for elsewhere.
    pub(crate) fn elsewhere(&mut self) -> Elsewhere {
        let outcomes = self.consumed.iter().filter_map(|(part, run, key)| {
            let (seq, attempt) = outcome_of(key)?;
            Some((*part, *run, seq, attempt))
        });
        Elsewhere {
            over: outcomes.collect(),
            offers: self.dispatches.extract_if(.., |dispatch| dispatch.queue.is_some()).collect(),
            recalled: std::mem::take(&mut self.recalled),
            abandoned: std::mem::take(&mut self.abandoned),
        }
    }
}

impl Owner {
    /// The rows of these attempts are there.
    pub(crate) fn offered(&mut self, offered: Vec<(Uuid, Seq, u32)>, now: Timestamp) {
        for (run, seq, attempt) in offered {
            self.with(run, now, |run, _| {
                if run.machine.awaits(seq, attempt) && run.in_flight.remove(&seq) {
                    run.elsewhere.insert(seq);
                }
            });
        }
    }
}

impl Scene<'_> {
    pub(super) fn performs_elsewhere(&self, running: &Running) -> bool {
        self.registry.queue(&running.call.activity).is_some()
    }
}

impl Resident {
    /// An attempt that was made elsewhere has come to its end. What makes no sense is no answer,
    /// and will be found to be too late.
    pub(super) fn outcome(&mut self, key: &str, outcome: Option<&str>, scene: &mut Scene<'_>) {
        let read = |text| serde_json::from_str::<Outcome>(text).ok();
        if let (Some((seq, attempt)), Some(outcome)) = (outcome_of(key), outcome.and_then(read)) {
            self.answer(seq, attempt, outcome.into(), scene);
        }
    }

    /// Whether it waits for an attempt: under way here, or left to the next owner; or held back,
    /// and perhaps sent by the last one.
    pub(crate) fn is_busy(&self) -> bool {
        let ledger = self.machine.ledger();
        let stuck = ledger.status() == Status::Stuck;
        let mut running = ledger.running().iter();
        let here = running.any(|(seq, running)| {
            let under_way = running.is_under_way() && !self.elsewhere.contains(seq);
            // What memory has to reckon with must be in history before it leaves memory.
            under_way || (running.is_doubted() && !running.is_under_way())
        });
        (!stuck && here) || self.wants_replay()
    }

    /// Whether an attempt of this step is out of this run's hands.
    pub(super) fn is_out(&self, seq: Seq) -> bool {
        self.elsewhere.contains(&seq) || self.in_flight.contains(&seq)
    }

    /// Of a run that is not hot, the rows of all attempts elsewhere are there. A stuck one is
    /// never hot, so of that nobody knows.
    pub(super) fn find_elsewhere(&mut self, scene: &Scene<'_>) {
        if self.cached.hot || self.cached.status == Status::Stuck {
            return;
        }
        let running = self.machine.ledger().running().iter();
        let remote = running
            .filter(|(_, running)| running.is_under_way() && scene.performs_elsewhere(running));
        self.elsewhere.extend(remote.map(|(seq, _)| *seq));
    }

    /// Offers whatever is performed elsewhere and not known to be offered; of a run that unwinds,
    /// only to call it back.
    pub(super) fn offer_again(&mut self, scene: &mut Scene<'_>) {
        let running = self.machine.ledger().running().iter();
        let remote = running
            .filter(|(seq, running)| !self.is_out(**seq) && scene.performs_elsewhere(running));
        for seq in remote.map(|(seq, _)| *seq).collect::<Vec<_>>() {
            self.dispatch(seq, scene);
        }
        self.call_back(scene);
    }

    /// Has whoever performs something for this run told that nobody needs it any more. What nobody
    /// has claimed is withdrawn, and answered as failed: whether an earlier attempt happened is not
    /// known, so that its undo voids it. Whether there is anybody to be told.
    pub(super) fn call_back(&mut self, scene: &mut Scene<'_>) -> bool {
        let (ledger, address) = (self.machine.ledger(), &self.address);
        if ledger.status().is_closed() {
            if !self.elsewhere.is_empty() || !self.in_flight.is_empty() {
                scene.batch.after.abandoned.push((address.part, address.run));
            }
        } else if ledger.status() == Status::Compensating {
            let forward = ledger.running().iter().any(|(seq, running)| {
                running.direction != Direction::Undo
                    && self.is_out(*seq)
                    && scene.performs_elsewhere(running)
            });
            if forward {
                scene.batch.after.recalled.push((address.part, address.run));
                return true;
            }
        }
        false
    }
}
