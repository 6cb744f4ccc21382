//! One story: from the start to where nothing more can happen.

use std::cell::RefCell;
use std::fmt::Debug;
use std::time::Duration;

use super::cast::Cut;
use super::engine::Flight;
use super::judge::{Account, Run, judge};
use super::outside::{Outside, step};
use super::plan::Plan;
use super::troupe::Troupe;
use super::turn::{Fate, Happening, Silence};
use super::{Cue, Kind, Play};
use crate::{ActivityOptions, Attempt, Event};

/// A story that takes more turns than this does not come to an end.
pub(super) const TURNS_MAX: usize = 2_000;

/// How long it takes until an operator comes.
const OPERATOR: Duration = Duration::from_mins(30);
/// How long it takes until a lost worker is missed.
const LEASE: Duration = Duration::from_secs(5);

/// A story while it is told.
pub(super) struct Story<'a, World> {
    pub(super) play: &'a Play<World>,
    pub(super) troupe: Troupe,
    pub(super) outside: Outside<'a, World>,
    /// Requests that nobody waits for, and that have not arrived yet.
    pub(super) late: Vec<Flight>,
    /// Steps that will not answer.
    pub(super) silent: Vec<(Flight, Silence)>,
    /// Cues that have been given.
    pub(super) given: Vec<bool>,
    plan: RefCell<Plan>,
    log: Vec<Line>,
}

/// What happened, for the telling.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Something that did not have to happen.
    Twist(&'static str, String),
    /// A request reached its service: so many had before.
    Made(usize),
    /// Of each run, so many rows were written by then.
    Rows(Vec<usize>),
}

/// A story that was told.
pub(super) struct Told<World> {
    pub(super) plan: Plan,
    /// What was wrong with it, if anything was.
    pub(super) broken: Option<String>,
    pub(super) account: Account,
    pub(super) log: Vec<Line>,
    pub(super) world: World,
    pub(super) prefixes: usize,
}

impl<'a, World: Clone + PartialEq + Debug> Story<'a, World> {
    /// Tells the story that this plan leads to.
    pub(super) fn tell(play: &'a Play<World>, plan: Plan, every_prefix: bool) -> Told<World> {
        let plan = RefCell::new(plan);
        let mut story = Self {
            play,
            troupe: Troupe::start(play, &plan),
            outside: Outside::new(play),
            late: Vec::new(),
            silent: Vec::new(),
            given: vec![false; play.cues.len()],
            plan,
            log: Vec::new(),
        };
        if story.twice() {
            let what = "every request reaches its service twice".to_owned();
            story.log.push(Line::Twist("everything twice", what));
        }
        story.settle();
        story.log.push(Line::Rows(story.written()));
        let went = story.go();
        story.end(went, every_prefix)
    }

