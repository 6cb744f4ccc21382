//! The way back: what is undone next, and what would be.

use super::Ledger;
use crate::{
    Because, Command, Direction, Event, ParentClose, PlannedUndo, Status, StuckReason, UndoStatus,
};

impl Ledger {
    /// The next step of unwinding. An action between two attempts is not tried
    /// again, an attempt in flight is waited for, and so are children, once they were asked to
    /// cancel; then strictly the last completed first, one at a time; then close, or get
    /// stuck on what stays owed.
    pub(crate) fn unwind(&self) -> Option<Event> {
        if self.status != Status::Compensating {
            return None;
        }
        let mut forward =
            self.running.iter().filter(|(_, running)| running.direction != Direction::Undo);
        if let Some((seq, running)) = forward.find(|(_, running)| !running.is_under_way()) {
            let (attempts, reason) = running.given_up();
            return Some(if running.sent {
                Event::Unknown { seq: *seq, attempts, reason }
            } else {
                // Held back since it was asked for: there is nothing to undo.
                Event::NotDone { seq: *seq, attempts: 0, reason }
            });
        }
        let mut children = self
            .children
            .iter()
            .filter(|(_, child)| child.start.on_parent_close != ParentClose::Abandon);
        if let Some((seq, _)) = children.clone().find(|(_, child)| !child.cancelling) {
            return Some(Event::Asked(Command::CancelChild { child: *seq }));
        }
        if !self.running.is_empty() || children.next().is_some() {
            return None;
        }
        if let Some(debt) = self.debts.iter().rev().find(|debt| !debt.exhausted) {
            let (of, inherited) = (debt.id.of, debt.id.inherited);
            return Some(Event::Asked(Command::Undo { of, inherited }));
        }
        if self.debts.is_empty() {
            return Some(Event::Asked(Command::Close {}));
        }
        let owed: Vec<_> = self.debts.iter().map(|debt| debt.undo.activity.as_str()).collect();
        let detail = format!("still owed, after all attempts: {}", owed.join(", "));
        Some(Event::Stuck { reason: StuckReason::UndoExhausted, detail, seq: None })
    }

    /// What would be undone if it unwound now, in order; of a terminated run, what stays
    /// owed.
    pub fn undo_plan(&self) -> Vec<PlannedUndo> {
        if !self.may_owe() {
            return Vec::new();
        }
        let in_flight = self.running.iter().rev().filter_map(|(seq, running)| {
            let undo = running.undo.as_ref()?;
            Some(PlannedUndo {
                of: *seq,
                inherited: None,
                origin: None,
                activity: undo.activity.clone(),
                request: undo.request.clone(),
                because: Because::InFlight,
                exhausted: false,
            })
        });
        in_flight.chain(self.debts.iter().rev().map(crate::debt::Debt::planned)).collect()
    }

    fn may_owe(&self) -> bool {
        let open = !self.status.is_closed();
        // Past the pivot there is no way back: also for one that was terminated there.
        (open || self.status == Status::Terminated) && !self.progress.pivoted
    }

    /// Where its undos are.
    pub fn undo_status(&self) -> UndoStatus {
        let exhausted = self.debts.iter().any(|debt| debt.exhausted);
        let in_flight = || self.running.values().any(|running| running.undo.is_some());
        let owes = self.may_owe() && (!self.debts.is_empty() || in_flight());
        let given_up = exhausted || self.status == Status::Terminated;
        match (owes, self.progress.undone) {
            (true, undone) if given_up && undone > 0 => UndoStatus::Partial,
            (true, _) => UndoStatus::Owed,
            (false, 0) => UndoStatus::None,
            (false, _) => UndoStatus::Done,
        }
    }
}
