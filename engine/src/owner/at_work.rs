//! Which run a lane is at, so that somebody can say so when it does not come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address::Address;

/// The run that a lane is at, and since when. Clones are of one lane.
#[derive(Clone, Default)]
pub(crate) struct AtWork(Arc<Mutex<At>>);

type At = Option<(Arc<Address>, Instant)>;

impl AtWork {
    pub(crate) fn begins(&self, address: &Arc<Address>) {
        *self.lock() = Some((Arc::clone(address), Instant::now()));
    }

    pub(crate) fn ends(&self) {
        *self.lock() = None;
    }

    /// The run that it has been at for longer than that, and since when.
    pub(crate) fn at(&self, longer: Duration) -> At {
        self.lock().clone().filter(|(_, since)| since.elapsed() > longer)
    }

    fn lock(&self) -> MutexGuard<'_, At> {
        // Nobody panics who holds it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
