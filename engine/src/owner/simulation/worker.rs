//! A worker without threads, sockets or time: a lane and its errands, one step
//! at a time, each step as it could fall between the steps of others.

use std::collections::VecDeque;
use std::sync::Arc;

use hansom_core::{Attempt, Event, Seq, Timestamp};
use tokio::sync::oneshot::Receiver;
use uuid::Uuid;

use super::super::{
    AlarmRow, Answer, Dispatch, HORIZON, Message, NewStart, Owner, StartAnswer, Stored,
};
use super::PARTITIONS;
use super::database::{Database, Packet, WorkerId};
use super::elsewhere::Outbox;
use super::tally::Tally;
use crate::Registry;
use crate::address::{Address, Part};

/// Small pages, so that there is more than one.
const PAGE: usize = 3;

/// What was read, and has not arrived yet.
enum Errand {
    Loaded {
        asked: Vec<Arc<Address>>,
        stored: Vec<Stored>,
        next: Option<(Vec<Part>, Uuid)>,
    },
    /// With the run that each is for by now, where that is another.
    Inbox(Vec<(Message, Option<Arc<Address>>)>),
    Alarms(Vec<AlarmRow>),
    /// Their rows are there.
    Offered(Vec<(Uuid, Seq, u32)>),
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
    Good,
    /// It takes place, and the answer is lost.
    AnswerLost,
    /// It does not take place, and nobody says so.
    Cut,
}

struct Release {
    parts: Vec<Part>,
    flushing: Option<i64>,
    carrying: Option<u64>,
}

/// A start that waits for its commit.
pub(super) struct Starting {
    pub(super) address: Arc<Address>,
    pub(super) events: Vec<Event>,
    pub(super) answer: Receiver<StartAnswer>,
}

pub(super) struct Worker {
    pub(super) name: WorkerId,
    pub(super) owner: Owner,
    /// Fenced, and not joined anew yet.
    pub(super) fenced: bool,
    pub(super) attempts: Vec<Dispatch>,
    pub(super) starts: Vec<Starting>,
    packet: Option<(Packet, bool)>,
    errands: VecDeque<Errand>,
    pub(super) outbox: Outbox,
    recoveries: VecDeque<(Vec<Part>, Option<Uuid>)>,
    loading: bool,
    release: Option<Release>,
    done: i64,
}

impl Worker {
    pub(super) fn join(name: WorkerId, registry: &Arc<Registry>, database: &mut Database) -> Self {
        database.register(name);
        Self {
            name,
            owner: Owner::new(Arc::clone(registry), PARTITIONS, name),
            fenced: false,
            attempts: Vec::new(),
            starts: Vec::new(),
            packet: None,
            errands: VecDeque::new(),
            outbox: Outbox::default(),
            recoveries: VecDeque::new(),
            loading: false,
            release: None,
            done: 0,
        }
    }

    /// It finds itself buried, and takes another name.
    pub(super) fn join_anew(&mut self, name: WorkerId, database: &mut Database) {
        database.bury(self.name, true);
        database.register(name);
        self.name = name;
        self.forget_all();
        self.fenced = false;
    }

    fn forget_all(&mut self) {
        self.owner.forget_all();
        self.packet = None;
        self.recoveries.clear();
        self.release = None;
        self.done = 0;
    }

    pub(super) fn gain(&mut self, gained: &[(Part, bool)]) {
        for (part, clean) in gained {
            self.owner.gain(*part, *clean);
        }
        let parts: Vec<_> = gained.iter().map(|(part, _)| *part).collect();
        if !parts.is_empty() {
            self.recoveries.push_back((parts, None));
        }
    }

    pub(super) fn start(&mut self, start: NewStart, answer: Receiver<StartAnswer>, now: Timestamp) {
        let (address, events) = (Arc::new(start.address.clone()), start.events.clone());
        self.starts.push(Starting { address, events, answer });
        self.owner.start(start, now);
    }

    pub(super) fn begin_release(&mut self, parts: Vec<Part>) {
        if self.release.is_none() && !self.fenced && !parts.is_empty() {
            self.owner.leave(&parts);
            self.release = Some(Release { parts, flushing: None, carrying: None });
        }
    }

    pub(super) fn is_releasing(&self) -> bool {
        self.release.is_some()
    }

    /// As a lane does; `impatient` does not wait for attempts under way.
    pub(super) fn move_release(&mut self, impatient: bool, database: &mut Database) {
        let quiet = self.owner.in_flight_where_leaving() == 0;
        let Some(release) = &mut self.release else { return };
        if release.flushing.is_none() && (quiet || impatient) {
            self.owner.forget(&release.parts);
            release.flushing = Some(self.owner.gathering());
        }
        let flushed = release.flushing.is_some_and(|batch| self.done >= batch);
        let committed = release.flushing.is_some() && (flushed || self.owner.is_settled());
        if committed && *release.carrying.get_or_insert(self.outbox.sent) <= self.outbox.carried {
            let parts = self.release.take().map(|release| release.parts).unwrap_or_default();
            if !database.is_buried(self.name) {
                database.release(self.name, &parts);
            }
        }
    }

