//! The runs in memory, those on their way there, and those that may leave.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Seq, Timestamp};
use uuid::Uuid;

use super::resident::{Resident, Scene};
use super::{Batch, Message};
use crate::address::{Address, Part};

/// A run to which nothing happened for this long leaves memory …
const IDLE: Duration = Duration::from_secs(5);
/// … and earlier, where more than this many are idle.
const IDLE_MAX: usize = 1_024;

/// Runs by their id.
#[derive(Default)]
pub(crate) struct Runs {
    entries: HashMap<Uuid, Entry>,
    /// Idle runs by when they became so; entries overtaken by events are skipped.
    idle: VecDeque<(Timestamp, Uuid)>,
    wanted: VecDeque<Arc<Address>>,
    loading: bool,
    /// Left memory since the load under way began, which is therefore older.
    gone: HashSet<Uuid>,
    /// Left or gained since then: another may have written there meanwhile.
    moved: HashSet<Part>,
}

/// A run in memory, or on its way there.
pub(crate) enum Entry {
    /// In memory.
    Live(Box<Resident>),
    /// Asked for, with what is to happen then.
    Loading(Arc<Address>, Vec<Wake>),
}

/// What wakes a run.
pub(crate) enum Wake {
    /// A timer or a retry, and when it was due.
    Alarm(Seq, Timestamp),
    /// It may try a step that it holds back until then.
    Early(Seq, Timestamp),
    /// A message.
    Message(Message),
    /// Its body begins anew.
    Body(Again),
}

/// What is known of a run whose body begins anew, and not in history.
#[derive(Clone, Copy)]
pub(crate) struct Again {
    /// So often it has panicked where it is.
    pub(crate) panics: u32,
    /// Whether the last owner may have sent what is held back here.
    pub(crate) doubted: bool,
}

