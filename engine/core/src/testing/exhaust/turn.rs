//! What can happen next, and what does when nothing comes in between.

use std::fmt::Debug;

use super::engine::Flight;
use super::outside::step;
use super::story::Story;
use super::troupe::may_be_cancelled;
use crate::{Direction, Seq, Status, Timestamp};

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The attempt of that number ends.
    Answer(u64, Fate),
    /// A run hears from another.
    Letter(usize),
    /// A signal or an update comes in to a run, or comes twice.
    Message(usize, usize, bool),
    /// A timer, a retry or a deadline of a run is due.
    Alarm(usize, Seq, Timestamp),
    /// A request arrives that nobody waits for any more.
    Late(usize),
    /// An operator lets a stuck run try again.
    Retried(usize),
    /// Someone cancels.
    Cancel,
    /// The worker is lost; what was in flight had reached its service, or had not.
    Lost { reached: bool },
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// As its service says.
    Good,
    /// It reaches its service twice, and both answer.
    Twice,
    /// A business no; nothing happened.
    Refused(usize),
    /// It never reached its service.
    NotReached,
    /// It was done, and nobody heard.
    AnswerLost,
    /// It is given up, and arrives later than the attempt that follows it.
    Overtaken,
    /// It is not sent: its service is known to be in trouble.
    HeldBack,
    /// No attempt of it is answered any more.
    Silent(Silence),
}

/// Why a step does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Silence {
    /// Its requests never arrive.
    NotReached,
    /// It is done, and its answers are lost.
    Happened,
    /// Its first request arrives when it was given up long ago.
    Later,
}