    pub(super) fn seal(&mut self) {
        if self.packet.is_none() && !self.fenced {
            self.packet = self.owner.seal().map(|batch| (batch.into(), false));
        }
    }

    pub(super) fn commit(
        &mut self,
        luck: Luck,
        now: Timestamp,
        database: &mut Database,
        tally: &mut Tally,
    ) {
        let Some((packet, taken)) = &mut self.packet else { return };
        if luck == Luck::Cut {
            return;
        }
        let Ok(lost) = database.commit(self.name, packet) else {
            tally.saw("fenced");
            tally.saw_times("fenced, and an answer lost before", usize::from(*taken));
            self.fenced = true;
            return self.forget_all();
        };
        tally.saw_times("a commit is repeated", usize::from(*taken));
        *taken = true;
        if luck == Luck::AnswerLost {
            return;
        }
        self.packet = None;
        self.done += 1;
        tally.saw_times("a start comes too late", lost.len());
        let mut after = self.owner.committed(&lost, now);
        let elsewhere = after.elsewhere();
        for dispatch in after.dispatches.iter().chain(&elsewhere.offers) {
            let intended = database.intends(dispatch, now);
            assert!(
                intended,
                "an effect without an intent, or too early: {dispatch:?} {now:?} {:#?}",
                database.history(dispatch.address.run)
            );
            let early = database.is_held(dispatch, now);
            tally.saw_times("held back, and tried early", usize::from(early));
        }
        self.attempts.extend(after.dispatches);
        self.outbox.send(self.name, elsewhere);
    }

    /// The rows of these are there; that is yet to be heard.
    pub(super) fn offered(&mut self, offered: Vec<(Uuid, Seq, u32)>) {
        self.errands.push_back(Errand::Offered(offered));
    }

    /// The attempt at `index` is answered; `again` leaves it to answer once more.
    pub(super) fn answer(&mut self, index: usize, answer: Attempt, again: bool, now: Timestamp) {
        let dispatch = &self.attempts[index];
        let (run, seq, attempt) = (dispatch.address.run, dispatch.seq, dispatch.attempt);
        let activity = dispatch.call.activity.clone();
        if !again {
            self.attempts.swap_remove(index);
        }
        let answer = Answer { run, activity, seq, attempt, ended: answer, said: false };
        self.owner.answer(answer, now);
    }

    /// Reads for whatever is wanted; what was read arrives later.
    pub(super) fn send_for_runs(&mut self, database: &Database, tally: &mut Tally) {
        if self.loading {
            return;
        }
        let errand = if let Some((parts, after)) = self.recoveries.pop_front() {
            let (stored, last) = database.hot(&parts, after, PAGE);
            let next = last.map(|last| (parts, last));
            tally.saw_times("recovered", stored.len());
            Errand::Loaded { asked: Vec::new(), stored, next }
        } else {
            let asked = self.owner.take_wanted(PAGE);
            if asked.is_empty() {
                return;
            }
            let stored = database.load(&asked);
            tally.saw_times("reloaded", stored.len());
            Errand::Loaded { asked, stored, next: None }
        };
        self.loading = true;
        self.owner.loading();
        self.errands.push_back(errand);
    }

    pub(super) fn poll(&mut self, database: &Database) {
        if self.owner.owns_any() && !self.errands.iter().any(|e| matches!(e, Errand::Inbox(_))) {
            let messages = database.read_inbox(&self.owner.parts(), PAGE);
            self.errands.push_back(Errand::Inbox(messages));
        }
    }

    pub(super) fn scan(&mut self, database: &Database, now: Timestamp) {
        let scans = |errand: &Errand| matches!(errand, Errand::Alarms(_));
        if self.owner.owns_any() && !self.errands.iter().any(scans) {
            let until = now.after(HORIZON);
            self.owner.scanning(until);
            let alarms = database.due(&self.owner.parts(), until);
            self.errands.push_back(Errand::Alarms(alarms));
        }
    }

    /// One of the errands under way arrives, in any order.
    pub(super) fn arrive(&mut self, index: usize, now: Timestamp) {
        match self.errands.remove(index) {
            Some(Errand::Loaded { asked, stored, next }) => {
                self.loading = false;
                self.owner.loaded(&asked, (stored, &[]), now);
                if let Some((parts, after)) = next {
                    self.recoveries.push_front((parts, Some(after)));
                }
            }
            Some(Errand::Inbox(messages)) => {
                for (message, heir) in messages {
                    self.owner.message(message, heir, now);
                }
            }
            Some(Errand::Alarms(alarms)) => self.owner.alarms(alarms),
            Some(Errand::Offered(offered)) => self.owner.offered(offered, now),
            None => {}
        }
    }

    pub(super) fn errands(&self) -> usize {
        self.errands.len()
    }
}