    fn go(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            self.goes_well()?;
            let Some(happenings) = self.happenings() else { return self.rests_well() };
            let chosen = self.plan.borrow_mut().choose(happenings.len());
            let happening = happenings[chosen];
            if chosen > 0 {
                self.log.push(Line::Twist(happening.kind(), self.describe(happening)));
            }
            let (was_open, told) = (!self.troupe.all_closed(), self.written());
            self.happen(happening)?;
            self.settle();
            if self.written() != told {
                self.log.push(Line::Rows(self.written()));
            }
            if was_open && self.troupe.all_closed() {
                self.goes_well()?;
                self.keeps_promises("")?;
            }
        }
        Err(self.no_end())
    }

    /// Whether every request reaches its service twice.
    pub(super) fn twice(&self) -> bool {
        self.plan.borrow().twists.everything_twice
    }

    /// What follows from a commit in other runs.
    fn settle(&mut self) {
        self.troupe.settle(self.play, &self.plan);
        self.late.append(&mut self.troupe.abandoned);
        if !self.troupe.taken.is_empty() {
            self.log.push(Line::Rows(self.written()));
        }
        for id in std::mem::take(&mut self.troupe.taken) {
            self.log.push(Line::Twist("taken", format!("another workflow has the id `{id}`")));
        }
    }

    /// Of each run, how many rows are written.
    fn written(&self) -> Vec<usize> {
        self.troupe.runs.iter().map(|run| run.history.len()).collect()
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Answer(number, fate) => {
                let flight = self.troupe.land(number);
                return self.answer(&flight, fate);
            }
            Happening::Late(n) => {
                let flight = self.late.remove(n);
                let what = format!("{} arrives late", step(&flight));
                self.log.push(Line::Twist("late", what));
                let answer = self.perform(&flight).0;
                return self.comes_too_late(&flight, answer);
            }
            Happening::Letter(n) => self.troupe.deliver(n),
            Happening::Message(cue, to, twice) => self.give(cue, to, twice),
            Happening::Alarm(run, seq, due) => self.troupe.runs[run].ring(seq, due),
            Happening::Retried(run) => {
                // Whatever was wrong with the services has been seen to.
                self.silent.clear();
                self.troupe.clock.pass(OPERATOR);
                self.troupe.runs[run].tell(Event::Retried { reason: None });
            }
            Happening::Cancel => {
                self.troupe.lead_mut().tell(Event::CancelRequested { reason: None });
            }
            Happening::Lost { reached } => self.lose(reached),
        }
        Ok(())
    }

    fn give(&mut self, cue: usize, to: usize, twice: bool) {
        self.given[cue] = true;
        let Cue { name, kind, given, .. } = &self.play.cues[cue];
        let Some(payload) = given(&self.outside.world) else { return };
        for n in 0..=usize::from(twice) {
            if self.troupe.runs[to].ledger().status().is_closed() {
                break; // the first ended it, and what is closed takes no more
            }
            let (name, payload) = ((*name).to_owned(), payload.clone());
            self.troupe.runs[to].tell(match kind {
                Kind::Signal => Event::Signalled { name, id: format!("signal-{cue}-{n}"), payload },
                Kind::Update => {
                    Event::UpdateRequested { name, id: format!("update-{cue}-{n}"), payload }
                }
            });
        }
    }

    /// All runs are lost with the worker that had them.
    fn lose(&mut self, reached: bool) {
        let flights: Vec<_> = self.troupe.flights().into_iter().cloned().collect();
        for flight in flights.iter().filter(|_| reached) {
            self.perform(flight);
        }
        self.troupe.clock.pass(LEASE);
        let play = self.play;
        for run in &mut self.troupe.runs {
            if !run.ledger().status().is_closed() {
                run.lose(|running, pivoted| play.cast.options(running, pivoted));
            }
        }
    }

    fn answer(&mut self, flight: &Flight, fate: Fate) -> Result<(), String> {
        match fate {
            Fate::Good => {
                let (answer, cut) = self.perform(flight);
                self.heard(flight, answer, cut);
            }
            Fate::Twice => {
                let (answer, cut) = self.perform(flight);
                let (again, _) = self.perform(flight);
                self.heard(flight, answer, cut);
                return self.comes_too_late(flight, again);
            }
            Fate::Refused(n) => {
                let error = self.play.cast.refusals(&flight.call.activity)[n].clone();
                self.heard(flight, Attempt::Refused(error), None);
            }
            Fate::NotReached => self.fail(flight, "the request was lost", false),
            Fate::AnswerLost => {
                self.perform(flight);
                self.fail(flight, "the answer was lost", false);
            }
            Fate::Overtaken => {
                self.late.push(flight.clone());
                self.fail(flight, "timed out", false);
            }
            Fate::HeldBack => {
                let options = self.options(flight);
                self.troupe.runs[flight.run].hold_back(flight, "held back", &options);
            }
            Fate::Silent(silence) => {
                self.silence(flight, silence);
                self.stay_silent(flight, silence);
            }
        }
        Ok(())
    }

    fn silence(&mut self, flight: &Flight, silence: Silence) {
        self.silent.retain(|(other, _)| !other.is_same(flight));
        self.silent.push((flight.clone(), silence));
    }

    fn stay_silent(&mut self, flight: &Flight, silence: Silence) {
        match silence {
            Silence::NotReached => {}
            Silence::Happened => drop(self.perform(flight)),
            Silence::Later => {
                self.late.push(flight.clone());
                self.silence(flight, Silence::NotReached);
            }
        }
        self.fail(flight, "no answer", true);
    }

    fn heard(&mut self, flight: &Flight, answer: Attempt, cut: Option<Cut>) {
        match cut {
            Some(Cut::ForGood) => {
                self.silence(flight, Silence::NotReached);
                self.fail(flight, "cut off", true);
            }
            Some(Cut::Once) => self.fail(flight, "cut off", false),
            None => {
                let options = self.options(flight);
                self.troupe.runs[flight.run].answer(flight, answer, &options);
            }
        }
    }

    /// The answer of an attempt that nobody waits for any more.
    fn comes_too_late(&mut self, flight: &Flight, answer: Attempt) -> Result<(), String> {
        let options = self.options(flight);
        if self.troupe.runs[flight.run].answer(flight, answer, &options) {
            return Err(format!("{}: an answer was heard that came too late", step(flight)));
        }
        Ok(())
    }

    fn fail(&mut self, flight: &Flight, reason: &str, silent: bool) {
        let options = self.options(flight);
        self.troupe.runs[flight.run].fail(flight, reason, silent, &options);
    }

    pub(super) fn options(&self, flight: &Flight) -> ActivityOptions {
        let run = &self.troupe.runs[flight.run];
        let running = run.ledger().running().get(&flight.seq);
        running.map_or_else(ActivityOptions::default, |running| {
            self.play.cast.options(running, run.ledger().pivoted())
        })
    }

    fn perform(&mut self, flight: &Flight) -> (Attempt, Option<Cut>) {
        self.log.push(Line::Made(self.outside.made.len()));
        let rows = self.troupe.runs[flight.run].history.len();
        let made = self.outside.perform(flight, rows, &self.plan);
        for what in &made.luck {
            self.log.push(Line::Twist("service's own", what.clone()));
        }
        if made.cut.is_some() {
            self.log.push(Line::Twist("cut off", "it is cut off there".to_owned()));
        }
        (made.answer.clone(), made.cut)
    }

    fn end(self, went: Result<(), String>, every_prefix: bool) -> Told<World> {
        let replayed =
            self.troupe.runs.iter().try_fold(0, |prefixes, run| {
                Ok(prefixes + run.replays(every_prefix && went.is_ok())?)
            });
        let runs = self.troupe.runs.into_iter();
        let runs = runs.map(|run| Run { who: run.who, history: run.history }).collect();
        let mut account = Account { runs, made: self.outside.made };
        if let Some(tamper) = self.play.tamper {
            tamper(&mut account);
        }
        let broken = went.and_then(|()| judge(&account)).err();
        // What replay finds explains the rest.
        let (broken, prefixes) = match replayed {
            Ok(prefixes) => (broken, prefixes),
            Err(differs) => (Some(differs), 0),
        };
        let (plan, log, world) = (self.plan.into_inner(), self.log, self.outside.world);
        Told { plan, broken, account, log, world, prefixes }
    }
}
