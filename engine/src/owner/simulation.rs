//! Two owners, a model of the database, and everything that can fall between two steps: by the
//! number of a seed, the same every time.
//!
//! A world is drawn from its seed: its moods, the inputs of its sagas (`saga` says what a body can
//! do), and then a few hundred steps, of which each may fall before or after any other. Then nothing
//! fails any more, everything has to come to its end, and `checks` reads all histories, with books
//! that are kept from events alone.
//!
//! Modelled:
//! * workers: commits that are cut, or whose answer is lost; burials, kills, handovers, patient or
//!   not; pages that arrive late; runs that leave memory; clocks that disagree;
//! * attempts: refusals, failures, losses, breakers that are open, answers that come twice or late; services that keep our
//!   keys, so that what histories say is compared with what was done; probes; attempts elsewhere,
//!   from the offer to the outcome, withdrawn, expired, and settled too late;
//! * runs: undos, races, timers, deadlines, pivots, bodies that panic and are replayed, changes,
//!   labels, children and what becomes of them, runs that go on in another, with undos and without;
//! * what views say of runs, and rows that are made anew meanwhile;
//! * the world: starts here and elsewhere for the same ids, some in an open transaction, with a signal
//!   and a deadline, signals, updates, repetitions, cancellations, terminations, and operators who
//!   let stuck runs try again.
//!
//! Not modelled: what Postgres itself does (statements, locks, and clocks are tried on a real one),
//! payloads that do not fit, limits, bodies that another binary changed, rows that cannot be read,
//! heartbeats, handlers that share our transaction, and schedules.
//!
//! `HANSOM_SEED=7 cargo test -p hansom-engine --lib simulation::whatever` runs the world of one seed,
//! which a red test names; `HANSOM_SEEDS=100000` so many, and both so many from that one on.

mod cases;
mod checks;
mod contracts;
mod database;
mod elsewhere;
mod outside;
mod saga;
mod services;
mod settle;
mod tally;
mod views;
mod worker;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Attempt, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::Registry;
use crate::address::Part;
use database::Database;
use elsewhere::Beyond;
use outside::Letter;
use services::Services;
use tally::Tally;
use views::Rebuilding;
use worker::{Luck, Worker};

const PARTITIONS: Part = 4;
/// So many ids are wanted by everybody.
const IDS: u32 = 6;
const STEPS: u32 = 400;
/// So many worlds, if nobody says how many: enough for everything to happen.
const SEEDS: u64 = 500;

struct World {
    random: SmallRng,
    registry: Arc<Registry>,
    database: Database,
    services: Services,
    workers: [Worker; 2],
    names: u64,
    runs: u64,
    letters: Vec<Letter>,
    beyond: Beyond,
    rebuilding: Option<Rebuilding>,
    acknowledged: HashSet<Uuid>,
    mood: Mood,
    tally: Tally,
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
    /// Of ten times so many a body panics where it may.
    clumsy: u32,
    /// Nobody performs actions elsewhere.
    deserted: bool,
    /// Of twenty attempts so many are not sent.
    shut: u32,
}

