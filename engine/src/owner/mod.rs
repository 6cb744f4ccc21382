//! The owner of some partitions: everything that happens to their workflows
//! comes through here, one thing at a time, and leaves as batches to commit.
//!
//! No I/O and no clock: a lane feeds it and carries out what it asks, and a
//! simulation can do the same. What could interleave, and why it is safe:
//!
//! * *A batch is in flight while the next one gathers.* Batches are committed
//!   strictly one after the other; what follows from a commit (attempts,
//!   answers) waits in its [`After`]. If it does not take place, the lane
//!   forgets everything ([`Owner::forget_all`]): memory is never ahead of
//!   history by more than what is forgotten with it.
//! * *A load races with what happens meanwhile.* One load is under way at a
//!   time. Its rows are older than a run that is in memory, which therefore
//!   wins, and than a run that left memory meanwhile, which is in `gone`; and
//!   nothing counts that it brings of a partition that changed hands meanwhile.
//! * *A message is polled twice before its consumption is committed.* It is in
//!   `consuming` until then; after that, history knows the ids of its signals.
//! * *An outcome comes late*, from an attempt that another has followed: its
//!   number does not match, and it is dropped.

mod at_work;
mod batch;
mod heirs;
mod held;
mod intake;
mod kin;
mod memory;
pub(crate) mod remote;
mod resident;
mod runs;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Attempt, Machine, Seq, Status, Timestamp, UndoStatus};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

pub(crate) use at_work::AtWork;
pub(crate) use batch::{After, AlarmRow, Batch, Cached, Dispatch, NewRow, StartAnswer, first_row};
use heirs::Heirs;
use held::Held;
pub(crate) use intake::{Answer, Message, NewStart, Stored};
pub(crate) use kin::{Heir, Kin, NewChild, Sent};
use resident::{Resident, Scene};
use runs::{Runs, Wake};

use crate::Registry;
use crate::address::{Address, Part};

/// Alarms nearer than this are held in memory.
pub(crate) const HORIZON: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug)]
struct Holding {
    clean: bool,
    leaving: bool,
}

/// The owner of some partitions.
pub(crate) struct Owner {
    registry: Arc<Registry>,
    parts: HashMap<Part, Holding>,
    runs: Runs,
    alarms: Alarms,
    consuming: HashSet<(Part, Uuid, String)>,
    commits: Commits,
    random: SmallRng,
    partitions: i32,
    /// Bodies that begin anew, by when; one entry too many does nothing.
    replays: BTreeMap<(Timestamp, Uuid), Arc<Address>>,
    heirs: Heirs,
    at_work: AtWork,
}

struct Alarms {
    near: BTreeMap<(Timestamp, Uuid, Seq), Arc<Address>>,
    /// All alarms due before this are near, or being read, once they are committed.
    horizon: Timestamp,
    /// Those of steps that may be tried before they ring.
    held: Held,
}

struct Commits {
    gathering: Batch,
    in_flight: Option<After>,
    /// The number of the last batch that took place.
    done: i64,
}

impl Owner {
    pub(crate) fn new(registry: Arc<Registry>, partitions: i32, seed: u64) -> Self {
        Self {
            registry,
            parts: HashMap::new(),
            runs: Runs::default(),
            alarms: Alarms {
                near: BTreeMap::new(),
                horizon: Timestamp::default(),
                held: Held::default(),
            },
            consuming: HashSet::new(),
            commits: Commits { gathering: Batch::following(0), in_flight: None, done: 0 },
            random: SmallRng::seed_from_u64(seed),
            partitions,
            replays: BTreeMap::new(),
            heirs: Heirs::default(),
            at_work: AtWork::default(),
        }
    }

    /// The same, seen by somebody who says where it is when it does not come back.
    pub(crate) fn seen_by(self, at_work: AtWork) -> Self {
        Self { at_work, ..self }
    }

    /// A partition is this owner's now. Not `clean`: its last owner was lost.
    pub(crate) fn gain(&mut self, part: Part, clean: bool) {
        self.runs.moved(&[part]);
        self.parts.insert(part, Holding { clean, leaving: false });
    }