impl Runs {
    pub(crate) fn live(&self) -> impl Iterator<Item = &Resident> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Live(run) => Some(&**run),
            Entry::Loading(..) => None,
        })
    }

    pub(crate) fn get_mut(&mut self, run: Uuid) -> Option<&mut Resident> {
        match self.entries.get_mut(&run) {
            Some(Entry::Live(run)) => Some(run),
            _ => None,
        }
    }

    /// Drops all runs of these partitions.
    pub(crate) fn forget(&mut self, parts: &HashSet<Part>) {
        self.moved(parts);
        self.wanted.retain(|address| !parts.contains(&address.part));
        self.entries.retain(|_, entry| match entry {
            Entry::Live(resident) => !parts.contains(&resident.address.part),
            Entry::Loading(address, _) => !parts.contains(&address.part),
        });
    }

    /// Takes a live run out, to be put back with [`Runs::insert`].
    pub(crate) fn take(&mut self, run: Uuid) -> Option<Box<Resident>> {
        match self.entries.remove(&run)? {
            Entry::Live(resident) => Some(resident),
            loading @ Entry::Loading(..) => {
                self.entries.insert(run, loading);
                None
            }
        }
    }

    pub(crate) fn insert(&mut self, resident: impl Into<Box<Resident>>, now: Timestamp) {
        let mut resident = resident.into();
        if resident.in_flight.is_empty() && resident.idle_since < now {
            resident.idle_since = now;
            self.idle.push_back((now, resident.address.run));
        }
        self.entries.insert(resident.address.run, Entry::Live(resident));
    }

    pub(crate) fn remove(&mut self, run: Uuid) {
        if self.loading {
            self.gone.insert(run);
        }
        self.entries.remove(&run);
    }

    /// Hands the wake back when the run is in memory; else keeps it until it is.
    pub(crate) fn wake_later(&mut self, address: &Arc<Address>, wake: Wake) -> Option<Wake> {
        match self.entries.get_mut(&address.run) {
            Some(Entry::Live(_)) => return Some(wake),
            Some(Entry::Loading(_, wakes)) => wakes.push(wake),
            None => {
                let loading = Entry::Loading(Arc::clone(address), vec![wake]);
                self.entries.insert(address.run, loading);
                self.wanted.push_back(Arc::clone(address));
            }
        }
        None
    }

    pub(crate) fn take_wanted(&mut self, limit: usize) -> Vec<Arc<Address>> {
        if self.loading {
            return Vec::new();
        }
        let mut taken = Vec::new();
        while let Some(address) = self.wanted.pop_front() {
            // What another load has brought meanwhile is not wanted any more.
            if matches!(self.entries.get(&address.run), Some(Entry::Loading(..))) {
                taken.push(address);
            }
            if taken.len() == limit {
                break;
            }
        }
        taken
    }

    pub(crate) fn want_again(&mut self, left: Vec<Arc<Address>>) {
        for address in left.into_iter().rev() {
            // What came back with its partition is wanted already, if it is.
            if !self.has_moved(address.part) {
                self.wanted.push_front(address);
            }
        }
    }

    pub(crate) fn loading(&mut self) {
        self.loading = true;
    }

    pub(crate) fn loading_is_over(&mut self) {
        self.loading = false;
        self.gone.clear();
        self.moved.clear();
    }

    /// These partitions changed hands.
    pub(crate) fn moved<'a>(&mut self, parts: impl IntoIterator<Item = &'a Part>) {
        if self.loading {
            self.moved.extend(parts);
        }
    }

    /// A run that begins when the commit under way or being gathered has taken place: what is
    /// for it waits for that.
    pub(crate) fn expect(&mut self, address: &Arc<Address>) {
        let expected = Entry::Loading(Arc::clone(address), Vec::new());
        self.entries.insert(address.run, expected);
    }

    /// Such a run begins; `None` when it is here already, or not expected any more.
    pub(crate) fn expected(&mut self, run: Uuid) -> Option<Vec<Wake>> {
        match self.entries.get_mut(&run)? {
            Entry::Loading(_, wakes) => Some(std::mem::take(wakes)),
            Entry::Live(_) => None,
        }
    }

    /// Takes what waits for a run that is on its way, and may be for another.
    pub(crate) fn take_messages(&mut self, run: Uuid) -> Vec<Message> {
        let Some(Entry::Loading(_, wakes)) = self.entries.get_mut(&run) else { return Vec::new() };
        let messages = wakes.extract_if(.., |wake| match wake {
            Wake::Message(message) => message.is_for_heirs(),
            Wake::Alarm(..) | Wake::Early(..) | Wake::Body(_) => false,
        });
        let message = |wake| match wake {
            Wake::Message(message) => Some(message),
            Wake::Alarm(..) | Wake::Early(..) | Wake::Body(_) => None,
        };
        messages.filter_map(message).collect()
    }

    /// Whether what the load under way brings of this partition may be out of date.
    pub(crate) fn has_moved(&self, part: Part) -> bool {
        self.moved.contains(&part)
    }

    /// What waits for a run that a load has brought; `None` when memory knows better.
    pub(crate) fn expects(&mut self, run: Uuid) -> Option<Vec<Wake>> {
        match self.entries.get_mut(&run) {
            Some(Entry::Live(_)) => None,
            // Also when it is wanted again: that takes another load.
            _ if self.gone.contains(&run) => None,
            Some(Entry::Loading(_, wakes)) => Some(std::mem::take(wakes)),
            None => Some(Vec::new()),
        }
    }

    /// What waits for a run that was asked for and does not exist.
    pub(crate) fn give_up(&mut self, address: &Address) -> Vec<Wake> {
        let run = address.run;
        if self.has_moved(address.part) {
            return Vec::new();
        }
        match self.entries.remove(&run) {
            Some(Entry::Loading(_, wakes)) => wakes,
            Some(live) => {
                self.entries.insert(run, live);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// How many runs are idle, or were.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// The run that has been idle longest, when it is time for it to leave.
    pub(crate) fn next_idle(&mut self, now: Timestamp) -> Option<Uuid> {
        while let Some((since, run)) = self.idle.front().copied() {
            let still = match self.entries.get(&run) {
                Some(Entry::Live(resident)) => {
                    let idle = resident.in_flight.is_empty() && !resident.is_busy();
                    idle && resident.idle_since == since
                }
                _ => false,
            };
            if still && now.since(since) < IDLE && self.idle.len() <= IDLE_MAX {
                return None;
            }
            self.idle.pop_front();
            if still {
                return Some(run);
            }
        }
        None
    }

    /// Drops an idle run, unless the database does not know all of it yet.
    pub(crate) fn drop_idle(&mut self, run: Uuid, committed: i64, now: Timestamp) {
        let Some(resident) = self.get_mut(run) else { return };
        if resident.written_in() <= committed {
            self.remove(run);
        } else {
            resident.idle_since = now.after(Duration::from_micros(1));
            let again = (resident.idle_since, run);
            self.idle.push_back(again);
        }
    }
}

impl Wake {
    /// Happens to a run in memory.
    pub(crate) fn up(self, run: &mut Resident, scene: &mut Scene<'_>) {
        match self {
            Self::Alarm(seq, due) => {
                if !run.ring(seq, due, scene) {
                    let Address { part, run, .. } = *run.address;
                    scene.batch.alarms_dropped.push((part, run, seq, due));
                }
            }
            Self::Message(message) => {
                // It lies there under the name of the run that it was sent to.
                scene.batch.consume(&message.address, message.key.clone());
                if message.key.starts_with("outcome:") {
                    run.outcome(&message.key, message.payload.as_deref(), scene);
                } else if let Some(event) = message.event(run.machine.ledger()) {
                    run.tell(event, scene);
                }
            }
            Self::Early(seq, due) => run.try_early(seq, due, scene),
            // It has been told before it was taken up.
            Self::Body(_) => {}
        }
    }

    /// The run does not exist.
    pub(crate) fn happen_to_nobody(self, address: &Address, batch: &mut Batch) {
        match self {
            Self::Alarm(seq, due) => {
                batch.alarms_dropped.push((address.part, address.run, seq, due));
            }
            Self::Message(message) => batch.consume(&message.address, message.key),
            Self::Early(..) | Self::Body(_) => {}
        }
    }
}
