//! What the end of an attempt means.

use std::time::Duration;

use super::engine::{Engine, Flight};
use crate::{
    ActivityOptions, Attempt, Direction, Event, OnUnknown, Payload, Seq, Status, StuckReason,
    Verdict, WhenUnavailable,
};

/// An attempt costs so much time by itself.
const TAKES: Duration = Duration::from_millis(10);

/// The attempts of a step that never answers, however many its policy allows:
/// one that is tried again, and the last.
const SILENT_ATTEMPTS: u32 = 2;

impl Engine {
    /// An attempt was answered; false when nobody waited for it any more.
    pub(super) fn answer(
        &mut self,
        flight: &Flight,
        answer: Attempt,
        options: &ActivityOptions,
    ) -> bool {
        if !self.machine.awaits(flight.seq, flight.attempt) {
            return false;
        }
        self.clock.pass(TAKES);
        let (seq, direction) = (flight.seq, flight.direction);
        match answer {
            Attempt::Done(verdict) if direction == Direction::Verify => {
                self.found(flight, &verdict, options);
            }
            Attempt::Done(output) => self.tell(Event::Done { seq, output }),
            Attempt::Refused(error) if direction == Direction::Do && !self.ledger().pivoted() => {
                self.tell(Event::Refused { seq, error });
            }
            Attempt::Refused(error) => {
                let reason = format!("refused, where that cannot be: {}", error.get());
                self.fail(flight, &reason, false, options);
            }
            Attempt::Failed { reason, .. } => self.fail(flight, &reason, false, options),
            Attempt::Unavailable { reason, .. } => self.hold_back(flight, &reason, options),
        }
        true
    }

    /// An attempt could not be sent.
    pub(super) fn hold_back(&mut self, flight: &Flight, reason: &str, options: &ActivityOptions) {
        let (seq, direction, reason) = (flight.seq, flight.direction, reason.to_owned());
        let Some(running) = self.ledger().running().get(&seq) else { return };
        let elapsed = self.clock.now().since(running.since);
        let waits = direction == Direction::Undo
            || (options.when_unavailable == WhenUnavailable::Wait && !self.voids(direction));
        let wait = options.hold(running.held + 1, elapsed, None, 1.0).filter(|_| waits);
        let (attempt, sent) = (running.attempt, running.sent);
        let event = match wait {
            Some(wait) => {
                let retry_at = self.clock.now().after(wait);
                Event::HeldBack { seq, attempt, reason, retry_at, sent }
            }
            None if !sent && direction == Direction::Do => {
                Event::NotDone { seq, attempts: 0, reason }
            }
            None if self.voids(direction) => self.unknown(seq, &reason),
            None => self.exhausted(seq, &reason, options.on_unknown),
        };
        self.tell(event);
    }

    /// What a probe found.
    fn found(&mut self, flight: &Flight, verdict: &Payload, options: &ActivityOptions) {
        let seq = flight.seq;
        match verdict.decode() {
            Ok(Verdict::Done(output)) => self.tell(Event::Done { seq, output }),
            Ok(Verdict::NotDone) => {
                let running = self.ledger().running().get(&seq);
                let (attempts, reason) =
                    running.map(|running| running.given_up()).unwrap_or_default();
                self.tell(Event::NotDone { seq, attempts, reason });
            }
            Err(error) => self.fail(flight, &format!("its verdict: {error}"), false, options),
        }
    }

    /// An attempt failed technically. Of a step that does not answer, `silent`, there
    /// are no more than two.
    pub(super) fn fail(
        &mut self,
        flight: &Flight,
        reason: &str,
        silent: bool,
        options: &ActivityOptions,
    ) {
        self.clock.pass(options.start_to_close);
        let seq = flight.seq;
        let Some(running) = self.ledger().running().get(&seq) else { return };
        let was_last = silent && running.counted() >= SILENT_ATTEMPTS;
        let event = match self.wait_after(flight, options) {
            Some(wait) if !was_last => {
                let (attempt, reason) = (running.attempt, reason.to_owned());
                Event::AttemptFailed {
                    seq,
                    attempt,
                    reason,
                    retry_at: self.clock.now().after(wait),
                }
            }
            _ if self.voids(running.direction) => self.unknown(seq, reason),
            _ => self.exhausted(seq, reason, options.on_unknown),
        };
        self.tell(event);
    }

    /// How long until the next attempt; `None` when this was the last.
    pub(super) fn wait_after(
        &self,
        flight: &Flight,
        options: &ActivityOptions,
    ) -> Option<Duration> {
        let running = self.ledger().running().get(&flight.seq)?;
        if self.voids(flight.direction) {
            return None;
        }
        options.next(running.counted(), self.clock.now().since(running.since), None, 1.0)
    }

    /// Whether what fails now is not tried again: while unwinding, the undo of an
    /// action voids it.
    pub(super) fn voids(&self, direction: Direction) -> bool {
        self.ledger().status() == Status::Compensating && direction != Direction::Undo
    }

    /// Attempts ran out, and nobody knows whether it happened.
    pub(super) fn exhausted(&self, seq: Seq, reason: &str, then: OnUnknown) -> Event {
        let Some(running) = self.ledger().running().get(&seq) else {
            return self.unknown(seq, reason);
        };
        let (attempts, reason_too) = (running.attempt, reason.to_owned());
        match (running.direction, then) {
            (Direction::Undo, _) | (_, OnUnknown::Retry | OnUnknown::Undo) => {
                self.unknown(seq, reason)
            }
            (Direction::Do, _) if running.probe.is_some() => {
                Event::Verifying { seq, attempts, reason: reason_too }
            }
            (_, OnUnknown::Verify) => self.unknown(seq, reason),
            (_, OnUnknown::Park) => Event::Stuck {
                reason: StuckReason::OutcomeUnknown,
                detail: reason_too,
                seq: Some(seq),
            },
        }
    }

    /// Of a probe that could not tell, what the action had come to counts.
    pub(super) fn unknown(&self, seq: Seq, reason: &str) -> Event {
        let running = self.ledger().running().get(&seq);
        let (attempts, reason) = match running.and_then(|running| running.probed.as_ref()) {
            Some(action) => (action.attempts, action.reason.clone()),
            None => (running.map_or(0, |running| running.attempt), reason.to_owned()),
        };
        Event::Unknown { seq, attempts, reason }
    }
}
