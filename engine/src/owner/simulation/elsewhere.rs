//! Attempts that are made elsewhere: their rows, whoever carries them there, and whoever claims.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use hansom_core::{Direction, Event, Payload, Seq, Timestamp};
use rand::RngExt;
use rand::rngs::SmallRng;
use uuid::Uuid;

use super::super::remote::{Elsewhere, Outcome};
use super::database::{Database, WorkerId};
use super::tally::Tally;
use super::worker::{Luck, Worker};
use super::{World, saga};
use crate::address::{Address, Part};

pub(super) type Step = (Part, Uuid, Seq);

/// A row.
pub(super) struct Task {
    address: Arc<Address>,
    attempt: u32,
    direction: Direction,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Claimed(u64),
    Settled,
}

/// On its way from a lane to the rows.
#[derive(Default)]
pub(super) struct Outbox {
    work: VecDeque<(WorkerId, Elsewhere)>,
    pub(super) sent: u64,
    pub(super) carried: u64,
}

/// The world beyond the workers.
#[derive(Default)]
pub(super) struct Beyond {
    held: Vec<(Step, u64)>,
    /// What a worker that was killed had sent, and what has not arrived yet.
    late: Vec<(WorkerId, Elsewhere)>,
    claims: u64,
}

impl Outbox {
    pub(super) fn send(&mut self, name: WorkerId, elsewhere: Elsewhere) {
        if !elsewhere.is_empty() {
            self.sent += 1;
            self.work.push_back((name, elsewhere));
        }
    }
}

impl Database {
    /// As the statements do; false when the worker has been buried.
    fn carry(&mut self, name: WorkerId, elsewhere: &Elsewhere, tally: &mut Tally) -> bool {
        let Elsewhere { offers, over, recalled, abandoned } = elsewhere;
        if !(offers.is_empty() && over.is_empty()) {
            if self.is_buried(name) {
                tally.offers_fenced += 1;
                return false;
            }
            // In one transaction: what is offered again and over is never seen.
            let mut unseen = HashSet::new();
            for offer in offers {
                let step = (offer.address.part, offer.address.run, offer.seq);
                if self.partitions[&offer.address.part].owner != Some(name) {
                    continue;
                }
                if self.tasks.get(&step).is_some_and(|task| task.attempt >= offer.attempt) {
                    tally.offered_again += 1;
                    continue;
                }
                let (address, attempt) = (Arc::clone(&offer.address), offer.attempt);
                let (direction, state) = (offer.direction, State::Waiting);
                self.tasks.insert(step, Task { address, attempt, direction, state });
                unseen.insert(step);
            }
            for (part, run, seq, attempt) in over {
                let step = (*part, *run, *seq);
                if self.tasks.get(&step).is_some_and(|task| task.attempt == *attempt) {
                    let task = self.tasks.remove(&step).unwrap();
                    let settled = task.state == State::Settled || unseen.contains(&step);
                    assert!(settled, "its outcome came from somewhere");
                }
            }
        }
        for (_, run) in recalled {
            self.recall(*run, tally);
        }
        self.tasks.retain(|(part, run, _), _| !abandoned.contains(&(*part, *run)));
        true
    }

    fn recall(&mut self, run: Uuid, tally: &mut Tally) {
        let forward = |(step, task): (&Step, &Task)| {
            let mine = step.1 == run && task.direction != Direction::Undo;
            (mine && task.state == State::Waiting).then_some(*step)
        };
        for step in self.tasks.iter().filter_map(forward).collect::<Vec<_>>() {
            tally.withdrawn += 1;
            self.end(step, &failed("withdrawn"));
        }
    }

    fn end(&mut self, step: Step, outcome: &Outcome) {
        let task = self.tasks.get_mut(&step).unwrap();
        task.state = State::Settled;
        let key = format!("outcome:{}:{}", step.2.0, task.attempt);
        let address = Arc::clone(&task.address);
        let outcome = serde_json::to_string(outcome).unwrap();
        self.send(&address, key, None, Some(outcome));
    }

    /// The numbers of the attempts that can be claimed.
    pub(super) fn offered_attempts(&self) -> Vec<u32> {
        self.steps(|state| state == State::Waiting).iter().map(|s| self.tasks[s].attempt).collect()
    }

    fn steps(&self, so: impl Fn(State) -> bool) -> Vec<Step> {
        let tasks = self.tasks.iter();
        tasks.filter(|(_, task)| so(task.state)).map(|(step, _)| *step).collect()
    }