impl<World: Clone + PartialEq + Debug> Story<'_, World> {
    /// All that can happen; the first does, unless the plan says otherwise.
    /// `None` when the story is over.
    pub(super) fn happenings(&self) -> Option<Vec<Happening>> {
        let mut all = self.by_themselves();
        match *all.first()? {
            Happening::Answer(number, Fate::Good | Fate::Twice) => self.add_fates(number, &mut all),
            Happening::Message(cue, to, _) => all.push(Happening::Message(cue, to, true)),
            _ => {}
        }
        if self.troupe.all_closed() {
            return Some(all);
        }
        if may_be_cancelled(self.troupe.lead()) {
            all.push(Happening::Cancel);
        }
        for run in &self.troupe.runs {
            let deadline = run.ledger().alarms().get(&Seq::DEADLINE);
            all.extend(deadline.map(|at| Happening::Alarm(run.number, Seq::DEADLINE, *at)));
        }
        all.push(Happening::Lost { reached: false });
        if !self.troupe.flights().is_empty() {
            all.push(Happening::Lost { reached: true });
        }
        Some(all)
    }

    /// First runs hear from one another, then what is in flight answers, then what
    /// waits outside comes in, then time passes; what is late comes last of all.
    fn by_themselves(&self) -> Vec<Happening> {
        let mut all: Vec<_> = (0..self.troupe.letters.len()).map(Happening::Letter).collect();
        all.extend(self.troupe.flights().into_iter().map(|flight| {
            let silence = self.silent.iter().find(|(silent, _)| silent.is_same(flight));
            let heard = if self.twice() { Fate::Twice } else { Fate::Good };
            let fate = silence.map_or(heard, |(_, silence)| Fate::Silent(*silence));
            Happening::Answer(flight.number, fate)
        }));
        for (n, cue) in self.play.cues.iter().enumerate() {
            let due = !self.given[n] && (cue.given)(&self.outside.world).is_some();
            let to = self.troupe.listener(cue.name).filter(|_| due);
            all.extend(to.map(|to| Happening::Message(n, to, false)));
        }
        let runs = &self.troupe.runs;
        let alarms =
            || runs.iter().flat_map(|run| run.ledger().alarms().iter().map(move |a| (run, a)));
        let earliest = alarms().map(|(_, (_, at))| *at).min();
        let due = alarms().filter(|(_, (_, at))| Some(**at) == earliest);
        all.extend(due.map(|(run, (seq, at))| Happening::Alarm(run.number, *seq, *at)));
        let stuck = runs.iter().filter(|run| run.ledger().status() == Status::Stuck);
        all.extend(stuck.map(|run| Happening::Retried(run.number)));
        all.extend((0..self.late.len()).map(Happening::Late));
        all
    }

    fn add_fates(&self, number: u64, all: &mut Vec<Happening>) {
        let flights = self.troupe.flights();
        let Some(flight) = flights.iter().find(|flight| flight.number == number) else { return };
        let run = &self.troupe.runs[flight.run];
        let options = self.options(flight);
        let mut fates = if self.twice() { vec![] } else { vec![Fate::Twice] };
        let may_refuse = flight.direction == Direction::Do && !run.ledger().pivoted();
        if may_refuse && !self.may_have_happened(flight) {
            let refusals = self.play.cast.refusals(&flight.call.activity);
            fates.extend((0..refusals.len()).map(Fate::Refused));
        }
        if !self.twice() {
            fates.push(Fate::HeldBack);
        }
        if run.wait_after(flight, &options).is_some() {
            fates.extend([Fate::NotReached, Fate::AnswerLost, Fate::Overtaken]);
        }
        let retry = options.retry;
        let ends = retry.maximum_attempts != 0
            || retry.total_budget.is_some()
            || options.schedule_to_close.is_some();
        if ends || run.voids(flight.direction) {
            let silences = [Silence::NotReached, Silence::Happened, Silence::Later];
            fates.extend(silences.map(Fate::Silent));
        }
        all.extend(fates.into_iter().map(|fate| Happening::Answer(number, fate)));
    }

    /// Whether an earlier attempt of the step reached its service, or still may:
    /// a service that keeps its word does not refuse it then.
    fn may_have_happened(&self, flight: &Flight) -> bool {
        let made = self.outside.made.iter().map(|made| &made.flight);
        made.chain(&self.late).any(|other| other.repeats(flight))
    }

    pub(super) fn describe(&self, happening: Happening) -> String {
        match happening {
            Happening::Answer(number, fate) => {
                let flights = self.troupe.flights();
                let flight = flights.iter().find(|flight| flight.number == number);
                let step = flight.map_or_else(String::new, |flight| step(flight));
                format!("{step} {}", fate.describe())
            }
            Happening::Letter(n) => format!("{}, before something else", self.troupe.describe(n)),
            Happening::Message(.., true) => "it is sent twice".to_owned(),
            Happening::Message(..) => "what was to come later comes early".to_owned(),
            Happening::Alarm(_, Seq::DEADLINE, _) => "the deadline passes".to_owned(),
            Happening::Alarm(..) => "time passes first".to_owned(),
            Happening::Retried(_) => "an operator lets it try again".to_owned(),
            Happening::Late(_) => "what was late arrives now".to_owned(),
            Happening::Cancel => "someone cancels".to_owned(),
            Happening::Lost { reached: true } => {
                "the worker is lost, with requests that had reached their services".to_owned()
            }
            Happening::Lost { reached: false } => "the worker is lost".to_owned(),
        }
    }
}

impl Fate {
    fn describe(self) -> &'static str {
        match self {
            Self::Good => "answers before what was asked for earlier",
            Self::Twice => "reaches its service twice",
            Self::Refused(_) => "is refused",
            Self::NotReached => "does not reach its service",
            Self::AnswerLost => "is done, and its answer is lost",
            Self::HeldBack => "is not sent: its service is known to be in trouble",
            Self::Overtaken => "times out; its request is still on its way",
            Self::Silent(Silence::NotReached) => "never reaches its service, until it is given up",
            Self::Silent(Silence::Happened) => "is done, but no answer comes, until it is given up",
            Self::Silent(Silence::Later) => "is given up; its request is still on its way",
        }
    }
}

impl Happening {
    /// What kind of twist it is, to count them by.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Answer(_, fate) => match fate {
                Fate::Good => "another order",
                Fate::Twice => "twice",
                Fate::Refused(_) => "refused",
                Fate::NotReached => "request lost",
                Fate::AnswerLost => "answer lost",
                Fate::Overtaken => "overtaken",
                Fate::HeldBack => "held back",
                Fate::Silent(_) => "unknown",
            },
            Self::Letter(_) => "another order",
            Self::Message(.., true) => "signal twice",
            Self::Message(..) => "signal early",
            Self::Alarm(_, Seq::DEADLINE, _) => "deadline",
            Self::Alarm(..) => "time first",
            Self::Late(_) | Self::Retried(_) => "late",
            Self::Cancel => "cancelled",
            Self::Lost { .. } => "worker lost",
        }
    }
}
