//! Which runs are in memory: how they come there from history, and how they leave.

use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Machine, Status, Timestamp};
use uuid::Uuid;

use super::resident::{self, Resident};
use super::runs::{Again, Wake};
use super::{HORIZON, Owner, Stored};
use crate::address::Address;

/// A body that is to begin anew waits so much longer for a commit.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Owner {
    /// Runs whose history is wanted, at most `limit`, unless some are on their way.
    pub(crate) fn take_wanted(&mut self, limit: usize) -> Vec<Arc<Address>> {
        self.runs.take_wanted(limit)
    }

    /// These were asked for, and the load that ends now has not brought them yet.
    pub(crate) fn want_again(&mut self, left: Vec<Arc<Address>>) {
        self.runs.want_again(left);
    }

    /// A load begins: what leaves memory from now on is newer than what it brings.
    pub(crate) fn loading(&mut self) {
        self.runs.loading();
    }

    /// A load is over. `asked` without a row among `stored` do not exist, but for
    /// the `unreadable`: what waits for those stays where it is.
    pub(crate) fn loaded(
        &mut self,
        asked: &[Arc<Address>],
        (stored, unreadable): (Vec<Stored>, &[Uuid]),
        now: Timestamp,
    ) {
        for stored in stored {
            self.load(stored, now);
        }
        for address in asked {
            let wakes = self.runs.give_up(address);
            if unreadable.contains(&address.run) {
                continue;
            }
            for wake in wakes {
                wake.happen_to_nobody(address, &mut self.commits.gathering);
            }
        }
        self.runs.loading_is_over();
    }

    fn load(&mut self, stored: Stored, now: Timestamp) {
        let Stored { address, workflow_type, cached, history, lost } = stored;
        let Some(holding) = self.parts.get(&address.part).copied() else { return };
        if self.runs.has_moved(address.part) {
            return;
        }
        let Some(wakes) = self.runs.expects(address.run) else { return };
        self.at_work.begins(&address);
        let last_at = history.last().map(|(at, _)| *at).unwrap_or_default();
        // What has closed changes no more.
        let views = self.registry.views_of(&workflow_type);
        let views = views.filter(|_| !cached.status.is_closed());
        let fold = resident::fold(views, &address, &history);
        let (kind, seed) = (self.registry.workflow(&workflow_type), address.run.as_u128());
        let machine = if resident::is_poison(lost, &history) {
            Machine::replay_poisoned(kind, seed, history, resident::poison(lost))
        } else {
            Machine::replay(kind, seed, history)
        };
        let run = Resident::new(Arc::clone(&address), machine, cached, last_at);
        let mut run = run.with_views(fold);
        let again = wakes.iter().find_map(|wake| match wake {
            Wake::Body(again) => Some(*again),
            Wake::Alarm(..) | Wake::Early(..) | Wake::Message(_) => None,
        });
        // Once it is past that place, the next panic is another.
        let panics = again.filter(|_| run.machine.fault().is_some());
        run.panics = panics.map_or(0, |again| again.panics);
        // What was under way under another owner may have been sent; a stuck run is not hot.
        let may_be_sent = again.is_none_or(|again| again.doubted);
        if (cached.hot || cached.status == Status::Stuck) && may_be_sent {
            run.machine.ledger_mut().doubt();
        }
        // A body that begins anew under the same owner has lost nothing.
        self.take_up(run, cached.hot && !holding.clean && again.is_none(), now);
        for wake in wakes {
            self.wake(&address, wake, now);
        }
        self.see_alarms(&address, now);
    }

    /// A run that came from history goes on; `charge` as for [`Resident::resume`].
    pub(super) fn take_up(&mut self, mut run: Resident, charge: bool, now: Timestamp) {
        let Resident { address, cached, .. } = &run;
        if run.is_closed() {
            self.heirs.learn(address, cached, now);
        } else {
            let part = address.part;
            run.resume(charge, &mut self.scene(part, now));
        }
        self.keep(run, now);
    }

    /// The last owner's clock may have been a little ahead of this one's: a retry that it
    /// began has no row any more.
    pub(super) fn see_alarms(&mut self, address: &Arc<Address>, now: Timestamp) {
        let Some(run) = self.runs.get_mut(address.run) else { return };
        for (seq, due) in run.machine.ledger().alarms() {
            if *due <= now.after(HORIZON) {
                self.alarms.near.insert((*due, address.run, *seq), Arc::clone(address));
            }
        }
    }

    /// Parks and drops runs that nothing happens to, longest idle first.
    pub(crate) fn evict(&mut self, now: Timestamp) {
        self.heirs.evict(now);
        let done = self.commits.done;
        // Those that cannot leave yet line up again, and are not seen twice.
        for _ in 0..self.runs.idle() {
            let Some(run) = self.runs.next_idle(now) else { return };
            if self.runs.get_mut(run).is_some_and(|run| run.cached.hot) {
                self.with(run, now, Resident::park);
            } else {
                self.runs.drop_idle(run, done, now);
            }
        }
    }

    /// Takes a run back into memory after something happened to it.
    pub(super) fn keep(&mut self, run: impl Into<Box<Resident>>, now: Timestamp) {
        let mut run = run.into();
        self.at_work.ends();
        self.bequeath(&run);
        if run.wants_replay() {
            let wait =
                Duration::from_millis(100) * 4_u32.pow(run.panics_by_now().saturating_sub(1));
            let due = *run.begins_anew.get_or_insert(now.after(wait));
            // While an attempt is under way it is not looked at: the answer brings it here again.
            if run.in_flight.is_empty() {
                self.replays.insert((due, run.address.run), Arc::clone(&run.address));
            }
        } else {
            run.begins_anew = None;
        }
        self.runs.insert(run, now);
    }

    /// Bodies that are to begin anew by `now` leave memory, to come back from history; not
    /// before all that happened to them is there, and no attempt of theirs is under way.
    pub(super) fn replay(&mut self, now: Timestamp) {
        while let Some(entry) = self.replays.first_entry() {
            let (due, run) = *entry.key();
            if due > now {
                return;
            }
            let address = entry.remove();
            let resident = self.runs.get_mut(run);
            let Some(resident) = resident.filter(|run| run.begins_anew == Some(due)) else {
                continue;
            };
            if !resident.in_flight.is_empty() {
                continue;
            }
            if resident.written_in() > self.commits.done {
                let again = now.after(LOOK_AGAIN);
                resident.begins_anew = Some(again);
                self.replays.insert((again, run), address);
                continue;
            }
            let mut running = resident.machine.ledger().running().values();
            let doubted = running.any(|running| running.is_doubted());
            let again = Again { panics: resident.panics_by_now(), doubted };
            self.runs.remove(run);
            self.runs.wake_later(&address, Wake::Body(again));
        }
    }
}