    /// Takes one that is not of a closed run. It has to be an attempt that history waits for.
    fn claim_task(&mut self, step: Step, claim: u64) -> bool {
        let (_, run, seq) = step;
        let ledger = self.ledger(run);
        if ledger.status().is_closed() {
            // It is swept.
            self.tasks.remove(&step);
            return false;
        }
        let task = self.tasks.get_mut(&step).unwrap();
        task.state = State::Claimed(claim);
        let awaited = ledger.running().get(&seq);
        let awaited = awaited.filter(|running| running.attempt == task.attempt);
        let attempt = task.attempt;
        assert!(awaited.is_some(), "{run} {seq:?} {attempt} is over:\n{:#?}", self.history(run));
        true
    }
}

impl Worker {
    /// What was committed first arrives; now and then nobody hears of it, and it is sent again.
    pub(super) fn carry(&mut self, luck: Luck, database: &mut Database, tally: &mut Tally) {
        let Some((name, elsewhere)) = self.outbox.work.front() else { return };
        if luck == Luck::Cut {
            return;
        }
        let written = database.carry(*name, elsewhere, tally);
        if luck == Luck::AnswerLost {
            return;
        }
        let (_, elsewhere) = self.outbox.work.pop_front().unwrap();
        self.outbox.carried += 1;
        let offers = if written { elsewhere.offers } else { Vec::new() };
        self.offered(offers.iter().map(|o| (o.address.run, o.seq, o.attempt)).collect());
    }
}

impl World {
    /// One thing happens beyond.
    pub(super) fn beyond(&mut self, at: usize, tally: &mut Tally) {
        match self.random.random_range(0..16) {
            0..6 => {
                let luck = match self.random.random_range(0..6) {
                    0 => Luck::AnswerLost,
                    1 => Luck::Cut,
                    _ => Luck::Good,
                };
                self.workers[at].carry(luck, &mut self.database, tally);
            }
            6..10 => self.claim_one(),
            10..14 if self.random.random_range(0..10) < self.mood.lively => self.settle_one(tally),
            14 => self.expire_one(tally),
            15 => {
                let late = &mut self.beyond.late;
                if !late.is_empty() {
                    let (name, elsewhere) =
                        late.swap_remove(self.random.random_range(0..late.len()));
                    self.database.carry(name, &elsewhere, tally);
                }
            }
            _ => {}
        }
    }

    /// A worker is killed: what it had sent may arrive yet.
    pub(super) fn leave_behind(&mut self, outbox: Outbox) {
        self.beyond.late.extend(outbox.work);
    }

    fn claim_one(&mut self) {
        let waiting = self.database.steps(|state| state == State::Waiting);
        if let Some(step) = pick(&mut self.random, &waiting) {
            self.beyond.claims += 1;
            if self.database.claim_task(step, self.beyond.claims) {
                self.beyond.held.push((step, self.beyond.claims));
            }
        }
    }

    fn settle_one(&mut self, tally: &mut Tally) {
        if self.beyond.held.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.beyond.held.len());
        let (step, claim) = self.beyond.held[index];
        // Now and then it answers twice.
        if self.random.random_range(0..8) > 0 {
            self.beyond.held.swap_remove(index);
        }
        let holds = |task: &Task| task.state == State::Claimed(claim);
        if !self.database.tasks.get(&step).is_some_and(holds) {
            tally.too_late += 1;
            return;
        }
        tally.settled += 1;
        let outcome = match self.random.random_range(0..10) {
            n if n < self.mood.failing => failed("the network is down"),
            9 => Outcome::Refused(Payload::of(&saga::No).unwrap()),
            _ => Outcome::Done(Payload::of(&()).unwrap()),
        };
        self.database.end(step, &outcome);
    }

    fn expire_one(&mut self, tally: &mut Tally) {
        let claimed = self.database.steps(|state| matches!(state, State::Claimed(_)));
        if let Some(step) = pick(&mut self.random, &claimed) {
            tally.expired += 1;
            self.database.end(step, &failed("no answer"));
        }
    }

    /// Everything beyond comes to its end.
    pub(super) fn settle_beyond(&mut self, at: usize, tally: &mut Tally) {
        for _ in 0..self.workers[at].outbox.work.len() {
            self.workers[at].carry(Luck::Good, &mut self.database, tally);
        }
        for _ in 0..self.database.tasks.len() {
            self.claim_one();
        }
        while !self.beyond.held.is_empty() {
            self.settle_one(tally);
        }
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), retry_after: None }
}

fn pick(random: &mut SmallRng, steps: &[Step]) -> Option<Step> {
    (!steps.is_empty()).then(|| steps[random.random_range(0..steps.len())])
}

/// An attempt elsewhere is never lost with its owner.
pub(super) fn survives(event: &Event, activity: &str, at: Timestamp) {
    let lost = matches!(event, Event::AttemptLost { .. });
    assert!(!lost || !activity.contains("far"), "{activity} was lost: {event:?} {at:?}");
}
