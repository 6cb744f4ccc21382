//! What the end of an attempt means, and what an alarm.

use std::sync::Arc;

use hansom_core::{
    Attempt, Direction, Event, OnUnknown, Payload, Rang, Running, Seq, Status, StuckReason,
    Timestamp, Verdict, WhenUnavailable,
};

use super::super::batch::HeldStep;
use super::{Resident, Scene};

impl Resident {
    /// An attempt was answered.
    pub(crate) fn answer(
        &mut self,
        seq: Seq,
        attempt: u32,
        answer: Attempt,
        scene: &mut Scene<'_>,
    ) {
        // A late one, of an attempt that another has followed.
        if !self.machine.awaits(seq, attempt) {
            return;
        }
        self.in_flight.remove(&seq);
        self.elsewhere.remove(&seq);
        if matches!(answer, Attempt::Unavailable { .. }) && self.stays_held(seq) {
            return;
        }
        let running = &self.machine.ledger().running()[&seq];
        let not_before = match answer {
            Attempt::Unavailable { after, .. } => after,
            _ => None,
        };
        let event = match (answer, running.direction) {
            (Attempt::Done(verdict), Direction::Verify) => self.verified(seq, &verdict, scene),
            (Attempt::Done(output), _) => Event::Done { seq, output },
            (Attempt::Refused(error), Direction::Do) if !self.machine.ledger().pivoted() => {
                Event::Refused { seq, error }
            }
            (Attempt::Refused(error), _) => {
                let reason = format!("refused, where that cannot be: {}", error.get());
                self.after_failure(seq, &reason, None, scene)
            }
            (Attempt::Failed { reason, retry_after }, _) => {
                self.after_failure(seq, &reason, retry_after, scene)
            }
            (Attempt::Unavailable { reason, after }, _) => {
                self.held_back(seq, &reason, after, scene)
            }
        };
        if let Event::HeldBack { retry_at, .. } = event {
            let (activity, address) = (running.call.activity.clone(), Arc::clone(&self.address));
            let alarm = (retry_at, address.run, seq);
            let held = HeldStep { activity, alarm, address, after: not_before };
            scene.batch.after.held.push(held);
        }
        self.tell(event, scene);
    }

    /// What a probe found.
    fn verified(&self, seq: Seq, verdict: &Payload, scene: &Scene<'_>) -> Event {
        match verdict.decode::<Verdict<Payload>>() {
            Ok(Verdict::Done(output)) => Event::Done { seq, output },
            Ok(Verdict::NotDone) => {
                let (attempts, reason) = self.machine.ledger().running()[&seq].given_up();
                Event::NotDone { seq, attempts, reason }
            }
            Err(error) => self.after_failure(seq, &format!("its verdict: {error}"), None, scene),
        }
    }

    fn after_failure(
        &self,
        seq: Seq,
        reason: &str,
        retry_after: Option<std::time::Duration>,
        scene: &Scene<'_>,
    ) -> Event {
        let ledger = self.machine.ledger();
        let running = &ledger.running()[&seq];
        let reason = storable(reason);
        // While unwinding an action is not tried again: its undo voids it.
        let given_up = ledger.cause().is_some() && running.direction != Direction::Undo;
        let options = scene.registry.options(running, ledger.pivoted());
        let elapsed = scene.now.since(running.since);
        match options.next(running.counted(), elapsed, retry_after, scene.jitter) {
            Some(wait) if !given_up => {
                let retry_at = self.at(scene).max(scene.now).after(wait);
                Event::AttemptFailed { seq, attempt: running.attempt, reason, retry_at }
            }
            _ if given_up => unknown(seq, running, running.attempt, reason),
            _ => self.exhausted(seq, running.attempt, reason, scene),
        }
    }

