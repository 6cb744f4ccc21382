//! The judge's books of one run: what is under way, what is owed, what may follow.

use std::collections::{BTreeMap, BTreeSet};

use super::outside::{Made, step};
use crate::{ChildOutcome, Command, Direction, Event, Owed, Seq};

/// A step of this run, or the n-th undo that it took over from another.
type Id = (Seq, Option<u32>);

/// What became of a step so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fared {
    Open,
    Refused,
    /// Done, or perhaps done: its undo is owed.
    Happened,
    Undoing,
    Undone,
    /// Its undo was given up.
    Exhausted,
}

struct Step {
    name: String,
    undoable: bool,
    fared: Fared,
}

#[derive(Default)]
pub(super) struct Books {
    commands: u32,
    steps: BTreeMap<Id, Step>,
    /// Steps in order of completion.
    completed: Vec<Id>,
    /// Which step a command undoes.
    undos: BTreeMap<Seq, Id>,
    asked_about: BTreeSet<Seq>,
    /// Updates that wait for an answer.
    updates: BTreeSet<String>,
    inherited: u32,
    /// What it left to its parent or its successor, in order of completion.
    pub(super) left: Vec<Seq>,
    road: Road,
}

/// How far along the one-way road of a saga.
#[derive(Default)]
struct Road {
    pivoted: bool,
    unwinds: bool,
    end: End,
}

#[derive(Default, PartialEq)]
enum End {
    #[default]
    Open,
    Closed,
    /// Closed where it was: what it owed stays owed.
    Terminated,
}

impl Books {
    /// Whether a cancellation must be followed.
    pub(super) fn may_unwind(&self) -> bool {
        !self.road.pivoted && !self.road.unwinds && self.road.end == End::Open
    }

    /// What would be undone now, the first first.
    pub(super) fn plan(&self) -> Vec<Id> {
        let may_owe = match self.road.end {
            End::Open => !self.road.pivoted,
            End::Closed => false,
            End::Terminated => true,
        };
        if !may_owe {
            return Vec::new();
        }
        let open = self.steps.iter().rev().filter(|(_, step)| step.fared == Fared::Open);
        let open = open.filter(|(_, step)| step.undoable).map(|(id, _)| *id);
        // A terminated run waits for nobody: what was under way was the last to begin.
        open.chain(self.completed.iter().rev().copied().filter(|id| self.owes(*id))).collect()
    }

    fn owes(&self, id: Id) -> bool {
        let step = &self.steps[&id];
        step.undoable && matches!(step.fared, Fared::Happened | Fared::Undoing | Fared::Exhausted)
    }

    /// A request reached a service: it must have been written down before.
    pub(super) fn call(&self, call: &Made) -> Result<(), String> {
        let flight = &call.flight;
        let asked = match flight.direction {
            Direction::Do => self.steps.contains_key(&(flight.of, None)),
            Direction::Undo => self.undos.get(&flight.seq).is_some_and(|(of, _)| *of == flight.of),
            Direction::Verify => self.asked_about.contains(&flight.of),
        };
        if asked {
            return Ok(());
        }
        Err(format!("{} reached its service before history said so", step(flight)))
    }