    /// The partitions it owns.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<_> = self.parts.keys().copied().collect();
        parts.sort_unstable();
        parts
    }

    /// Whether it owns any partition.
    pub(crate) fn owns_any(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Makes no more attempts in these partitions and takes no more starts;
    /// what is under way may still be answered.
    pub(crate) fn leave(&mut self, parts: &[Part]) {
        for part in parts {
            if let Some(holding) = self.parts.get_mut(part) {
                holding.leaving = true;
            }
        }
    }

    /// Attempts under way in partitions that are being left.
    pub(crate) fn in_flight_where_leaving(&self) -> usize {
        let leaving = |part| self.parts.get(&part).is_some_and(|holding| holding.leaving);
        self.runs
            .live()
            .filter(|run| leaving(run.address.part))
            .map(|run| run.in_flight.len())
            .sum()
    }

    /// Drops all memory of partitions that are handed over.
    pub(crate) fn forget(&mut self, parts: &[Part]) {
        let parts: HashSet<_> = parts.iter().copied().collect();
        self.parts.retain(|part, _| !parts.contains(part));
        self.runs.forget(&parts);
        self.alarms.near.retain(|_, address| !parts.contains(&address.part));
        self.alarms.held.forget(&parts);
        self.consuming.retain(|(part, ..)| !parts.contains(part));
        self.replays.retain(|_, address| !parts.contains(&address.part));
        self.heirs.forget(&parts);
    }

    /// Drops everything: it is fenced, or does not know what took place.
    pub(crate) fn forget_all(&mut self) {
        let parts = self.parts();
        self.forget(&parts);
        // Whoever waits for an answer hears of it by the drop of the reply.
        self.commits = Commits { gathering: Batch::following(0), in_flight: None, done: 0 };
    }

    /// Starts a workflow.
    pub(crate) fn start(&mut self, start: NewStart, now: Timestamp) {
        let NewStart { address, workflow_type, events, labels, reply, permit } = start;
        let mine = self.parts.get(&address.part).is_some_and(|holding| !holding.leaving);
        if !mine {
            // Whoever asked may be gone.
            let _ = reply.send(StartAnswer::NotMine);
            return;
        }
        if reply.is_closed() {
            // Nobody waits any more, and nobody was told that it is started.
            return;
        }
        let address = Arc::new(address);
        let replies = &mut self.commits.gathering.after.replies;
        replies.push((address.run, reply, permit));
        let machine = Machine::new(self.registry.workflow(&workflow_type), address.run.as_u128());
        let cached =
            Cached { status: Status::Running, undo: UndoStatus::None, hot: true, closed_at: None };
        self.at_work.begins(&address);
        let fold = resident::fold(self.registry.views_of(&workflow_type), &address, &[]);
        let run = Resident::new(Arc::clone(&address), machine, cached, now);
        let mut run = run.with_views(fold);
        self.commits.gathering.starts.push(NewRow {
            address: Arc::clone(&address),
            workflow_type,
            started_at: now,
            labels,
        });
        run.begin(events, &mut self.scene(address.part, now));
        self.keep(run, now);
    }

    /// An attempt was answered.
    pub(crate) fn answer(&mut self, answer: Answer, now: Timestamp) {
        let Answer { run, activity, seq, attempt, ended, said } = answer;
        let early = self.runs.get_mut(run).is_some_and(|run| run.is_early(seq, attempt));
        let follow = self.alarms.held.hear(&activity, early, &ended, now);
        self.with(run, now, |run, scene| {
            let goes_on = matches!(ended, Attempt::Failed { .. } | Attempt::Unavailable { .. });
            let over = !goes_on && run.machine.awaits(seq, attempt);
            if said && over {
                scene.batch.after.silent.push((run.address.part, run.address.run, seq));
            }
            run.answer(seq, attempt, ended, scene);
        });
        self.try_early(follow, now);
    }

    /// A message was found in the inbox, and perhaps an heir of the run that it was sent to.
    pub(crate) fn message(&mut self, message: Message, heir: Option<Arc<Address>>, now: Timestamp) {
        let id = (message.address.part, message.address.run, message.key.clone());
        if let Some(heir) = &heir {
            self.redirect(&message.address, heir, now);
        }
        if self.parts.contains_key(&message.address.part) && self.consuming.insert(id) {
            let heir = heir.filter(|_| message.is_for_heirs());
            let address = heir.unwrap_or_else(|| Arc::clone(&message.address));
            self.wake(&address, Wake::Message(message), now);
        }
    }

    /// All alarms due by `now` ring, and what is held back is tried again where it is time.
    pub(crate) fn ring(&mut self, now: Timestamp) {
        self.replay(now);
        let turns = self.alarms.held.look(now);
        self.try_early(turns, now);
        while let Some(entry) = self.alarms.near.first_entry() {
            let (due, _, seq) = *entry.key();
            if due > now {
                return;
            }
            let address = entry.remove();
            self.wake(&address, Wake::Alarm(seq, due), now);
        }
    }

    /// When there is something to ring.
    pub(crate) fn next_alarm(&self) -> Option<Timestamp> {
        let alarm = self.alarms.near.keys().next().map(|(due, ..)| *due);
        let replay = self.replays.keys().next().map(|(due, _)| *due);
        alarm.into_iter().chain(replay).chain(self.alarms.held.next_look()).min()
    }

    /// The alarms due before `horizon` are about to be read: what is set from
    /// now on, or is being committed now, rings without having been read.
    pub(crate) fn scanning(&mut self, horizon: Timestamp) {
        self.alarms.horizon = self.alarms.horizon.max(horizon);
    }

    /// Alarms that were found in the database.
    pub(crate) fn alarms(&mut self, alarms: Vec<AlarmRow>) {
        for AlarmRow { address, seq, due } in alarms {
            if self.parts.contains_key(&address.part) {
                self.alarms.near.insert((due, address.run, seq), address);
            }
        }
    }

    fn wake(&mut self, address: &Arc<Address>, wake: Wake, now: Timestamp) {
        let address = match &wake {
            Wake::Message(message) if message.is_for_heirs() => self.heirs.last(address),
            _ => address,
        };
        let run = address.run;
        if let Some(wake) = self.runs.wake_later(address, wake) {
            self.with(run, now, |run, scene| wake.up(run, scene));
        }
    }

    /// The next batch to commit, when none is in flight and there is something.
    pub(crate) fn seal(&mut self) -> Option<Batch> {
        if self.commits.in_flight.is_some() || self.commits.gathering.is_empty() {
            return None;
        }
        let next = Batch::following(self.commits.gathering.number);
        let mut batch = std::mem::replace(&mut self.commits.gathering, next);
        let mut dropped = HashSet::new();
        for (_, run, seq, due) in &batch.alarms_dropped {
            self.alarms.near.remove(&(*due, *run, *seq));
            dropped.insert((*due, *run, *seq));
        }
        let set = batch.alarms_set.iter();
        let set = set.filter(|row| !dropped.contains(&(row.due, row.address.run, row.seq)));
        batch.after.held.retain(|step| !dropped.contains(&step.alarm));
        self.alarms.held.drop_alarms(&dropped);
        batch.after.alarms = set.map(|row| (row.due, row.seq, Arc::clone(&row.address))).collect();
        batch.after.heirs.clone_from(&batch.kin.heirs);
        batch.after.forget_overtaken();
        self.commits.in_flight = Some(std::mem::take(&mut batch.after));
        Some(batch)
    }

    /// Whether nothing more should be taken in until the batch in flight is committed.
    pub(crate) fn is_full(&self) -> bool {
        self.commits.in_flight.is_some() && self.has_a_batch()
    }

    /// Whether what is gathered should be committed before more is taken in.
    pub(crate) fn has_a_batch(&self) -> bool {
        self.commits.gathering.is_full()
    }

    /// The number of the batch that is being gathered.
    pub(crate) fn gathering(&self) -> i64 {
        self.commits.gathering.number
    }

    /// Whether nothing waits to be committed.
    pub(crate) fn is_settled(&self) -> bool {
        self.commits.in_flight.is_none() && self.commits.gathering.is_empty()
    }

    /// The batch in flight took place, but for starts that lost their id.
    pub(crate) fn committed(&mut self, lost: &[Uuid], now: Timestamp) -> After {
        self.commits.done += 1;
        let mut after = self.commits.in_flight.take().unwrap_or_default();
        for id in &after.consumed {
            self.consuming.remove(id);
        }
        for run in lost.iter().chain(after.closed.iter().map(|(run, _)| run)) {
            self.runs.remove(*run);
        }
        // Not before: what rings for a start that lost its id would have effects.
        for (due, seq, address) in after.alarms.drain(..) {
            let mine = self.parts.contains_key(&address.part) && !lost.contains(&address.run);
            if mine && due <= self.alarms.horizon {
                self.alarms.near.insert((due, address.run, seq), address);
            }
        }
        for step in after.held.drain(..) {
            if self.parts.contains_key(&step.address.part) {
                self.alarms.held.hold(step, now);
            }
        }
        for (run, reply, _permit) in after.replies.drain(..) {
            let taken = lost.contains(&run);
            // Whoever asked may be gone.
            let _ = reply.send(if taken { StartAnswer::Taken } else { StartAnswer::Started });
        }
        if !lost.is_empty() {
            after.dispatches.retain(|dispatch| !lost.contains(&dispatch.address.run));
            after.closed.retain(|(run, _)| !lost.contains(run));
            for heir in after.heirs.extract_if(.., |heir| lost.contains(&heir.before)) {
                self.heirs.disown(heir.before);
                for wake in self.runs.expected(heir.address.run).into_iter().flatten() {
                    wake.happen_to_nobody(&heir.address, &mut self.commits.gathering);
                }
                self.runs.remove(heir.address.run);
            }
        }
        for heir in after.heirs.drain(..) {
            self.succeed(heir, now);
        }
        after
    }

    fn with(&mut self, run: Uuid, now: Timestamp, act: impl FnOnce(&mut Resident, &mut Scene<'_>)) {
        let Some(mut resident) = self.runs.take(run) else { return };
        let part = resident.address.part;
        self.at_work.begins(&resident.address);
        act(&mut resident, &mut self.scene(part, now));
        self.keep(resident, now);
    }

    fn scene(&mut self, part: Part, now: Timestamp) -> Scene<'_> {
        let dispatch = self.parts.get(&part).is_some_and(|holding| !holding.leaving);
        Scene {
            registry: &self.registry,
            batch: &mut self.commits.gathering,
            now,
            dispatch,
            jitter: self.random.random::<f64>(),
            partitions: self.partitions,
        }
    }
}