    /// An attempt could not be sent. It is none, and the next has its number; that it was not
    /// sent is known only where no other owner may have tried it before.
    fn held_back(
        &self,
        seq: Seq,
        reason: &str,
        after: Option<std::time::Duration>,
        scene: &Scene<'_>,
    ) -> Event {
        let ledger = self.machine.ledger();
        let running = &ledger.running()[&seq];
        let reason = storable(reason);
        let undoes = running.direction == Direction::Undo;
        let given_up = ledger.cause().is_some() && !undoes;
        let waits = undoes
            || ledger.pivoted()
            || scene.registry.when_unavailable(running) == WhenUnavailable::Wait;
        let options = scene.registry.options(running, ledger.pivoted());
        let elapsed = scene.now.since(running.since);
        match options.hold(running.held.saturating_add(1), elapsed, after, scene.jitter) {
            Some(wait) if waits && !given_up => {
                let retry_at = self.at(scene).max(scene.now).after(wait);
                let (attempt, sent) = (running.attempt, running.sent);
                Event::HeldBack { seq, attempt, reason, retry_at, sent }
            }
            _ if !running.sent && running.direction == Direction::Do => {
                Event::NotDone { seq, attempts: 0, reason }
            }
            _ if given_up => unknown(seq, running, running.made_before(), reason),
            _ => self.exhausted(seq, running.made_before(), reason, scene),
        }
    }

    /// What was tried ahead of its alarm was not sent: it is held as it was. Not when its run
    /// unwinds by now: then nobody tries an action again.
    fn stays_held(&mut self, seq: Seq) -> bool {
        let ledger = self.machine.ledger_mut();
        let given_up =
            ledger.cause().is_some() && ledger.running()[&seq].direction != Direction::Undo;
        !given_up && ledger.hold_on(seq)
    }

    /// Whether this attempt is awaited, and is made ahead of the alarm that its step has.
    pub(crate) fn is_early(&self, seq: Seq, attempt: u32) -> bool {
        let ledger = self.machine.ledger();
        let held = || ledger.running()[&seq].held > 0 && ledger.alarms().contains_key(&seq);
        self.machine.awaits(seq, attempt) && held()
    }

    /// A step that is held back until `due` is tried before.
    pub(crate) fn try_early(&mut self, seq: Seq, due: Timestamp, scene: &mut Scene<'_>) {
        let ledger = self.machine.ledger_mut();
        let holds = ledger.alarms().get(&seq) == Some(&due);
        if holds && scene.dispatch && ledger.status() != Status::Stuck && ledger.try_early(seq) {
            self.settle(scene);
        }
    }

    /// Attempts have run out: what follows is for the step to say.
    pub(super) fn exhausted(
        &self,
        seq: Seq,
        attempts: u32,
        reason: String,
        scene: &Scene<'_>,
    ) -> Event {
        let ledger = self.machine.ledger();
        let running = &ledger.running()[&seq];
        let then = match running.direction {
            Direction::Undo => OnUnknown::Undo,
            Direction::Do | Direction::Verify => scene.registry.on_unknown(running),
        };
        match then {
            OnUnknown::Verify | OnUnknown::Park if running.probe.is_some() => {
                Event::Verifying { seq, attempts, reason }
            }
            OnUnknown::Park => {
                let probed = running.probed.as_ref().map(|action| &action.activity);
                let name = probed.unwrap_or(&running.call.activity);
                let detail = format!("nobody knows whether {name} happened: {reason}");
                Event::Stuck { reason: StuckReason::OutcomeUnknown, detail, seq: Some(seq) }
            }
            OnUnknown::Retry | OnUnknown::Verify | OnUnknown::Undo => {
                unknown(seq, running, attempts, reason)
            }
        }
    }

    /// An alarm rang; false when it meant nothing any more.
    pub(crate) fn ring(&mut self, seq: Seq, due: Timestamp, scene: &mut Scene<'_>) -> bool {
        // One of a retry that another has followed would be too early for that.
        if self.machine.ledger().alarms().get(&seq) != Some(&due) {
            return false;
        }
        self.not_before(due);
        match self.machine.ledger_mut().ring(seq) {
            Rang::Nothing => return false,
            Rang::Timer => self.tell(Event::Fired { seq }, scene),
            Rang::Deadline => self.tell(Event::DeadlinePassed {}, scene),
            Rang::Retry => self.settle(scene),
        }
        true
    }
}

/// Nobody knows; of a probe that could not tell, what the action had come to counts.
pub(super) fn unknown(seq: Seq, running: &Running, attempts: u32, reason: String) -> Event {
    match &running.probed {
        Some(action) => {
            Event::Unknown { seq, attempts: action.attempts, reason: action.reason.clone() }
        }
        None => Event::Unknown { seq, attempts, reason },
    }
}

/// Storing a failure must never fail: no NUL, and no end of text.
fn storable(reason: &str) -> String {
    const LIMIT: usize = 2_000;
    reason.replace('\0', "\u{fffd}").chars().take(LIMIT).collect()
}