    pub(super) fn see(&mut self, event: &Event) -> Result<(), String> {
        if self.road.end != End::Open {
            return Err(format!("history goes on after its end: {event:?}"));
        }
        match event {
            Event::Asked(command) => {
                let seq = Seq(self.commands);
                self.commands += 1;
                return self.ask(seq, command);
            }
            Event::Started { continued: Some(continued), .. } => self.inherit(&continued.owed),
            Event::ChildClosed { outcome: ChildOutcome::Completed { owed, .. }, .. } => {
                self.inherit(owed);
            }
            Event::Done { seq, .. } => return self.end(*seq, Fared::Happened, true),
            Event::Unknown { seq, .. } => return self.end(*seq, Fared::Happened, false),
            Event::Refused { seq, .. } | Event::NotDone { seq, .. } => {
                return self.end(*seq, Fared::Refused, true);
            }
            Event::Fired { seq } if self.road.unwinds => {
                return Err(format!("the timer of command {} fired while it unwound", seq.0));
            }
            Event::Verifying { seq, .. } => drop(self.asked_about.insert(*seq)),
            Event::UpdateRequested { id, .. } => drop(self.updates.insert(id.clone())),
            Event::Retried { .. } => self.retry(),
            Event::Terminated { .. } => {
                self.road.end = End::Terminated;
                self.abandon_open();
            }
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, seq: Seq, command: &Command) -> Result<(), String> {
        match command {
            Command::Run { activity, .. } if self.road.unwinds => {
                return Err(format!("`{activity}` was asked for while the saga unwound"));
            }
            Command::Run { activity, undo, .. } => {
                let (name, undoable) = (activity.clone(), undo.is_some());
                self.steps.insert((seq, None), Step { name, undoable, fared: Fared::Open });
            }
            Command::Undo { of, inherited } => return self.undo(seq, (*of, *inherited)),
            Command::Pivot {} => self.road.pivoted = true,
            Command::Unwind { .. } if self.road.pivoted => {
                return Err("it unwound past its point of no return".to_owned());
            }
            Command::Unwind { .. } => self.road.unwinds = true,
            Command::Answer { update, .. } if !self.updates.remove(update) => {
                return Err(format!("it answered the update {update}, which waited for no answer"));
            }
            Command::Complete { .. } | Command::ContinueAsNew { .. } if self.road.unwinds => {
                return Err("it unwound, and completed all the same".to_owned());
            }
            Command::Complete { .. } => self.leave(),
            Command::ContinueAsNew { carry, .. } => {
                self.leave();
                let left = self.steps.iter().find(|(id, _)| self.owes(**id));
                if let (false, Some((_, step))) = (carry, left) {
                    let name = &step.name;
                    return Err(format!("it went on anew, and its debt was left behind: `{name}`"));
                }
            }
            Command::Close {} => return self.close(),
            _ => {}
        }
        Ok(())
    }

    fn undo(&mut self, seq: Seq, id: Id) -> Result<(), String> {
        let asked = match self.steps.get(&id) {
            Some(step) if step.undoable => format!("the undo of {}", named(id, step)),
            _ => return Err(format!("an undo of command {}, which has none", id.0.0)),
        };
        if self.road.pivoted {
            return Err(format!("{asked} was asked for past the point of no return"));
        }
        let open = |fared| self.steps.values().find(|step| step.fared == fared);
        if let Some(other) = open(Fared::Undoing) {
            return Err(format!("two undos at once: {asked}, while `{}` was undone", other.name));
        }
        if let Some(other) = open(Fared::Open) {
            return Err(format!("{asked} did not wait for `{}`, which was under way", other.name));
        }
        match self.steps[&id].fared {
            Fared::Refused => {
                return Err(format!("{asked}, which was refused: there is nothing to undo"));
            }
            Fared::Undone => return Err(format!("{asked}, for the second time")),
            _ => {}
        }
        let waits = |id: &&Id| self.steps[*id].undoable && self.steps[*id].fared == Fared::Happened;
        if let Some(next) = self.completed.iter().rev().find(waits).filter(|next| **next != id) {
            let due = named(*next, &self.steps[next]);
            return Err(format!(
                "undo out of order: {asked} ran before that of {due}, which was completed later"
            ));
        }
        self.undos.insert(seq, id);
        self.set(id, Fared::Undoing);
        Ok(())
    }

    /// `known`: it is not left in doubt.
    fn end(&mut self, seq: Seq, how: Fared, known: bool) -> Result<(), String> {
        if let Some(id) = self.undos.get(&seq).copied() {
            self.set(id, if known { Fared::Undone } else { Fared::Exhausted });
            return Ok(());
        }
        let id = (seq, None);
        let Some(step) = self.steps.get(&id) else { return Ok(()) };
        if self.road.pivoted && (how == Fared::Refused || !known) {
            let step = named(id, step);
            return Err(format!("{step} was given up past the point of no return"));
        }
        if how != Fared::Refused {
            self.completed.push(id);
        }
        self.set(id, how);
        Ok(())
    }

    fn set(&mut self, id: Id, fared: Fared) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.fared = fared;
        }
    }

    fn inherit(&mut self, owed: &[Owed]) {
        for Owed { of, undo, .. } in owed {
            let id = (*of, Some(self.inherited));
            self.inherited += 1;
            let name = format!("what {} undoes", undo.activity);
            self.steps.insert(id, Step { name, undoable: true, fared: Fared::Happened });
            self.completed.push(id);
        }
    }

    /// An operator has come: undos that were given up are tried again.
    fn retry(&mut self) {
        for step in self.steps.values_mut().filter(|step| step.fared == Fared::Exhausted) {
            step.fared = Fared::Happened;
        }
    }

    fn leave(&mut self) {
        self.left = self.plan().into_iter().rev().map(|(of, _)| of).collect();
        self.road.end = End::Closed;
    }

    fn abandon_open(&mut self) {
        let open = |step: &Step| step.fared == Fared::Open;
        let ids: Vec<_> =
            self.steps.iter().filter(|(_, step)| open(step)).map(|(id, _)| *id).collect();
        for id in ids {
            self.set(id, Fared::Happened);
            self.completed.push(id);
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.road.end = End::Closed;
        let settled = |fared| matches!(fared, Fared::Refused | Fared::Undone);
        let mut owed = self.steps.iter().filter(|(_, step)| step.undoable && !settled(step.fared));
        match owed.next() {
            Some((id, step)) => Err(format!(
                "it closed with a debt: {} may have happened, and was never undone",
                named(*id, step)
            )),
            None => Ok(()),
        }
    }
}

fn named((seq, inherited): Id, step: &Step) -> String {
    match inherited {
        None => format!("`{}` (command {})", step.name, seq.0),
        Some(_) => format!("`{}` (command {} of another run)", step.name, seq.0),
    }
}
