//! Runs that go on in others: which is the last, and what is for it.
//!
//! One run closes and the other begins in one commit; its body begins when that has taken
//! place, so that no commit has two generations. A message is sent to a run, and is for
//! whichever run the workflow has by then. What could interleave, and why every sender is heard
//! once and in order:
//!
//! * *A message comes while the commit gathers or is in flight.* From the moment that a run goes
//!   on in another, whatever comes for it waits for that one, in the order in which it was read.
//! * *The commit does not take place.* The expected run is forgotten with all else; the message
//!   is still in the inbox.
//! * *It took place, and its answer is late.* What others send to the heir, which they can see,
//!   waits with the rest; a recovery that loads the heir first begins it, and nobody else does.
//! * *The partition moves before the heir begins.* Its row is hot: the next owner loads it. What
//!   lies in the inbox of a run that ended is read together with its last heir.
//! * *A run goes on after the inbox was read.* Who ended since is known here for a while, and
//!   after that is told by the run itself, once it is loaded; or by what is read next of the
//!   inbox, which then comes after what waits for the run.
//! * *A message is repeated, or read again.* The ids of the last that were heard go along.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Machine, Status, Timestamp, UndoStatus};
use uuid::Uuid;

use super::Owner;
use super::batch::Cached;
use super::kin::{Heir, heir_of};
use super::resident::{self, Resident};
use super::runs::Wake;
use crate::address::{Address, Part};

/// So long it is known here who went on in whom: far longer than anything is under way.
const KNOWN: Duration = Duration::from_mins(1);

/// Who went on in whom.
#[derive(Default)]
pub(crate) struct Heirs {
    of: HashMap<Uuid, Arc<Address>>,
    since: VecDeque<(Timestamp, Uuid)>,
}

impl Heirs {
    /// The run that this one went on in, and that one in turn.
    pub(super) fn last<'a>(&'a self, address: &'a Arc<Address>) -> &'a Arc<Address> {
        let mut last = address;
        while let Some(heir) = self.of.get(&last.run) {
            last = heir;
        }
        last
    }

    /// A run that had ended before it came to memory.
    pub(super) fn learn(&mut self, address: &Address, cached: &Cached, now: Timestamp) {
        if let Some(at) = cached.closed_at.filter(|_| cached.status == Status::Continued) {
            self.of.insert(address.run, Arc::new(heir_of(address, at)));
            self.since.push_back((now, address.run));
        }
    }

    /// A run that never was has none.
    pub(super) fn disown(&mut self, run: Uuid) {
        self.of.remove(&run);
    }

    pub(super) fn evict(&mut self, now: Timestamp) {
        while let Some((since, run)) = self.since.front().copied() {
            if now.since(since) < KNOWN {
                return;
            }
            self.since.pop_front();
            self.of.remove(&run);
        }
    }

    pub(super) fn forget(&mut self, parts: &HashSet<Part>) {
        self.of.retain(|_, heir| !parts.contains(&heir.part));
        self.since.retain(|(_, run)| self.of.contains_key(run));
    }
}

impl Owner {
    /// The inbox says who a run has gone on in by now. What was read of it before waits for that
    /// run, or one between them, and comes before all that is read now.
    pub(super) fn redirect(&mut self, from: &Arc<Address>, heir: &Arc<Address>, now: Timestamp) {
        let known = self.heirs.last(from).run_no >= heir.run_no;
        if known || !self.parts.contains_key(&from.part) {
            return;
        }
        let (mut waiting, mut last) = (self.runs.take_messages(from.run), from.run);
        while let Some(next) = self.heirs.of.get(&last) {
            last = next.run;
            waiting.extend(self.runs.take_messages(last));
        }
        self.heirs.of.insert(last, Arc::clone(heir));
        self.heirs.since.push_back((now, last));
        for message in waiting {
            self.wake(heir, Wake::Message(message), now);
        }
    }

    /// If something that was just told to this run made it go on in another: that one is
    /// expected from now on.
    pub(super) fn bequeath(&mut self, run: &Resident) {
        let heir = self.commits.gathering.kin.heirs.last();
        let Some(heir) = heir.filter(|heir| heir.before == run.address.run) else { return };
        if self.heirs.of.contains_key(&heir.before) {
            return;
        }
        self.runs.expect(&heir.address);
        self.heirs.of.insert(heir.before, Arc::clone(&heir.address));
    }

    /// The commit has taken place in which another run went on in this one.
    pub(super) fn succeed(&mut self, heir: Heir, now: Timestamp) {
        let Heir { before, address, workflow_type, events, at, .. } = heir;
        self.heirs.since.push_back((now, before));
        // Its partition may have been handed over, or a load may have brought it.
        let mine = self.parts.contains_key(&address.part);
        let Some(wakes) = self.runs.expected(address.run).filter(|_| mine) else { return };
        let (kind, seed) = (self.registry.workflow(workflow_type), address.run.as_u128());
        self.at_work.begins(&address);
        let history = [(at, events.to_vec())];
        let fold = resident::fold(self.registry.views_of(workflow_type), &address, &history);
        let machine = Machine::replay(kind, seed, history);
        let (status, undo) = (Status::Running, UndoStatus::None);
        let cached = Cached { status, undo, hot: true, closed_at: None };
        let run = Resident::new(Arc::clone(&address), machine, cached, at).with_views(fold);
        self.take_up(run, false, now);
        for wake in wakes {
            self.wake(&address, wake, now);
        }
        self.see_alarms(&address, now);
    }
}
