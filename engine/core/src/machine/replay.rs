//! Bringing a run to where its history ends.

use std::collections::BTreeMap;

use super::{Machine, WorkflowType};
use crate::{Command, Event, Status, StuckReason, Timestamp};

impl Machine {
    /// Brings a run to where its history ends; `seed` as for [`Machine::new`].
    ///
    /// Where the body asks for something else than it once did, the run is
    /// taken no further than its ledger; [`Machine::take`] then says so.
    pub fn replay(
        kind: Option<WorkflowType>,
        seed: u128,
        history: impl IntoIterator<Item = (Timestamp, Vec<Event>)>,
    ) -> Self {
        Self::replay_with(kind, seed, history, |_| {})
    }

    /// As [`Machine::replay`], of a run whose body is left alone, because it has taken worker after
    /// worker down: it is taken no further than its ledger, and is stuck for that reason unless it
    /// is so already.
    pub fn replay_poisoned(
        kind: Option<WorkflowType>,
        seed: u128,
        history: impl IntoIterator<Item = (Timestamp, Vec<Event>)>,
        detail: String,
    ) -> Self {
        let mut machine = Self::new(kind, seed);
        machine.shunned = true;
        machine.recall_all(history.into_iter().collect(), |_| {});
        if machine.ledger.status() == Status::Running {
            machine.fault = Some((StuckReason::Poison, detail));
        }
        machine
    }

    /// As [`Machine::replay`]; `watch` sees the run after every event.
    pub fn replay_with(
        kind: Option<WorkflowType>,
        seed: u128,
        history: impl IntoIterator<Item = (Timestamp, Vec<Event>)>,
        watch: impl FnMut(&Self),
    ) -> Self {
        let mut machine = Self::new(kind, seed);
        machine.recall_all(history.into_iter().collect(), watch);
        machine
    }

    fn recall_all(&mut self, history: Vec<(Timestamp, Vec<Event>)>, mut watch: impl FnMut(&Self)) {
        let mut asked = 0_usize;
        {
            let mut state = self.ctx.0.borrow_mut();
            let all = history.iter().flat_map(|(_, events)| events);
            state.versions.recorded.extend(all.filter_map(|event| match event {
                Event::Asked(command) => {
                    asked += 1;
                    let Command::Patched { id } = command else { return None };
                    Some(id.clone())
                }
                _ => None,
            }));
        }
        for (at, events) in history {
            for event in events {
                // What was told last may not have reached the body yet.
                asked -= usize::from(matches!(event, Event::Asked(_)));
                self.ctx.0.borrow_mut().versions.replaying = asked > 0;
                self.recall(event, at);
                watch(self);
            }
        }
        self.ledger.take_news();
    }

    /// What its body asks for beyond its history so far, in order.
    pub fn asks(&self) -> Vec<Command> {
        self.ctx.0.borrow().issued.iter().cloned().collect()
    }

    /// The changes that its body has asked about ([`crate::Ctx::patched`]), and whether this
    /// run has them.
    pub fn patches(&self) -> BTreeMap<String, bool> {
        self.ctx.0.borrow().versions.told.clone()
    }

    fn recall(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::Asked(command) => {
                self.compare(&command);
                if matches!(command, Command::Unwind { .. }) {
                    self.drop_body();
                    self.fault = None;
                }
                self.ledger.apply(&Event::Asked(command), at);
            }
            event => self.deliver(event, at),
        }
    }

    fn compare(&mut self, recorded: &Command) {
        let from_data = self.ledger.status() == Status::Compensating;
        if from_data || self.shunned || self.fault.is_some() {
            return;
        }
        // A cancelled run unwinds whatever its body was about to ask.
        let issued = self.ctx.0.borrow_mut().issued.pop_front();
        if issued.as_ref().is_some_and(|issued| agree(recorded, issued)) {
            return;
        }
        let detail = format!(
            "at command {}: history has {}, the code asks for {}",
            self.ledger.commands(),
            told(recorded),
            issued.as_ref().map_or_else(|| "nothing".to_owned(), told),
        );
        self.fail(StuckReason::Nondeterminism, detail);
    }
}

/// What is published decides nothing: it may look otherwise than it once did.
fn agree(recorded: &Command, issued: &Command) -> bool {
    match (recorded, issued) {
        (Command::Publish { .. }, Command::Publish { .. }) => true,
        _ => recorded == issued,
    }
}

/// A command for people to compare: its JSON, of which too much is left out.
fn told(command: &Command) -> String {
    const LIMIT: usize = 600;
    let json = serde_json::to_string(command).unwrap_or_else(|_| format!("{command:?}"));
    match json.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{} …", &json[..end]),
        None => json,
    }
}
