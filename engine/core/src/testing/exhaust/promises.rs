//! What must hold while a story is told, and where it ends.

use std::fmt::Debug;

use super::engine::{Engine, Flight};
use super::judge;
use super::story::{Story, TURNS_MAX};
use super::turn::Silence;
use crate::{Attempt, Direction, PlannedUndo, StuckReason};

impl<World: Clone + PartialEq + Debug> Story<'_, World> {
    /// What must hold at every turn.
    pub(super) fn goes_well(&self) -> Result<(), String> {
        let found = self.outside.broken.as_ref().or(self.troupe.unknown.as_ref());
        if let Some(broken) = found {
            return Err(broken.clone());
        }
        self.troupe.runs.iter().try_for_each(|run| self.run_goes_well(run))
    }

    fn run_goes_well(&self, run: &Engine) -> Result<(), String> {
        let ledger = run.ledger();
        for running in ledger.running().values() {
            let name = running.call.activity.as_str();
            // What it undoes for another run is among that one's.
            if running.origin.is_none() && !run.kind.activities.contains(&name) {
                let workflow = run.kind.name;
                return Err(format!("`{name}` is not among the ACTIVITIES of `{workflow}`"));
            }
        }
        match ledger.stuck() {
            Some((StuckReason::UndoExhausted, _)) => {
                let mut owed = ledger.undo_plan().into_iter();
                owed.try_for_each(|owed| self.was_silenced(run, &owed))
            }
            Some((StuckReason::OutcomeUnknown, _)) | None => Ok(()),
            Some((reason, detail)) => Err(format!("stuck ({}): {detail}", reason.code())),
        }
    }

    /// An undo is exhausted only where the story made its service silent.
    fn was_silenced(&self, run: &Engine, owed: &PlannedUndo) -> Result<(), String> {
        let undoes = |(flight, _): &(Flight, Silence)| {
            let undone = judge::undoes(&run.history, flight.seq);
            let here = flight.run == run.number && flight.direction == Direction::Undo;
            here && undone == Some((owed.of, owed.inherited))
        };
        if self.silent.iter().any(undoes) {
            return Ok(());
        }
        let own = self.outside.made.iter().rev().filter(|made| {
            let flight = &made.flight;
            flight.direction == Direction::Undo && flight.of == owed.of
        });
        let mut why = own.filter_map(|made| match &made.answer {
            Attempt::Failed { reason, .. } | Attempt::Unavailable { reason, .. } => {
                Some(format!(": {reason}"))
            }
            Attempt::Done(_) | Attempt::Refused(_) => None,
        });
        Err(format!(
            "the undo `{}` of command {} kept failing by itself, where nothing was wrong with its \
             service{}: an undo must succeed whether or not its action took place, and whatever \
             becomes of other undos",
            owed.activity,
            owed.of.0,
            why.next().unwrap_or_default()
        ))
    }

    /// What must hold where nothing more can happen.
    pub(super) fn rests_well(&self) -> Result<(), String> {
        let mut open = self.troupe.runs.iter().filter(|run| !run.ledger().status().is_closed());
        let Some(run) = open.next() else {
            return self.keeps_promises(", once all that was late had arrived");
        };
        let who = match run.number {
            0 => String::new(),
            _ => format!(" (`{}`)", run.who.workflow_id),
        };
        Err(format!(
            "it waits for ever{who}: nothing is under way, no timer is set, and nothing is to \
             come from outside that it has not had"
        ))
    }

    pub(super) fn keeps_promises(&self, when: &str) -> Result<(), String> {
        let outcome = self.troupe.lead().ledger().outcome().expect("it is closed");
        match self.play.rules.broken_by(&self.outside.world, &outcome) {
            Some(name) => Err(format!("the invariant «{name}» does not hold{when}")),
            None => Ok(()),
        }
    }

    /// Why it is thought to go on for ever.
    pub(super) fn no_end(&self) -> String {
        let mut running = self.troupe.runs.iter().flat_map(|run| run.ledger().running().values());
        let busy = running.next().map(|running| {
            let why = running.last_failure.as_deref().unwrap_or("it is asked for again and again");
            format!(": `{}`, attempt {}: {why}", running.call.activity, running.attempt)
        });
        let busy = busy.unwrap_or_default();
        let pivoted = self.troupe.lead().ledger().pivoted();
        let past = if pivoted { " past its point of no return" } else { "" };
        format!("after {TURNS_MAX} turns it has not come to an end{past}{busy}")
    }
}
