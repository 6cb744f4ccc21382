//! Taking up what the last owner left, or what an operator lets go on.

use hansom_core::{Direction, Event, Running, Seq, Status, StuckReason, Timestamp};

use super::answers::unknown;
use super::{Resident, Scene};
use crate::address::Address;

/// A run that has lost its worker this often in one step, or in its body, is not tried again.
const POISON: u32 = 5;

/// Whether the body of a run is to be left alone: so many workers were lost in it since an operator
/// let it try again, or it is already, and nobody has.
pub(in crate::owner) fn is_poison(lost: u32, history: &[(Timestamp, Vec<Event>)]) -> bool {
    // Mostly nothing was ever lost in it.
    if lost < POISON {
        return false;
    }
    let events = || history.iter().flat_map(|(_, events)| events);
    let parked = events().filter(|event| event.parks_body()).count();
    let last = events().rfind(|event| event.parks_body() || is_retry(event));
    lost / POISON > u32::try_from(parked).unwrap_or(u32::MAX) || last.is_some_and(Event::parks_body)
}

fn is_retry(event: &Event) -> bool {
    matches!(event, Event::Retried { .. })
}

/// What a person needs to know of such a run.
pub(in crate::owner) fn poison(lost: u32) -> String {
    format!(
        "its body did not return, and {lost} workers were lost in it: it must not block or loop"
    )
}

impl Resident {
    /// Takes up what the last owner left: attempts that it did not see the end of.
    /// `charge` says that it was lost, so that they count.
    pub(crate) fn resume(&mut self, charge: bool, scene: &mut Scene<'_>) {
        self.find_elsewhere(scene);
        self.catch_up(scene);
        let running = self.machine.ledger().running().iter();
        let open: Vec<_> =
            running.filter(|(_, running)| running.is_under_way()).map(|(seq, _)| *seq).collect();
        // What it asks for only now was not under way.
        self.go_on(scene);
        self.offer_again(scene);
        for seq in open {
            let ledger = self.machine.ledger();
            let moves = !ledger.status().is_closed() && ledger.status() != Status::Stuck;
            match ledger.running().get(&seq) {
                Some(_) if !moves => break,
                Some(running) if scene.performs_elsewhere(running) => {}
                Some(running) if charge || ledger.status() == Status::Compensating => {
                    match self.after_loss(seq, running, charge, scene) {
                        Some(event) => self.tell(event, scene),
                        None => self.dispatch(seq, scene),
                    }
                }
                Some(_) => self.dispatch(seq, scene),
                None => {}
            }
        }
        self.cache(scene);
    }

    /// What an attempt comes to whose end nobody saw; `None`: it is made again
    /// under its own number.
    fn after_loss(
        &self,
        seq: Seq,
        running: &Running,
        charge: bool,
        scene: &Scene<'_>,
    ) -> Option<Event> {
        let ledger = self.machine.ledger();
        let attempt = running.attempt;
        // While unwinding an action is not made again: its undo voids it.
        let voided =
            ledger.status() == Status::Compensating && running.direction != Direction::Undo;
        let reason = || "its worker was lost".to_owned();
        if voided {
            return Some(unknown(seq, running, attempt, reason()));
        }
        if charge && running.lost + 1 >= POISON {
            let detail = format!("{} lost its worker {POISON} times", running.call.activity);
            return Some(Event::Stuck { reason: StuckReason::Poison, detail, seq: Some(seq) });
        }
        // A loss says nothing about the service: only a step that may be tried no more than
        // once is given up for it. It counts all the same when an attempt fails later.
        let policy = scene.registry.options(running, ledger.pivoted()).retry;
        let was_last = charge && policy.maximum_attempts == 1;
        if was_last {
            return Some(self.exhausted(seq, attempt, reason(), scene));
        }
        charge.then_some(Event::AttemptLost { seq, attempt })
    }

    /// A retry that is due counts as made: history does not say that it was, and
    /// its alarm is gone if so.
    fn catch_up(&mut self, scene: &mut Scene<'_>) {
        let ledger = self.machine.ledger_mut();
        let is_due = |running: &Running| running.retry_at.is_some_and(|due| due <= scene.now);
        let running = ledger.running().iter();
        let due: Vec<_> =
            running.filter(|(_, running)| is_due(running)).map(|(seq, _)| *seq).collect();
        for seq in due {
            ledger.ring(seq);
        }
        let Address { part, run, .. } = *self.address;
        for (seq, due) in ledger.take_news().alarms_dropped {
            scene.batch.alarms_dropped.push((part, run, seq, due));
        }
    }

    /// A stuck run unwinds: what was under way when its worker was lost is not
    /// made again, and will not answer.
    pub(super) fn give_up_on_lost(&mut self, scene: &mut Scene<'_>) {
        self.offer_again(scene);
        let running = self.machine.ledger().running().iter();
        let lost = running.filter(|(seq, running)| {
            running.direction != Direction::Undo
                && !self.in_flight.contains(seq)
                && !scene.performs_elsewhere(running)
        });
        let reason = || "its worker was lost".to_owned();
        let lost: Vec<_> =
            lost.map(|(seq, running)| unknown(*seq, running, running.attempt, reason())).collect();
        for event in lost {
            self.tell(event, scene);
        }
    }

    /// A stuck run goes on: what was under way when its worker was lost is made again.
    pub(super) fn take_up_again(&mut self, scene: &mut Scene<'_>) {
        if self.wants_replay() {
            // It will be resumed when its body is back.
            return;
        }
        let running = self.machine.ledger().running().iter();
        let lost = running.filter(|(seq, running)| running.is_under_way() && !self.is_out(**seq));
        let lost: Vec<_> = lost.map(|(seq, _)| *seq).collect();
        for seq in lost {
            self.dispatch(seq, scene);
        }
        self.cache(scene);
    }
}
