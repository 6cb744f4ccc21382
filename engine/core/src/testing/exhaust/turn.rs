//! What can happen next, and what does when nothing comes in between.

use std::fmt::Debug;

use super::engine::Flight;
use super::outside::step;
use super::story::Story;
use crate::{ActivityOptions, Direction, Seq, Status, Timestamp};

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// An attempt in flight ends.
    Answer(usize, Fate),
    /// A signal arrives, or arrives twice.
    Signal(usize, bool),
    /// A timer or a retry is due.
    Alarm(Seq, Timestamp),
    /// A request arrives that nobody waits for any more.
    Late(usize),
    /// An operator lets a stuck run try again.
    Retried,
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
        if all.is_empty() {
            return None;
        }
        match all[0] {
            Happening::Answer(n, Fate::Good) => self.add_fates(n, &mut all),
            Happening::Signal(cue, _) => all.push(Happening::Signal(cue, true)),
            _ => {}
        }
        let ledger = self.engine.ledger();
        if ledger.status().is_closed() {
            return Some(all);
        }
        let is_open = matches!(ledger.status(), Status::Running | Status::Stuck);
        if is_open && !ledger.pivoted() && ledger.cause().is_none() {
            all.push(Happening::Cancel);
        }
        if let Some(at) = ledger.alarms().get(&Seq::DEADLINE) {
            all.push(Happening::Alarm(Seq::DEADLINE, *at));
        }
        all.push(Happening::Lost { reached: false });
        if !self.engine.flights.is_empty() {
            all.push(Happening::Lost { reached: true });
        }
        Some(all)
    }

    /// First what is in flight answers, then what waits outside comes in, then
    /// time passes; what is late comes last of all.
    fn by_themselves(&self) -> Vec<Happening> {
        let mut all = Vec::new();
        for (n, flight) in self.engine.flights.iter().enumerate() {
            let silent = |(seq, direction, _): &&(Seq, Direction, Silence)| {
                (*seq, *direction) == (flight.seq, flight.direction)
            };
            let silence = self.silent.iter().find(silent);
            let fate = silence.map_or(Fate::Good, |(.., silence)| Fate::Silent(*silence));
            all.push(Happening::Answer(n, fate));
        }
        let ledger = self.engine.ledger();
        if ledger.status() == Status::Running {
            for (n, cue) in self.play.cues.iter().enumerate() {
                if !self.given[n] && (cue.given)(&self.outside.world).is_some() {
                    all.push(Happening::Signal(n, false));
                }
            }
        }
        let earliest = ledger.alarms().values().min();
        let due = ledger.alarms().iter().filter(|(_, at)| Some(*at) == earliest);
        all.extend(due.map(|(seq, at)| Happening::Alarm(*seq, *at)));
        if ledger.status() == Status::Stuck {
            all.push(Happening::Retried);
        }
        all.extend((0..self.late.len()).map(Happening::Late));
        all
    }

    fn add_fates(&self, n: usize, all: &mut Vec<Happening>) {
        let flight = &self.engine.flights[n];
        let options = self.options(flight);
        let mut fates = vec![Fate::Twice];
        let may_refuse = flight.direction == Direction::Do && !self.engine.ledger().pivoted();
        if may_refuse && !self.may_have_happened(flight) {
            let refusals = self.play.cast.refusals(&flight.call.activity);
            fates.extend((0..refusals.len()).map(Fate::Refused));
        }
        if self.engine.wait_after(flight, &options).is_some() {
            fates.extend([Fate::NotReached, Fate::AnswerLost, Fate::Overtaken]);
        }
        let retry = options.retry;
        let ends = retry.maximum_attempts != 0
            || retry.total_budget.is_some()
            || options.schedule_to_close.is_some();
        if ends || self.engine.voids(flight.direction) {
            let silences = [Silence::NotReached, Silence::Happened, Silence::Later];
            fates.extend(silences.map(Fate::Silent));
        }
        all.extend(fates.into_iter().map(|fate| Happening::Answer(n, fate)));
    }

    /// Whether an earlier attempt of the step reached its service, or still may:
    /// a service that keeps its word does not refuse it then.
    fn may_have_happened(&self, flight: &Flight) -> bool {
        let same = |other: &Flight| (other.of, other.direction) == (flight.of, flight.direction);
        self.outside.made.iter().any(|made| same(&made.flight)) || self.late.iter().any(same)
    }

    pub(super) fn options(&self, flight: &Flight) -> ActivityOptions {
        let ledger = self.engine.ledger();
        let running = ledger.running().get(&flight.seq);
        running.map_or_else(ActivityOptions::default, |running| {
            self.play.cast.options(running, ledger.pivoted())
        })
    }

    pub(super) fn describe(&self, happening: &Happening) -> String {
        match happening {
            Happening::Answer(n, fate) => {
                let step = step(&self.engine.flights[*n]);
                match fate {
                    Fate::Good => format!("{step} answers before what was asked for earlier"),
                    Fate::Twice => format!("{step} reaches its service twice"),
                    Fate::Refused(_) => format!("{step} is refused"),
                    Fate::NotReached => format!("{step} does not reach its service"),
                    Fate::AnswerLost => format!("{step} is done, and its answer is lost"),
                    Fate::Overtaken => {
                        format!("{step} times out; its request is still on its way")
                    }
                    Fate::Silent(Silence::NotReached) => {
                        format!("{step} never reaches its service, until it is given up")
                    }
                    Fate::Silent(Silence::Happened) => {
                        format!("{step} is done, but no answer comes, until it is given up")
                    }
                    Fate::Silent(Silence::Later) => {
                        format!("{step} is given up; its request is still on its way")
                    }
                }
            }
            Happening::Signal(_, true) => "the signal is sent twice".to_owned(),
            Happening::Signal(..) => "the signal comes early".to_owned(),
            Happening::Alarm(Seq::DEADLINE, _) => "the deadline passes".to_owned(),
            Happening::Alarm(..) => "time passes first".to_owned(),
            Happening::Retried => "an operator lets it try again".to_owned(),
            Happening::Late(_) => "what was late arrives now".to_owned(),
            Happening::Cancel => "someone cancels".to_owned(),
            Happening::Lost { reached: true } => {
                "the worker is lost, with requests that had reached their services".to_owned()
            }
            Happening::Lost { reached: false } => "the worker is lost".to_owned(),
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
                Fate::Silent(_) => "unknown",
            },
            Self::Signal(_, true) => "signal twice",
            Self::Signal(..) => "signal early",
            Self::Alarm(Seq::DEADLINE, _) => "deadline",
            Self::Alarm(..) => "time first",
            Self::Late(_) | Self::Retried => "late",
            Self::Cancel => "cancelled",
            Self::Lost { .. } => "worker lost",
        }
    }
}
