//! The database's time, told between two looks at it.
//!
//! No worker clock decides what is due: the wall clock is never read. A look at
//! the database gives its time, the monotonic clock adds what has passed since.
//! The answer is at most the database's own time, because the look is dated at
//! its end, and never goes back.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hansom_core::Timestamp;

/// The database's time.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<Look>);

#[derive(Debug)]
struct Look {
    time: Timestamp,
    at: Instant,
    told: Timestamp,
}

impl Clock {
    /// A clock that starts with a look.
    pub(crate) fn new(time: Timestamp) -> Self {
        Self(Mutex::new(Look { time, at: Instant::now(), told: time }))
    }

    /// Takes a new look: `time` was read from the database, and has just arrived.
    pub(crate) fn set(&self, time: Timestamp) {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *look = Look { time, at: Instant::now(), told: look.told };
    }

    /// The database's time, or a little earlier.
    pub(crate) fn now(&self) -> Timestamp {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look.told = look.told.max(look.time.after(look.at.elapsed()));
        look.told
    }
}
