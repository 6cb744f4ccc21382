//! A circuit breaker per downstream service: a service in trouble is left alone until it has
//! recovered, and whoever asks for it hears so at once.
//!
//! It is a layer around the handlers of the service ([`Breakers::guard`]): actions, undos and
//! probes go through the same one. A refused attempt is [`Attempt::Unavailable`], which the engine
//! holds back without counting it, or ends the step with.
//!
//! *Closed*, calls go through, and the last [`BreakerSettings::window`] of them is counted: a
//! technical failure, an attempt that is cut off by its time limit, one that nobody took, because
//! the service is stopped, and a success that took longer than [`BreakerSettings::slow`] have
//! failed; a business refusal in time has not. With enough of them and enough failed it *opens*,
//! and refuses for [`BreakerSettings::open`]. The first call after that is let through alone
//! (*half open*): if it succeeds the breaker closes, else it opens again.
//!
//! What can interleave:
//!
//! * *An answer comes after a transition*, of a call that began before it. Each pass knows in
//!   which phase it was given, and says nothing in another: neither opens what a recovered
//!   service has just closed, nor closes what a probe has not.
//! * *Two calls find the pause over at once.* One lock decides: the first becomes the probe, the
//!   others are refused.
//! * *A probe never comes back.* Its attempt is limited by the engine, which drops it, and the
//!   drop counts as a failure and gives its place free. So does a panic.
//!
//! Crates were looked at. `recloser` counts calls and no time; `failsafe` knows neither slow calls
//! nor a single probe, and cannot be read; `tower-resilience-circuitbreaker` has all of that, but
//! a call that is dropped is no failure to it, and to be dropped at its time limit is how a call
//! to a dead service ends here. Hence these lines; their clock is tokio's, which tests can hold.

mod registry;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hansom_core::{Ask, Attempt};
use tokio::time::Instant;

pub use self::registry::Breakers;
use self::window::Window;

const STATE: &str = "hansom_breaker_state";
const REJECTED: &str = "hansom_breaker_rejected_total";
const TRANSITIONS: &str = "hansom_breaker_transitions_total";

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// A call that takes longer has failed. Default 610 ms.
    pub slow: Duration,
    /// So far back calls are counted. Default 10 s.
    pub window: Duration,
    /// With fewer calls than this in the window it stays closed. Default 20.
    pub calls: u32,
    /// It opens where so many of a hundred calls have failed. Default 30.
    pub failed_percent: u32,
    /// For so long it refuses before it lets one through. Default 5 s.
    pub open: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            slow: Duration::from_millis(610),
            window: Duration::from_secs(10),
            calls: 20,
            failed_percent: 30,
            open: Duration::from_secs(5),
        }
    }
}

/// What a breaker does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It goes through.
    Closed,
    /// It is refused; or, once this time is over, let through as the probe.
    Open {
        /// From now; zero when the next call is the probe.
        again_in: Duration,
    },
    /// It is refused: a probe is under way.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open` or `half_open`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Calls that a breaker has counted in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub calls: u32,
    /// Those that failed, or took too long.
    pub failed: u32,
}

/// The breaker of one service.
pub struct Breaker {
    service: String,
    settings: BreakerSettings,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    /// Which phase it is, from 0: what began in another says nothing in this one.
    number: u64,
    window: Window,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// A call that was let through. Dropped without an answer it has failed.
struct Pass<'a> {
    breaker: &'a Breaker,
    phase: u64,
    begun: Instant,
    failed: bool,
}

impl Breaker {
    /// A breaker that is closed.
    pub fn new(service: impl Into<String>, settings: BreakerSettings) -> Self {
        let (service, now) = (service.into(), Instant::now());
        let window = Window::new(settings.window, now);
        let inner = Inner { phase: Phase::Closed, number: 0, window };
        Self { service, settings, inner: Mutex::new(inner) }
    }

    /// The service that is behind it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// When it opens, and for how long.
    pub fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// What it does with the next call.
    pub fn state(&self) -> BreakerState {
        match self.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } => {
                BreakerState::Open { again_in: until.saturating_duration_since(Instant::now()) }
            }
            Phase::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// What it has counted of late. Nothing while it is not closed.
    pub fn counts(&self) -> Counts {
        self.lock().window.counts(Instant::now())
    }

