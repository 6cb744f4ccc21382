//! One story: from the start to where nothing more can happen.

use std::cell::RefCell;
use std::fmt::Debug;
use std::time::Duration;

use super::cast::Cut;
use super::engine::{Engine, Flight};
use super::judge;
use super::outside::{Outside, step};
use super::plan::Plan;
use super::turn::{Fate, Happening, Silence};
use super::{Cue, Play};
use crate::{Attempt, Direction, Event, Seq, StuckReason};

/// A story that takes more turns than this does not come to an end.
const TURNS_MAX: usize = 2_000;

/// How long it takes until an operator comes.
const OPERATOR: Duration = Duration::from_mins(30);

/// A story while it is told.
pub(super) struct Story<'a, World> {
    pub(super) play: &'a Play<World>,
    pub(super) engine: Engine,
    pub(super) outside: Outside<'a, World>,
    /// Requests that nobody waits for, and that have not arrived yet.
    pub(super) late: Vec<Flight>,
    /// Steps that will not answer.
    pub(super) silent: Vec<(Seq, Direction, Silence)>,
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
    /// So many rows were written by then.
    Rows(usize),
}

/// A story that was told.
pub(super) struct Told<World> {
    pub(super) plan: Plan,
    /// What was wrong with it, if anything was.
    pub(super) broken: Option<String>,
    pub(super) account: judge::Account,
    pub(super) log: Vec<Line>,
    pub(super) world: World,
    pub(super) prefixes: usize,
}

impl<'a, World: Clone + PartialEq + Debug> Story<'a, World> {
    /// Tells the story that this plan leads to.
    pub(super) fn tell(play: &'a Play<World>, plan: Plan, every_prefix: bool) -> Told<World> {
        let mut story = Self {
            play,
            engine: Engine::start(&play.saga),
            outside: Outside::new(play),
            late: Vec::new(),
            silent: Vec::new(),
            given: vec![false; play.cues.len()],
            plan: RefCell::new(plan),
            log: vec![Line::Rows(1)],
        };
        let went = story.go();
        story.end(went, every_prefix)
    }

