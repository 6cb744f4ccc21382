//! A thread that has nothing to do but to wake up in time. While it is late, the machine itself
//! stands still, and how long something takes says nothing of what is measured.
#![allow(dead_code, reason = "no test needs all of it")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(5);

/// Less is what a busy machine is always late by.
pub(crate) const LATE: Duration = Duration::from_millis(50);

/// From when it was to wake up until it did.
type Pause = (Instant, Instant);

/// Notes pauses until it is dropped.
pub(crate) struct Canary(Arc<Mutex<Vec<Pause>>>);

impl Canary {
    pub(crate) fn start() -> Self {
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::downgrade(&pauses);
        std::thread::spawn(move || {
            while let Some(pauses) = heard.upgrade() {
                let due = Instant::now() + EVERY;
                std::thread::sleep(EVERY);
                if due.elapsed() >= LATE {
                    pauses.lock().expect("nobody panics with it").push((due, Instant::now()));
                }
            }
        });
        Self(pauses)
    }

    /// Whether the machine stood still at any time between these.
    pub(crate) fn was_late(&self, from: Instant, to: Instant) -> bool {
        self.late(from, to) > Duration::ZERO
    }

    /// How long the machine stood still between these.
    pub(crate) fn late(&self, from: Instant, to: Instant) -> Duration {
        let pauses = self.0.lock().expect("nobody panics with it");
        let within =
            |(due, woke): &Pause| (*woke).min(to).saturating_duration_since((*due).max(from));
        pauses.iter().map(within).sum()
    }
}