impl World {
    fn new(seed: u64, tally: Tally) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let registry = Arc::new(contracts::registry());
        let mut database = Database::new(PARTITIONS);
        let workers = [1, 2].map(|name| Worker::join(name, &registry, &mut database));
        let (danger, failing, lively) = match random.random_range(0..8) {
            0 => (12, 1, 0),
            1..3 => (1, 7, 10),
            _ => (2, 3, 8),
        };
        let clumsy = [0, 0, 0, 0, 0, 3, 3, 10][random.random_range(0..8)];
        let deserted = random.random_range(0..8) == 0;
        let shut = [0, 1, 2, 10][random.random_range(0..4)];
        Self {
            random,
            registry,
            database,
            services: Services::default(),
            workers,
            names: 2,
            runs: 0,
            letters: Vec::new(),
            beyond: Beyond::default(),
            rebuilding: None,
            acknowledged: HashSet::new(),
            mood: Mood { danger, failing, lively, clumsy, deserted, shut },
            tally,
        }
    }

    /// One thing happens.
    fn step(&mut self) {
        saga::be_clumsy(self.chance(self.mood.clumsy, 10));
        let at = self.random.random_range(0..2);
        let now = self.now_of(at);
        match self.random.random_range(0..120) {
            0..6 => self.start(at),
            6..14 => self.send(),
            14..34 => self.workers[at].seal(),
            34..60 => {
                let luck = self.luck();
                self.database.crowded = self.chance(1, 8);
                self.workers[at].commit(luck, now, &mut self.database, &mut self.tally);
            }
            60..73 => self.answer(at),
            73..80 => self.workers[at].send_for_runs(&self.database, &mut self.tally),
            80..84 => self.workers[at].poll(&self.database),
            84..86 => self.workers[at].scan(&self.database, now),
            86..96 => self.arrive(at),
            96..100 => self.workers[at].owner.ring(now),
            100..103 => self.workers[at].owner.evict(now),
            103..109 => self.pass_time(),
            109..113 => self.membership(at),
            113..116 => self.release(at),
            _ if self.chance(self.mood.danger, 12) => self.lose(at),
            _ => {}
        }
        if self.chance(1, 16) {
            let late = self.database.start_late();
            self.tally.saw_times("a child is late", late);
        }
        if self.chance(1, 8) {
            self.rebuild();
        }
        self.beyond(at);
        self.hear_answers(at);
    }

    fn chance(&mut self, times: u32, of: u32) -> bool {
        self.random.random_range(0..of) < times
    }

    fn is_lively(&mut self) -> bool {
        let lively = self.mood.lively;
        self.chance(lively, 10)
    }

    fn luck(&mut self) -> Luck {
        match self.random.random_range(0..5) {
            0 => Luck::AnswerLost,
            1 => Luck::Cut,
            _ => Luck::Good,
        }
    }

    /// No worker's clock is the database's, and none is ahead of it.
    fn now_of(&self, at: usize) -> Timestamp {
        Timestamp(self.database.now().0 - [0, 3_000][at])
    }

    fn pass_time(&mut self) {
        let millis = match self.random.random_range(0..4) {
            0 => 0,
            1 => self.random.random_range(0..10),
            2 => self.random.random_range(0..2_000),
            _ => self.random.random_range(0..20_000),
        };
        self.database.pass(Duration::from_micros(millis * 1_000 + 1));
    }

    fn answer(&mut self, at: usize) {
        let count = self.workers[at].attempts.len();
        if count == 0 {
            return;
        }
        let index = self.random.random_range(0..count);
        if self.is_lively() {
            let again = self.chance(1, 8);
            self.tally.saw_times("an answer comes twice", usize::from(again));
            self.perform(at, index, again);
        }
    }

    fn perform(&mut self, at: usize, index: usize, again: bool) {
        let (luck, now) = (self.fortune(), self.now_of(at));
        let shut = self.mood.shut;
        // It is not sent: neither now nor later.
        if !again && self.chance(shut, 20) {
            let after = [None, Some(Duration::from_secs(5))][self.random.random_range(0..2)];
            let reason = "a breaker is open".to_owned();
            let answer = Attempt::Unavailable { reason, after };
            return self.workers[at].answer(index, answer, false, now);
        }
        let dispatch = &self.workers[at].attempts[index];
        let answer = self.services.perform(&dispatch.call.activity, &dispatch.context(), luck);
        self.workers[at].answer(index, answer, again, now);
    }

    fn fortune(&mut self) -> services::Luck {
        let failing = self.mood.failing;
        if self.chance(failing, 10) {
            return [services::Luck::Lost, services::Luck::AnswerLost]
                [self.random.random_range(0..2)];
        }
        match self.random.random_range(0..8) {
            0 => services::Luck::Refuses,
            _ => services::Luck::Works,
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

    fn release(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        if worker.is_releasing() {
            let impatient = self.random.random_range(0..4) == 0;
            return worker.move_release(impatient, &mut self.database);
        }
        let parts = worker.owner.parts();
        let count = self.random.random_range(0..=parts.len());
        self.tally.saw("partitions are released");
        worker.begin_release(parts[..count].to_vec());
    }

    /// A worker is killed; or buried, and does not know it yet.
    fn lose(&mut self, at: usize) {
        let name = self.workers[at].name;
        self.database.bury(name, false);
        if self.chance(1, 2) {
            self.tally.saw("a worker crashes");
            // What it has asked for may have arrived.
            for index in 0..self.workers[at].attempts.len() {
                self.perform(at, index, true);
            }
            self.names += 1;
            let reborn = Worker::join(self.names, &self.registry, &mut self.database);
            let Worker { starts, outbox, .. } = std::mem::replace(&mut self.workers[at], reborn);
            self.workers[at].starts = starts;
            self.leave_behind(outbox);
        }
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

fn run(seed: u64, tally: Tally) -> Tally {
    let _seed = Seed(seed);
    let mut world = World::new(seed, tally);
    // Where nobody answers and workers are lost, things take longer.
    let patience = if world.mood.lively == 0 { 6 } else { 1 };
    for _ in 0..patience * STEPS {
        world.step();
    }
    world.settle();
    world.check();
    world.tally
}

#[test]
fn whatever_falls_between_two_steps_every_run_comes_to_its_end() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let (first, count) = (number("HANSOM_SEED"), number("HANSOM_SEEDS"));
    let count = count.unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let seeds = first.unwrap_or_default()..first.unwrap_or_default() + count;
    let tally = seeds.fold(Tally::default(), |tally, seed| run(seed, tally));
    if first.is_some() {
        return;
    }
    println!("{tally:#?}");
    assert_eq!(tally.missing(), Vec::<&str>::new(), "that never happened");
}
