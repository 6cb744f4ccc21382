//! What must hold of every story, told from its history and its calls alone:
//! the judge keeps books of its own and asks neither the ledger nor the machine.

use std::collections::{BTreeMap, BTreeSet};

use super::outside::{Made, step};
use crate::{Cause, Command, Direction, Event, Seq, Timestamp};

/// A story as it was written down and as the services saw it.
pub(super) struct Account {
    pub(super) history: Vec<(Timestamp, Vec<Event>)>,
    pub(super) made: Vec<Made>,
}

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
    Owed,
}

struct Step {
    name: String,
    undoable: bool,
    fared: Fared,
}

#[derive(Default)]
struct Books {
    commands: u32,
    steps: BTreeMap<Seq, Step>,
    /// Steps in order of completion.
    completed: Vec<Seq>,
    /// Which step a command undoes.
    undos: BTreeMap<Seq, Seq>,
    verifying: BTreeSet<Seq>,
    pivoted: bool,
    cause: Option<Cause>,
    closed: bool,
}

/// Says what is wrong with a story, if anything is.
pub(super) fn judge(account: &Account) -> Result<(), String> {
    keys(&account.made)?;
    let mut books = Books::default();
    let mut made = account.made.iter().peekable();
    for (row, (_, events)) in account.history.iter().enumerate() {
        while let Some(call) = made.next_if(|call| call.rows <= row) {
            books.call(call)?;
        }
        let cancels = events
            .iter()
            .any(|event| matches!(event, Event::CancelRequested { .. } | Event::DeadlinePassed {}));
        let could = !books.pivoted && books.cause.is_none() && !books.closed;
        for event in events {
            books.see(event)?;
        }
        if cancels && could && books.cause.is_none() {
            return Err("a cancellation was ignored".to_owned());
        }
    }
    made.try_for_each(|call| books.call(call))
}

/// The step that the command at `seq` undoes.
pub(super) fn undoes(history: &[(Timestamp, Vec<Event>)], seq: Seq) -> Option<Seq> {
    let mut commands =
        history.iter().flat_map(|(_, events)| events).filter_map(|event| match event {
            Event::Asked(command) => Some(command),
            _ => None,
        });
    match commands.nth(usize::try_from(seq.0).ok()?)? {
        Command::Undo { of, .. } => Some(*of),
        _ => None,
    }
}

/// The same key on every attempt of one effect, and on no other.
fn keys(made: &[Made]) -> Result<(), String> {
    for (n, call) in made.iter().enumerate() {
        for other in &made[..n] {
            let (this, that) = (step(&call.flight), step(&other.flight));
            // A probe asks with the key of the action.
            let same = call.repeats(other) || call.probes(other) || other.probes(call);
            if same && call.key != other.key {
                let (one, two) = (&other.key, &call.key);
                return Err(format!("two attempts of {this} had two keys: {one} and {two}"));
            }
            if !same && call.key == other.key {
                return Err(format!("{that} and {this} had the same key: {}", call.key));
            }
        }
    }
    Ok(())
}

