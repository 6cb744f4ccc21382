//! What else was noticed in a story that broke: the likely reason, in words.

use super::engine::History;
use super::judge::Account;
use super::outside::{Made, step};
use crate::{Command, Direction, Event, Seq};

/// What is worth a look, the earliest first.
pub(super) fn remarks(account: &Account) -> Vec<String> {
    let steps: Vec<_> = account.runs.iter().map(|run| Steps::of(&run.history)).collect();
    let mut found = Vec::new();
    for (n, call) in account.made.iter().enumerate() {
        let earlier = &account.made[..n];
        let steps = &steps[call.flight.run];
        let first = !earlier.iter().any(|other| call.repeats(other));
        if first && call.flight.direction == Direction::Do {
            found.extend(steps.without_undo(call));
            found.extend(steps.took_itself_for_another(call, earlier));
        }
        if first && call.flight.direction == Direction::Undo {
            found.extend(undid_nothing(call, earlier));
        }
        if call.cut.is_some() {
            found.push(format!(
                "{} was cut off between two effects: an undo must reverse all of them, and a \
                 repetition must make up for those that are missing",
                step(&call.flight)
            ));
        }
    }
    found.extend(steps.iter().flat_map(Steps::left_behind));
    found
}

/// What history says of the steps.
#[derive(Default)]
struct Steps {
    commands: Vec<Command>,
    unknown: Vec<Seq>,
    ended: Vec<Seq>,
    completed: bool,
    pivot: Option<u32>,
}

impl Steps {
    fn of(history: &History) -> Self {
        let mut steps = Self::default();
        for event in history.iter().flat_map(|(_, events)| events) {
            match event {
                Event::Asked(command) => {
                    match command {
                        Command::Pivot {} => steps.pivot = u32::try_from(steps.commands.len()).ok(),
                        Command::Complete { .. } => steps.completed = true,
                        _ => {}
                    }
                    steps.commands.push(command.clone());
                }
                Event::Unknown { seq, .. } => {
                    steps.unknown.push(*seq);
                    steps.ended.push(*seq);
                }
                Event::Done { seq, .. } | Event::Refused { seq, .. } => steps.ended.push(*seq),
                _ => {}
            }
        }
        steps
    }

    fn undo(&self, seq: Seq) -> Option<&str> {
        match self.commands.get(usize::try_from(seq.0).ok()?)? {
            Command::Run { undo: Some(undo), .. } => Some(&undo.activity),
            _ => None,
        }
    }

    fn without_undo(&self, call: &Made) -> Option<String> {
        let past = self.pivot.is_some_and(|pivot| call.flight.of.0 > pivot);
        let bare = call.changed && !self.completed && !past && self.undo(call.flight.of).is_none();
        bare.then(|| {
            format!(
                "{} changed the world and has no undo of its own: what is undone by hand, or by \
                 the undo of a later step, is not undone when its answer is lost",
                step(&call.flight)
            )
        })
    }

    fn took_itself_for_another(&self, call: &Made, earlier: &[Made]) -> Option<String> {
        let other = earlier.iter().find(|other| {
            let alike = other.flight.call.activity == call.flight.call.activity;
            alike && other.flight.direction == Direction::Do && other.changed
        })?;
        let silent = call.is_done() && !call.changed && self.undo(call.flight.of).is_some();
        silent.then(|| {
            format!(
                "{} changed nothing, as if it were {} again: is its idempotency key without the \
                 step?",
                step(&call.flight),
                step(&other.flight)
            )
        })
    }

    fn left_behind(&self) -> Vec<String> {
        if !self.completed {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (seq, command) in (0..).map(Seq).zip(&self.commands) {
            let Command::Run { activity, undo: Some(undo), .. } = command else { continue };
            let what = if self.unknown.contains(&seq) {
                "it completed although nobody knows what became of"
            } else if !self.ended.contains(&seq) {
                "it completed, and left under way"
            } else {
                continue;
            };
            let undo = &undo.activity;
            found.push(format!(
                "{what} `{activity}` (command {}): an error that is swallowed, so `{undo}` never ran",
                seq.0
            ));
        }
        found
    }
}

fn undid_nothing(call: &Made, earlier: &[Made]) -> Option<String> {
    let action = earlier.iter().find(|other| {
        let (this, that) = (&call.flight, &other.flight);
        that.direction == Direction::Do && that.concerns(this) && other.changed
    })?;
    let alike = |other: &&Made| {
        let (this, that) = (&call.flight, &other.flight);
        that.direction == Direction::Undo && that.call == this.call
    };
    let undone_before = earlier.iter().any(|other| alike(&other) && other.changed);
    (call.is_done() && !call.changed && !undone_before).then(|| {
        format!(
            "{} changed nothing, although {} had: does it find what it undoes, and has its \
             idempotency key the direction?",
            step(&call.flight),
            step(&action.flight)
        )
    })
}
