//! Two owners, a model of the database, and everything that can fall between
//! two steps: by the number of a seed, the same every time.
//!
//! `HANSOM_SEED=7` runs one seed, `HANSOM_SEEDS=100000` so many.

mod cases;
mod checks;
mod database;
mod elsewhere;
mod saga;
mod tally;
mod worker;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Attempt, Event, Payload, Status, StuckReason, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{NewStart, StartAnswer};
use crate::Registry;
use crate::address::{Address, NAMESPACE, Part, part_of};
use database::Database;
use elsewhere::Beyond;
use tally::Tally;
use worker::{Luck, Worker};

const PARTITIONS: Part = 4;
const IDS: u32 = 6;
const STEPS: u32 = 400;

struct World {
    random: SmallRng,
    now: Timestamp,
    registry: Arc<Registry>,
    database: Database,
    workers: [Worker; 2],
    names: u64,
    runs: u64,
    messages: u64,
    acknowledged: HashSet<Uuid>,
    mood: Mood,
    beyond: Beyond,
}

/// What this world is like.
#[derive(Clone, Copy)]
struct Mood {
    /// Of twelve times that a worker could be lost, it is so often.
    danger: u32,
    /// Of ten attempts so many fail.
    failing: u32,
    /// Of ten attempts so many are answered at all, soon.
    lively: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let registry = Arc::new(saga::registry());
        let mut database = Database::new(PARTITIONS);
        let workers = [1, 2].map(|name| Worker::join(name, &registry, &mut database));
        let mood = match random.random_range(0..8) {
            0 => Mood { danger: 12, failing: 1, lively: 0 },
            1..3 => Mood { danger: 1, failing: 7, lively: 10 },
            _ => Mood { danger: 2, failing: 3, lively: 8 },
        };
        Self {
            random,
            now: Timestamp(1_000_000_000),
            registry,
            database,
            workers,
            names: 2,
            runs: 0,
            messages: 0,
            acknowledged: HashSet::new(),
            mood,
            beyond: Beyond::default(),
        }
    }

    /// One thing happens.
    fn step(&mut self, tally: &mut Tally) {
        let at = self.random.random_range(0..2);
        let now = self.now_of(at);
        match self.random.random_range(0..100) {
            0..6 => self.start(at),
            6..12 => self.send(false),
            12..14 => self.send(true),
            14..28 => self.workers[at].seal(),
            28..46 => {
                let luck = match self.random.random_range(0..5) {
                    0 => Luck::AnswerLost,
                    1 => Luck::Cut,
                    _ => Luck::Good,
                };
                self.workers[at].commit(luck, now, &mut self.database, tally);
            }
            46..60 => self.answer(at, tally),
            60..66 => self.workers[at].send_for_runs(&self.database, tally),
            66..69 => self.workers[at].poll(&self.database),
            69..71 => self.workers[at].scan(&self.database, now),
            71..80 => self.arrive(at),
            80..83 => self.workers[at].owner.ring(now),
            83..86 => self.workers[at].owner.evict(now),
            86..91 => self.pass_time(),
            91..94 => self.membership(at),
            94..96 => self.release(at, tally),
            _ if self.random.random_range(0..12) < self.mood.danger => self.lose(at, tally),
            _ => {}
        }
        self.beyond(at, tally);
        self.hear_answers(at);
    }

    /// No worker's clock is the database's, and none is ahead of it.
    fn now_of(&self, at: usize) -> Timestamp {
        Timestamp(self.now.0 - [0, 3_000][at])
    }

    fn pass_time(&mut self) {
        let millis = match self.random.random_range(0..4) {
            0 => 0,
            1 => self.random.random_range(0..10),
            2 => self.random.random_range(0..2_000),
            _ => self.random.random_range(0..20_000),
        };
        self.now = self.now.after(Duration::from_micros(millis * 1_000 + 1));
    }

    fn start(&mut self, at: usize) {
        let workflow_id = format!("w{}", self.random.random_range(0..IDS));
        let part = part_of(NAMESPACE, &workflow_id, PARTITIONS);
        let latest = self.database.latest(part, &workflow_id);
        let run_no =
            latest.map_or(1, |row| row.address.run_no + i32::from(row.cached.status.is_closed()));
        self.runs += 1;
        let run = Uuid::from_u128(self.runs.into());
        let address = Address {
            part,
            run,
            namespace: NAMESPACE.into(),
            workflow_id: workflow_id.into(),
            run_no,
        };
        let input = Payload::of(&saga::plan(&mut self.random)).unwrap();
        if self.random.random_range(0..3) == 0 {
            return self.start_elsewhere(&Arc::new(address), input);
        }
        let (reply, answer) = oneshot::channel();
        let workflow_type = "saga".to_owned();
        let events = vec![Event::started(input)];
        let start = NewStart { address, workflow_type, events, labels: None, reply, permit: None };
        let now = self.now_of(at);
        self.workers[at].start(start, answer, now);
    }

    fn start_elsewhere(&mut self, address: &Arc<Address>, input: Payload) {
        if self.database.start(address, Event::started(input), self.now) {
            self.acknowledged.insert(address.run);
        }
    }

    fn hear_answers(&mut self, at: usize) {
        let starts = std::mem::take(&mut self.workers[at].starts);
        for (address, mut answer) in starts {
            match answer.try_recv() {
                Ok(StartAnswer::Started) => drop(self.acknowledged.insert(address.run)),
                Ok(StartAnswer::Taken) => {}
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.workers[at].starts.push((address, answer));
                }
                Ok(StartAnswer::NotMine) | Err(oneshot::error::TryRecvError::Closed) => {
                    let input = Payload::of(&saga::plan(&mut self.random)).unwrap();
                    self.start_elsewhere(&address, input);
                }
            }
        }
    }

    fn send(&mut self, cancel: bool) {
        let count = self.database.rows().count();
        if count == 0 {
            return;
        }
        let row = self.database.rows().nth(self.random.random_range(0..count)).unwrap();
        let address = Arc::clone(&row.address);
        if cancel {
            return self.database.send(&address, "cancel".to_owned(), None, None);
        }
        // Now and then a repetition.
        self.messages += u64::from(self.random.random_range(0..4) > 0);
        let (key, payload) = (format!("signal:{}", self.messages), Some("null".to_owned()));
        self.database.send(&address, key, Some("ping".to_owned()), payload);
    }

    fn answer(&mut self, at: usize, tally: &mut Tally) {
        let count = self.workers[at].attempts.len();
        if count == 0 {
            return;
        }
        let index = self.random.random_range(0..count);
        if self.random.random_range(0..10) >= self.mood.lively {
            return;
        }
        let (answer, now) = (self.outcome(), self.now_of(at));
        let again = self.random.random_range(0..8) == 0;
        tally.late_answers += u64::from(again);
        self.workers[at].answer(index, answer, again, now);
    }

    fn outcome(&mut self) -> Attempt {
        if self.random.random_range(0..10) < self.mood.failing {
            return Attempt::failed("the network is down");
        }
        match self.random.random_range(0..8) {
            0 => Attempt::Refused(Payload::of(&saga::No).unwrap()),
            _ => Attempt::Done(Payload::of(&()).unwrap()),
        }
    }

    fn arrive(&mut self, at: usize) {
        let (count, now) = (self.workers[at].errands(), self.now_of(at));
        if count > 0 {
            let index = self.random.random_range(0..count);
            self.workers[at].arrive(index, now);
        }
    }

    /// As each worker does on its own: join anew when buried, claim what is free.
    fn membership(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        if worker.fenced
            || self.random.random_range(0..2) == 0 && self.database.is_buried(worker.name)
        {
            self.names += 1;
            worker.join_anew(self.names, &mut self.database);
        }
        if !self.database.is_buried(worker.name) {
            let wanted = self.random.random_range(1..=3);
            let gained = self.database.claim(worker.name, wanted);
            worker.gain(&gained);
        }
    }

    fn release(&mut self, at: usize, tally: &mut Tally) {
        let worker = &mut self.workers[at];
        if worker.is_releasing() {
            let impatient = self.random.random_range(0..4) == 0;
            return worker.move_release(impatient, &mut self.database);
        }
        let parts = worker.owner.parts();
        let count = self.random.random_range(0..=parts.len());
        tally.releases += 1;
        worker.begin_release(parts[..count].to_vec());
    }

    /// A worker is killed; or buried, and does not know it yet.
    fn lose(&mut self, at: usize, tally: &mut Tally) {
        let name = self.workers[at].name;
        self.database.bury(name, false);
        if self.random.random_range(0..2) == 0 {
            tally.crashes += 1;
            self.names += 1;
            let reborn = Worker::join(self.names, &self.registry, &mut self.database);
            let Worker { starts, outbox, .. } = std::mem::replace(&mut self.workers[at], reborn);
            self.workers[at].starts = starts;
            self.leave_behind(outbox);
        }
    }

    /// No worker is lost any more, and no commit: everything comes to its end.
    fn settle(&mut self, tally: &mut Tally) {
        for round in 0..2_000 {
            for at in 0..2 {
                self.settle_worker(at, tally);
                self.settle_beyond(at, tally);
                self.hear_answers(at);
            }
            let open = |status: Status| !status.is_closed() && status != Status::Stuck;
            let busy = self.database.rows().any(|row| open(row.cached.status));
            if !busy && self.database.inbox_is_empty() && round > 10 {
                return;
            }
            self.now = self.now.after(Duration::from_millis(1_500));
        }
        let open = self.database.rows().filter(|row| !row.cached.status.is_closed());
        for row in open {
            let history = self.database.history(row.address.run);
            eprintln!("open: {:?} {:?} {history:#?}", row.address, row.cached);
        }
        panic!("a run, or a message, is forgotten");
    }

    fn settle_worker(&mut self, at: usize, tally: &mut Tally) {
        let (now, database) = (self.now_of(at), &mut self.database);
        let worker = &mut self.workers[at];
        if worker.fenced || database.is_buried(worker.name) {
            self.names += 1;
            worker.join_anew(self.names, database);
        }
        worker.move_release(false, database);
        worker.gain(&database.claim(worker.name, 2));
        worker.send_for_runs(database, tally);
        worker.poll(database);
        worker.scan(database, now);
        while worker.errands() > 0 {
            worker.arrive(0, now);
        }
        worker.owner.ring(now);
        worker.owner.evict(now);
        for _ in 0..self.workers[at].attempts.len() {
            let outcome = self.outcome();
            self.workers[at].answer(0, outcome, false, now);
        }
        let (worker, database) = (&mut self.workers[at], &mut self.database);
        for _ in 0..2 {
            worker.seal();
            worker.commit(Luck::Good, now, database, tally);
        }
    }

    fn check(&self, tally: &mut Tally) {
        let mut runs = HashSet::new();
        for row in self.database.rows() {
            checks::check(&self.database, &self.registry, row);
            runs.insert(row.address.run);
            match row.cached.status {
                Status::Completed => tally.completed += 1,
                Status::Failed => tally.failed += 1,
                Status::Cancelled => tally.cancelled += 1,
                _ => match checks::stuck(&self.database, row) {
                    StuckReason::UndoExhausted => tally.exhausted += 1,
                    StuckReason::Poison => tally.poison += 1,
                    reason => panic!("stuck: {reason:?}"),
                },
            }
        }
        assert!(self.acknowledged.is_subset(&runs), "every start that was answered exists");
    }
}

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("HANSOM_SEED={}", self.0);
        }
    }
}

fn run(seed: u64, tally: &mut Tally) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    // Where nobody answers and workers are lost, things take longer.
    let patience = if world.mood.lively == 0 { 6 } else { 1 };
    for _ in 0..patience * STEPS {
        world.step(tally);
    }
    world.settle(tally);
    world.check(tally);
}

#[test]
fn whatever_falls_between_two_steps_every_run_comes_to_its_end() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let mut tally = Tally::default();
    if let Some(seed) = number("HANSOM_SEED") {
        return run(seed, &mut tally);
    }
    (0..number("HANSOM_SEEDS").unwrap_or(3_000)).for_each(|seed| run(seed, &mut tally));
    assert!(tally.is_full(), "something never happened: {tally:?}");
    println!("{tally:?}");
}
