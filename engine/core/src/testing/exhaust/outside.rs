//! The world outside: the author's services, and what was done to them.

use std::cell::RefCell;
use std::fmt::Debug;

use super::Play;
use super::cast::{Cut, Visit};
use super::engine::Flight;
use super::plan::Plan;
use crate::{Attempt, Direction, Payload, Verdict};

/// One request that reached a service.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) flight: Flight,
    pub(super) key: String,
    /// How many rows its history had by then.
    pub(super) rows: usize,
    /// Whether the world was another afterwards.
    pub(super) changed: bool,
    pub(super) answer: Attempt,
    pub(super) cut: Option<Cut>,
    /// What it said last in its heartbeats.
    beat: Option<Payload>,
    /// What happened there that need not.
    pub(super) luck: Vec<String>,
}

impl Made {
    /// Whether it is the same effect, asked for again.
    pub(super) fn repeats(&self, earlier: &Self) -> bool {
        self.flight.repeats(&earlier.flight)
    }

    /// Whether it is the probe of that action.
    pub(super) fn probes(&self, action: &Self) -> bool {
        let (this, that) = (&self.flight, &action.flight);
        let kinds = (this.direction, that.direction);
        kinds == (Direction::Verify, Direction::Do) && this.concerns(that)
    }

    /// What it says, when it is the answer of a probe.
    fn verdict(&self) -> Option<Verdict<Payload>> {
        match &self.answer {
            Attempt::Done(verdict) if self.flight.direction == Direction::Verify => {
                verdict.decode().ok()
            }
            _ => None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.answer, Attempt::Done(_))
    }

    fn is_undo_of(&self, other: &Self) -> bool {
        let (this, that) = (&self.flight, &other.flight);
        let kinds = (this.direction, that.direction);
        kinds == (Direction::Undo, Direction::Do) && this.concerns(that)
    }
}

/// The world as one story leaves it.
pub(super) struct Outside<'a, World> {
    play: &'a Play<World>,
    pub(super) world: World,
    pub(super) made: Vec<Made>,
    /// The first promise a service broke.
    pub(super) broken: Option<String>,
}

impl<'a, World: Clone + PartialEq + Debug> Outside<'a, World> {
    pub(super) fn new(play: &'a Play<World>) -> Self {
        Self { play, world: play.world.clone(), made: Vec::new(), broken: None }
    }

    /// A request reaches its service.
    pub(super) fn perform(&mut self, flight: &Flight, rows: usize, plan: &RefCell<Plan>) -> &Made {
        let before = self.world.clone();
        let visit = Visit::new(flight.context(), self.last_beat(flight), plan);
        let answer = match self.play.cast.model(&flight.call.activity) {
            Some(model) => model.perform(&mut self.world, &flight.call.request, &visit),
            None => Attempt::failed("nobody plays it"),
        };
        let made = Made {
            flight: flight.clone(),
            key: visit.idempotency_key(),
            rows,
            changed: before != self.world,
            answer,
            cut: visit.cut.get(),
            beat: visit.last_beat(),
            luck: visit.luck.take(),
        };
        if self.broken.is_none() {
            let rule = || self.play.rules.broken_always(&self.world);
            self.broken = self.breaks(&made).or_else(rule);
        }
        self.made.push(made);
        self.made.last().expect("it was pushed just now")
    }

    /// What earlier attempts said last, of an activity that is listened to.
    fn last_beat(&self, flight: &Flight) -> Option<Payload> {
        self.play.cast.model(&flight.call.activity)?.options.heartbeat?;
        let mut earlier = self.made.iter().rev().filter(|made| made.flight.repeats(flight));
        earlier.find_map(|made| made.beat.clone())
    }

    /// What an effect that is repeated, or comes late, must not do.
    fn breaks(&self, made: &Made) -> Option<String> {
        let step = || step(&made.flight);
        let undo = self.made.iter().find(|other| other.is_undo_of(made) && other.is_done());
        let earlier = self.made.iter().rfind(|earlier| made.repeats(earlier) && earlier.is_done());
        if let Some(lie) = self.belies_its_probe(made) {
            return Some(lie);
        }
        match (earlier, undo) {
            (_, Some(undo)) if made.changed && made.is_done() => Some(format!(
                "{} came late and took effect after its undo `{}` had run: an undo must leave a \
                 tombstone behind, so that what comes late changes nothing",
                step(),
                undo.flight.call.activity
            )),
            (Some(_), _) if made.changed => Some(format!(
                "{} was asked for again with the same idempotency key, and changed the world a \
                 second time: its effect is not deduplicated by {}",
                step(),
                made.key
            )),
            (Some(earlier), None) if earlier.changed => answers_as_before(earlier, made),
            _ => None,
        }
    }
}

impl<World> Outside<'_, World> {
    /// A probe that says `NotDone` says that it will not happen either.
    fn belies_its_probe(&self, made: &Made) -> Option<String> {
        let step = || step(&made.flight);
        let denies = |made: &Made| made.verdict() == Some(Verdict::NotDone);
        if denies(made) {
            let acted = |other: &&Made| made.probes(other) && other.is_done() && other.changed;
            return self.made.iter().find(acted).map(|_| {
                format!("{} said that it did not happen, and it had: nobody would undo it", step())
            });
        }
        let probe = self.made.iter().find(|other| other.probes(made) && denies(other))?;
        (made.is_done() && made.changed).then(|| {
            format!(
                "{} took effect after its probe `{}` had said that it did not and would not: a \
                 probe that says so must leave a tombstone behind",
                step(),
                probe.flight.call.activity
            )
        })
    }
}

fn answers_as_before(earlier: &Made, made: &Made) -> Option<String> {
    match (&earlier.answer, &made.answer) {
        (Attempt::Done(_), Attempt::Refused(error)) => Some(format!(
            "{} was done, and when it was asked for again with the same idempotency key it \
             refused ({}): a refusal says that nothing happened, so nobody would undo it",
            step(&made.flight),
            error.get()
        )),
        (Attempt::Done(first), Attempt::Done(second)) if first != second => Some(format!(
            "{} answered {}, and when it was asked for again with the same idempotency key {}",
            step(&made.flight),
            first.get(),
            second.get()
        )),
        _ => None,
    }
}

/// A step by its name and number.
pub(super) fn step(flight: &Flight) -> String {
    let (name, of) = (&flight.call.activity, flight.of.0);
    match flight.direction {
        Direction::Do => format!("`{name}` (command {of})"),
        Direction::Undo => format!("`{name}` (undo of command {of})"),
        Direction::Verify => format!("`{name}` (probe of command {of})"),
    }
}