    fn go(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            self.goes_well()?;
            let happenings = self.happenings();
            let Some(options) = happenings else { return self.rests_well() };
            let chosen = self.plan.borrow_mut().choose(options.len());
            let (twisted, rows) = (chosen > 0, self.engine.history.len());
            let happening = options.into_iter().nth(chosen).expect("the plan chose one of them");
            if twisted {
                self.log.push(Line::Twist(happening.kind(), self.describe(&happening)));
            }
            let was_closed = self.is_closed();
            self.happen(happening)?;
            if self.engine.history.len() > rows {
                self.log.push(Line::Rows(self.engine.history.len()));
            }
            if self.is_closed() && !was_closed {
                self.late.append(&mut self.engine.flights);
                self.goes_well()?;
                self.keeps_promises("")?;
            }
        }
        let ledger = self.engine.ledger();
        let busy = ledger.running().values().next().map(|running| {
            let why = running.last_failure.as_deref().unwrap_or("it is asked for again and again");
            format!(": `{}`, attempt {}: {why}", running.call.activity, running.attempt)
        });
        let busy = busy.unwrap_or_default();
        let past = if ledger.pivoted() { " past its point of no return" } else { "" };
        Err(format!("after {TURNS_MAX} turns it has not come to an end{past}{busy}"))
    }

    fn is_closed(&self) -> bool {
        self.engine.ledger().status().is_closed()
    }

    /// What must hold at every turn.
    fn goes_well(&self) -> Result<(), String> {
        if let Some(broken) = &self.outside.broken {
            return Err(broken.clone());
        }
        let ledger = self.engine.ledger();
        for running in ledger.running().values() {
            let name = running.call.activity.as_str();
            if !self.play.saga.kind.activities.contains(&name) {
                return Err(format!("`{name}` is not among the ACTIVITIES of its workflow"));
            }
        }
        match ledger.stuck() {
            Some((StuckReason::UndoExhausted, _)) => self.owes_only_what_was_silenced(),
            Some((StuckReason::OutcomeUnknown, _)) | None => Ok(()),
            Some((reason, detail)) => Err(format!("stuck ({}): {detail}", reason.code())),
        }
    }

    /// What must hold where nothing more can happen.
    fn rests_well(&self) -> Result<(), String> {
        let ledger = self.engine.ledger();
        if ledger.status().is_closed() {
            return self.keeps_promises(", once all that was late had arrived");
        }
        Err("it waits for ever: nothing is under way, no timer is set, and no signal is to come \
             that it has not had"
            .to_owned())
    }

    fn owes_only_what_was_silenced(&self) -> Result<(), String> {
        for owed in self.engine.ledger().undo_plan() {
            let undoes = |(seq, direction, _): &(Seq, Direction, Silence)| {
                let of = judge::undoes(&self.engine.history, *seq);
                *direction == Direction::Undo && of == Some(owed.of)
            };
            if !self.silent.iter().any(undoes) {
                let made = self.outside.made.iter().rev();
                let mut own = made.filter(|made| {
                    let flight = &made.flight;
                    flight.direction == Direction::Undo && flight.of == owed.of
                });
                let why = match own.find_map(|made| failure(&made.answer)) {
                    Some(reason) => format!(": {reason}"),
                    None => String::new(),
                };
                return Err(format!(
                    "the undo `{}` of command {} kept failing by itself, where nothing was wrong \
                     with its service{why}: an undo must succeed whether or not its action took \
                     place, and whatever becomes of other undos",
                    owed.activity, owed.of.0
                ));
            }
        }
        Ok(())
    }

    fn keeps_promises(&self, when: &str) -> Result<(), String> {
        let outcome = self.engine.ledger().outcome().expect("it is closed");
        match self.play.rules.broken_by(&self.outside.world, &outcome) {
            Some(name) => Err(format!("the invariant «{name}» does not hold{when}")),
            None => Ok(()),
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Answer(n, fate) => {
                let flight = self.engine.flights.remove(n);
                self.answer(&flight, fate)
            }
            Happening::Late(n) => {
                let flight = self.late.remove(n);
                let what = format!("{} arrives late", step(&flight));
                self.log.push(Line::Twist("late", what));
                let answer = self.perform(&flight).0;
                self.comes_too_late(&flight, answer)
            }
            Happening::Signal(cue, twice) => {
                self.given[cue] = true;
                let Cue { name, given, .. } = &self.play.cues[cue];
                if let Some(payload) = given(&self.outside.world) {
                    for n in 0..=usize::from(twice) {
                        let (name, payload) = ((*name).to_owned(), payload.clone());
                        let id = format!("signal-{cue}-{n}");
                        self.engine.tell(Event::Signalled { name, id, payload });
                    }
                }
                Ok(())
            }
            Happening::Alarm(seq, due) => {
                self.engine.ring(seq, due);
                Ok(())
            }
            Happening::Retried => {
                // Whatever was wrong with the services has been seen to.
                self.silent.clear();
                self.engine.pass(OPERATOR);
                self.engine.tell(Event::Retried { reason: None });
                Ok(())
            }
            Happening::Cancel => {
                self.engine.tell(Event::CancelRequested { reason: None });
                Ok(())
            }
            Happening::Lost { reached } => {
                for flight in std::mem::take(&mut self.engine.flights) {
                    if reached {
                        self.perform(&flight);
                    }
                }
                let cast = &self.play.cast;
                self.engine.lose(|running, pivoted| cast.options(running, pivoted));
                Ok(())
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
            Fate::Silent(silence) => {
                self.silence(flight, silence);
                self.stay_silent(flight, silence);
            }
        }
        Ok(())
    }

    fn silence(&mut self, flight: &Flight, silence: Silence) {
        self.silent
            .retain(|(seq, direction, _)| (*seq, *direction) != (flight.seq, flight.direction));
        self.silent.push((flight.seq, flight.direction, silence));
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
                self.engine.answer(flight, answer, &options);
            }
        }
    }

    /// The answer of an attempt that nobody waits for any more.
    fn comes_too_late(&mut self, flight: &Flight, answer: Attempt) -> Result<(), String> {
        let options = self.options(flight);
        if self.engine.answer(flight, answer, &options) {
            return Err(format!("{}: an answer was heard that came too late", step(flight)));
        }
        Ok(())
    }

    fn fail(&mut self, flight: &Flight, reason: &str, doomed: bool) {
        let options = self.options(flight);
        self.engine.fail(flight, reason, doomed, &options);
    }

    fn perform(&mut self, flight: &Flight) -> (Attempt, Option<Cut>) {
        self.log.push(Line::Made(self.outside.made.len()));
        let made = self.outside.perform(flight, self.engine.history.len(), &self.plan);
        for what in &made.luck {
            self.log.push(Line::Twist("service's own", what.clone()));
        }
        if made.cut.is_some() {
            self.log.push(Line::Twist("cut off", "it is cut off there".to_owned()));
        }
        (made.answer.clone(), made.cut)
    }

    fn end(self, went: Result<(), String>, every_prefix: bool) -> Told<World> {
        let replayed = self.engine.replays(every_prefix && went.is_ok());
        let mut account = judge::Account { history: self.engine.history, made: self.outside.made };
        if let Some(tamper) = self.play.tamper {
            tamper(&mut account);
        }
        let broken = went.and_then(|()| judge::judge(&account)).err();
        // What replay finds explains the rest.
        let (broken, prefixes) = match replayed {
            Ok(prefixes) => (broken, prefixes),
            Err(differs) => (Some(differs), 0),
        };
        let (plan, log, world) = (self.plan.into_inner(), self.log, self.outside.world);
        Told { plan, broken, account, log, world, prefixes }
    }
}

fn failure(answer: &Attempt) -> Option<&str> {
    match answer {
        Attempt::Failed { reason, .. } => Some(reason),
        Attempt::Done(_) | Attempt::Refused(_) => None,
    }
}