    /// Refuses, before anything is written down, what [`Breaker::call`] would refuse later.
    ///
    /// # Errors
    ///
    /// When to come again. What is not refused here may still be refused there.
    pub fn ahead(&self) -> Result<(), Duration> {
        let refused = self.refuses(self.lock().phase, Instant::now());
        refused.map_or(Ok(()), |again_in| Err(self.rejected(again_in)))
    }

    /// Lets an attempt through, or refuses it.
    pub async fn call(self: Arc<Self>, ask: Ask) -> Attempt {
        let pass = match self.enter() {
            Ok(pass) => pass,
            Err(again_in) => {
                let again_in = self.rejected(again_in);
                let reason = format!("breaker of {} is open", self.service);
                return Attempt::Unavailable { reason, after: Some(again_in) };
            }
        };
        let attempt = ask.perform().await;
        pass.over(&attempt);
        attempt
    }

    /// Lets a call through, or says when to come again.
    fn enter(&self) -> Result<Pass<'_>, Duration> {
        let (now, mut inner) = (Instant::now(), self.lock());
        if let Some(again_in) = self.refuses(inner.phase, now) {
            return Err(again_in);
        }
        if let Phase::Open { .. } = inner.phase {
            self.turn(&mut inner, Phase::HalfOpen, now);
        }
        Ok(Pass { breaker: self, phase: inner.number, begun: now, failed: true })
    }

    /// For how long it refuses what comes in this phase.
    fn refuses(&self, phase: Phase, now: Instant) -> Option<Duration> {
        match phase {
            Phase::Open { until } if now < until => Some(until - now),
            Phase::Closed | Phase::Open { .. } => None,
            // Whether it closes is known no sooner than this, as a rule.
            Phase::HalfOpen => Some(self.settings.slow),
        }
    }

    fn rejected(&self, again_in: Duration) -> Duration {
        metrics::counter!(REJECTED, "service" => self.service.clone()).increment(1);
        again_in
    }

    fn hear(&self, phase: u64, failed: bool) {
        let (now, mut inner) = (Instant::now(), self.lock());
        if inner.number != phase {
            return;
        }
        let open = Phase::Open { until: now + self.settings.open };
        match inner.phase {
            Phase::Open { .. } => {}
            Phase::Closed => {
                inner.window.count(failed, now);
                if failed && self.is_too_much(inner.window.counts(now)) {
                    self.turn(&mut inner, open, now);
                }
            }
            Phase::HalfOpen => {
                self.turn(&mut inner, if failed { open } else { Phase::Closed }, now);
            }
        }
    }

    fn is_too_much(&self, Counts { calls, failed }: Counts) -> bool {
        let percent = u64::from(self.settings.failed_percent);
        calls >= self.settings.calls && u64::from(failed) * 100 >= u64::from(calls) * percent
    }

    fn turn(&self, inner: &mut Inner, phase: Phase, now: Instant) {
        let Counts { calls, failed } = inner.window.counts(now);
        let service = &*self.service;
        let to = match phase {
            Phase::Closed => {
                tracing::info!(service, "breaker_closed");
                "closed"
            }
            Phase::HalfOpen => {
                tracing::info!(service, "breaker_half_open");
                "half_open"
            }
            Phase::Open { until } => {
                let open_ms = u64::try_from((until - now).as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(service, calls, failed, open_ms, "breaker_opened");
                "open"
            }
        };
        inner.phase = phase;
        inner.number += 1;
        inner.window = Window::new(self.settings.window, now);
        let service = self.service.clone();
        metrics::counter!(TRANSITIONS, "service" => service, "to" => to).increment(1);
    }

    /// Shows its state to the recorder: before it is asked what it has measured.
    pub fn measure(&self) {
        let state = match self.state() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open { .. } => 2.0,
        };
        metrics::gauge!(STATE, "service" => self.service.clone()).set(state);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    fn over(mut self, attempt: &Attempt) {
        let slow = self.begun.elapsed() > self.breaker.settings.slow;
        self.failed = slow || !matches!(attempt, Attempt::Done(_) | Attempt::Refused(_));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.breaker.hear(self.phase, self.failed);
    }
}

/// Tells the recorder what is what: once, when it is there.
pub fn describe_metrics() {
    metrics::describe_gauge!(STATE, "Breaker of a service: 0 closed, 1 half open, 2 open");
    metrics::describe_counter!(
        REJECTED,
        "Requests and attempts that the breaker of a service refused"
    );
    metrics::describe_counter!(TRANSITIONS, "Breakers that opened, half opened or closed");
}
