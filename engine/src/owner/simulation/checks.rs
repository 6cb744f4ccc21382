//! What must hold of every history, once all is quiet.

use std::collections::HashSet;

use hansom_core::{
    Command, Direction, Event, Ledger, Machine, Seq, Status, StuckReason, Timestamp, UndoStatus,
};

use super::database::{Database, Row};
use super::elsewhere;
use crate::Registry;

/// Panics where a run breaks a promise.
pub(super) fn check(database: &Database, registry: &Registry, row: &Row) {
    let run = row.address.run;
    let history = database.history(run);
    let mut ledger = Ledger::default();
    let mut undos = Undos::default();
    for (at, events) in history {
        for event in events {
            let closed = ledger.status().is_closed();
            assert!(!closed, "{run} goes on after its end: {event:?}\n{history:#?}");
            undos.see(event, &ledger);
            made(event, &ledger, *at);
            if let Event::Signalled { id, .. } = event {
                assert!(!ledger.has_seen(id), "{run} hears {id} twice");
            }
            ledger.apply(event, *at);
        }
    }
    assert_eq!(row.cached.status, ledger.status(), "{run}: the row is its history\n{history:#?}");
    let undo = match ledger.status() {
        Status::Running => UndoStatus::None,
        _ => ledger.undo_status(),
    };
    assert_eq!(row.cached.undo, undo, "{run}: the row is its history\n{history:#?}");
    let closed_at = history.last().filter(|_| ledger.status().is_closed()).map(|(at, _)| *at);
    assert_eq!(row.cached.closed_at, closed_at, "{run}: the row is its history");
    match ledger.status() {
        Status::Completed => assert!(undos.asked == 0, "{run}: completed, and undone"),
        Status::Stuck => {}
        _ => assert!(undos.owed.is_empty(), "{run}: closed with debts\n{history:#?}"),
    }
    let kind = registry.workflow(&row.workflow_type);
    let replayed = Machine::replay(kind, run.as_u128(), history.iter().cloned());
    assert_eq!(replayed.fault(), None, "{run} replays\n{history:#?}");
    assert_eq!(replayed.ledger().status(), ledger.status(), "{run} replays");
}

/// What fails or is lost was made: it is the attempt that was due.
fn made(event: &Event, before: &Ledger, at: Timestamp) {
    if let Event::AttemptFailed { seq, attempt, .. } | Event::AttemptLost { seq, attempt } = event {
        let running = &before.running()[seq];
        assert_eq!(running.attempt, *attempt, "attempts are counted one by one");
        elsewhere::survives(event, &running.call.activity, at);
        assert!(running.retry_at.is_none_or(|due| due <= at), "it was not due: {event:?}");
    }
}

/// Why a run is stuck, by its history's last word.
pub(super) fn stuck(database: &Database, row: &Row) -> StuckReason {
    let events = database.history(row.address.run).iter().flat_map(|(_, events)| events);
    let mut reasons = events.filter_map(|event| match event {
        Event::Stuck { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.next_back().unwrap()
}

/// What is owed, told from events alone and not from the ledger.
#[derive(Default)]
struct Undos {
    /// Which commands were actions with an undo.
    undoable: HashSet<Seq>,
    /// In order of completion.
    owed: Vec<Seq>,
    /// Given up after all attempts.
    exhausted: HashSet<Seq>,
    /// The one under way, and of what.
    under_way: Option<(Seq, Seq)>,
    commands: u32,
    asked: u32,
}

impl Undos {
    fn see(&mut self, event: &Event, before: &Ledger) {
        match event {
            Event::Asked(command) => self.ask(command, before),
            Event::Done { seq, .. } => self.end(*seq, true),
            Event::Unknown { seq, .. } => self.end(*seq, false),
            _ => {}
        }
    }

    fn ask(&mut self, command: &Command, before: &Ledger) {
        let seq = Seq(self.commands);
        self.commands += 1;
        match command {
            Command::Run { undo, .. } => {
                assert_eq!(before.status(), Status::Running, "no new action while unwinding");
                if undo.is_some() {
                    self.undoable.insert(seq);
                }
            }
            Command::Undo { of, .. } => {
                assert!(!before.pivoted(), "no undo past the point of no return");
                assert_eq!(self.under_way, None, "one undo at a time");
                let acting = before.running().values().any(|r| r.direction == Direction::Do);
                assert!(!acting, "an action in flight is waited for");
                let open = self.owed.iter().rev().find(|seq| !self.exhausted.contains(seq));
                assert_eq!(open, Some(of), "the last completed is undone first");
                self.under_way = Some((seq, *of));
                self.asked += 1;
            }
            Command::Complete { .. } => self.owed.clear(),
            _ => {}
        }
    }

    fn end(&mut self, seq: Seq, done: bool) {
        match self.under_way {
            Some((undo, of)) if undo == seq => {
                self.under_way = None;
                if done {
                    self.owed.retain(|owed| *owed != of);
                } else {
                    self.exhausted.insert(of);
                }
            }
            _ if self.undoable.contains(&seq) => self.owed.push(seq),
            _ => {}
        }
    }
}
