//! What must hold of every story, told from its histories and its calls alone:
//! the judge keeps books of its own ([`super::books`]).

use std::rc::Rc;

use super::books::Books;
use super::engine::History;
use super::outside::{Made, step};
use crate::{ChildOutcome, Command, Event, Ledger, Origin, Owed, Seq};

/// A story as its runs were written down and as the services saw it.
pub(super) struct Account {
    pub(super) runs: Vec<Run>,
    pub(super) made: Vec<Made>,
}

impl Account {
    /// All events of all runs.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.runs.iter().flat_map(|run| &run.history).flat_map(|(_, events)| events)
    }
}

/// One run, as it was written down.
pub(super) struct Run {
    pub(super) who: Rc<Origin>,
    pub(super) history: History,
}

/// Says what is wrong with a story, if anything is.
pub(super) fn judge(account: &Account) -> Result<(), String> {
    keys(&account.made)?;
    let mut left = Vec::new();
    for (number, Run { history, .. }) in account.runs.iter().enumerate() {
        let made: Vec<_> = account.made.iter().filter(|made| made.flight.run == number).collect();
        left.push(keep_books(history, &made)?.left);
    }
    for (run, left) in account.runs.iter().zip(&left) {
        let Some(taken_over) = taken_over(account, run) else { continue };
        let taken_over: Vec<_> = taken_over.iter().map(|owed| owed.of).collect();
        if taken_over != *left {
            let name = &run.who.workflow_id;
            return Err(format!(
                "`{name}` left the undos of commands {left:?}, and {taken_over:?} were taken over"
            ));
        }
    }
    Ok(())
}

/// The undos that others took over from a run that completed or went on.
fn taken_over<'a>(account: &'a Account, run: &Run) -> Option<&'a [Owed]> {
    let parent = run.history.iter().flat_map(|(_, events)| events).find_map(|event| match event {
        Event::Started { parent, .. } => Some(parent.as_ref()?),
        _ => None,
    });
    let others = account.runs.iter().flat_map(|other| {
        other.history.iter().flat_map(|(_, events)| events).map(move |event| (other, event))
    });
    let mut heard = others.filter_map(|(other, event)| match event {
        Event::Started { continued: Some(continued), .. } if continued.run == run.who.run => {
            Some(&continued.owed[..])
        }
        Event::ChildClosed { seq, outcome: ChildOutcome::Completed { owed, .. } } => {
            let parent = parent.filter(|parent| parent.run == other.who.run)?;
            (parent.seq == *seq).then_some(&owed[..])
        }
        _ => None,
    });
    heard.next()
}

fn keep_books(history: &History, made: &[&Made]) -> Result<Books, String> {
    let (mut books, mut ledger) = (Books::default(), Ledger::default());
    let all = made;
    let mut made = made.iter().peekable();
    for (row, (at, events)) in history.iter().enumerate() {
        while let Some(call) = made.next_if(|call| call.rows <= row) {
            books.call(call)?;
        }
        let cancels = |event: &Event| {
            matches!(event, Event::CancelRequested { .. } | Event::DeadlinePassed {})
        };
        let must_unwind = books.may_unwind() && events.iter().any(cancels);
        for event in events {
            books.see(event)?;
            ledger.apply(event, *at);
        }
        if must_unwind && books.may_unwind() {
            return Err("a cancellation was ignored".to_owned());
        }
        let planned: Vec<_> =
            ledger.undo_plan().into_iter().map(|undo| (undo.of, undo.inherited)).collect();
        if planned != books.plan() {
            let owed = books.plan();
            return Err(format!("the undo plan is {planned:?}, where {owed:?} are owed"));
        }
    }
    made.try_for_each(|call| books.call(call))?;
    unsent(history, all)?;
    Ok(books)
}

/// What ended without an attempt was never sent.
fn unsent(history: &History, made: &[&Made]) -> Result<(), String> {
    let mut unsent =
        history.iter().flat_map(|(_, events)| events).filter_map(|event| match event {
            Event::NotDone { seq, attempts: 0, .. } => Some(*seq),
            _ => None,
        });
    let sent = unsent.find_map(|seq| made.iter().find(|made| made.flight.seq == seq));
    sent.map_or(Ok(()), |made| {
        Err(format!(
            "{} reached its service, and is said never to have been sent",
            step(&made.flight)
        ))
    })
}

/// All commands of a run, in order.
pub(super) fn commands(history: &History) -> impl Iterator<Item = &Command> {
    history.iter().flat_map(|(_, events)| events).filter_map(|event| match event {
        Event::Asked(command) => Some(command),
        _ => None,
    })
}

/// The step that the command at `seq` undoes, if it is an undo.
pub(super) fn undoes(history: &History, seq: Seq) -> Option<(Seq, Option<u32>)> {
    match commands(history).nth(usize::try_from(seq.0).ok()?)? {
        Command::Undo { of, inherited } => Some((*of, *inherited)),
        _ => None,
    }
}

/// The same key on every attempt of one effect, and on no other.
fn keys(made: &[Made]) -> Result<(), String> {
    for (n, call) in made.iter().enumerate() {
        for other in &made[..n] {
            // A probe asks with the key of the action.
            let repeats = call.flight.repeats(&other.flight);
            let same = repeats || call.probes(other) || other.probes(call);
            if same == (call.key == other.key) {
                continue;
            }
            let (this, that) = (step(&call.flight), step(&other.flight));
            let (one, two) = (&other.key, &call.key);
            return Err(if same {
                format!("two attempts of {this} had two keys: {one} and {two}")
            } else {
                format!("{that} and {this} had the same key: {two}")
            });
        }
    }
    Ok(())
}