impl Books {
    /// A request reached a service: it must have been written down before.
    fn call(&self, call: &Made) -> Result<(), String> {
        let flight = &call.flight;
        let asked = match flight.direction {
            Direction::Do => self.steps.contains_key(&flight.of),
            Direction::Undo => self.undos.get(&flight.seq) == Some(&flight.of),
            Direction::Verify => self.verifying.contains(&flight.of),
        };
        if asked {
            return Ok(());
        }
        Err(format!("{} reached its service before history said so", step(flight)))
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        if self.closed {
            return Err(format!("history goes on after its end: {event:?}"));
        }
        match event {
            Event::Asked(command) => {
                let seq = Seq(self.commands);
                self.commands += 1;
                self.ask(seq, command)
            }
            Event::Done { seq, .. } => self.end(*seq, Fared::Happened),
            Event::Unknown { seq, .. } => self.end(*seq, Fared::Owed),
            Event::Refused { seq, .. } | Event::NotDone { seq, .. } => {
                self.end(*seq, Fared::Refused)
            }
            Event::Verifying { seq, .. } => {
                self.verifying.insert(*seq);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ask(&mut self, seq: Seq, command: &Command) -> Result<(), String> {
        match command {
            Command::Run { activity, undo, .. } => {
                if self.cause.is_some() {
                    return Err(format!("`{activity}` was asked for while the saga unwound"));
                }
                let (name, undoable) = (activity.clone(), undo.is_some());
                self.steps.insert(seq, Step { name, undoable, fared: Fared::Open });
                Ok(())
            }
            Command::Undo { of, .. } => self.undo(seq, *of),
            Command::Pivot {} => {
                self.pivoted = true;
                Ok(())
            }
            Command::Unwind { cause } => {
                if self.pivoted {
                    return Err("it unwound past its point of no return".to_owned());
                }
                self.cause = Some(cause.clone());
                Ok(())
            }
            Command::Complete { .. } => self.complete(),
            Command::Close {} => self.close(),
            _ => Ok(()),
        }
    }

    fn undo(&mut self, seq: Seq, of: Seq) -> Result<(), String> {
        let asked = match self.steps.get(&of) {
            Some(asked) if asked.undoable => {
                format!("the undo of `{}` (command {})", asked.name, of.0)
            }
            _ => return Err(format!("an undo of command {}, which has none", of.0)),
        };
        if self.pivoted {
            return Err(format!("{asked} was asked for past the point of no return"));
        }
        let open = |fared| self.steps.values().find(|step| step.fared == fared);
        if let Some(other) = open(Fared::Undoing) {
            return Err(format!("two undos at once: {asked}, while `{}` was undone", other.name));
        }
        if let Some(other) = open(Fared::Open) {
            return Err(format!("{asked} did not wait for `{}`, which was under way", other.name));
        }
        let fared = self.steps.get(&of).map(|step| step.fared);
        let may_repeat = fared == Some(Fared::Owed) && self.is_exhausted(of);
        let next = self.completed.iter().rev().find(|seq| self.is_next(**seq));
        match (fared, next) {
            (Some(Fared::Refused), _) => {
                return Err(format!("{asked}, which was refused: there is nothing to undo"));
            }
            (Some(Fared::Undone), _) => return Err(format!("{asked}, for the second time")),
            (Some(_), Some(next)) if *next != of && !may_repeat => {
                let due = &self.steps[next].name;
                return Err(format!(
                    "undo out of order: {asked} ran before that of `{due}` (command {}), which \
                     was completed later",
                    next.0
                ));
            }
            _ => {}
        }
        self.undos.insert(seq, of);
        self.set(of, Fared::Undoing);
        Ok(())
    }

    /// Whether an undo of it was given up before.
    fn is_exhausted(&self, of: Seq) -> bool {
        self.undos.values().any(|undone| *undone == of)
    }

    fn is_next(&self, seq: Seq) -> bool {
        let step = &self.steps[&seq];
        let waits = matches!(step.fared, Fared::Happened | Fared::Owed);
        step.undoable && waits && !self.is_exhausted(seq)
    }

    fn end(&mut self, seq: Seq, how: Fared) -> Result<(), String> {
        if let Some(of) = self.undos.get(&seq).copied() {
            // Once more owed, or not any more.
            self.set(of, if how == Fared::Happened { Fared::Undone } else { Fared::Owed });
            return Ok(());
        }
        let Some(step) = self.steps.get(&seq) else { return Ok(()) };
        if self.pivoted && how != Fared::Happened {
            return Err(format!(
                "`{}` (command {}) was given up past the point of no return",
                step.name, seq.0
            ));
        }
        if how != Fared::Refused {
            self.completed.push(seq);
        }
        self.set(seq, how);
        Ok(())
    }

    fn set(&mut self, seq: Seq, fared: Fared) {
        if let Some(step) = self.steps.get_mut(&seq) {
            step.fared = fared;
        }
    }

    fn complete(&mut self) -> Result<(), String> {
        self.closed = true;
        match self.cause {
            Some(_) => Err("it unwound, and completed all the same".to_owned()),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.closed = true;
        let owes =
            |fared| matches!(fared, Fared::Open | Fared::Happened | Fared::Owed | Fared::Undoing);
        let mut owed = self.steps.iter().filter(|(_, step)| step.undoable && owes(step.fared));
        match owed.next() {
            Some((seq, step)) => Err(format!(
                "it closed with a debt: `{}` (command {}) may have happened, and was never undone",
                step.name, seq.0
            )),
            None => Ok(()),
        }
    }
}
