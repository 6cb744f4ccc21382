//! Calls of the last while, counted in slices of it.

use std::time::Duration;

use tokio::time::Instant;

use super::Counts;

/// So many slices make a window: what is older leaves it a tenth at a time.
const SLICES: usize = 10;

/// A rolling window: no call is kept, only how many there were.
pub(super) struct Window {
    slices: [Counts; SLICES],
    slice: Duration,
    /// When the newest slice began, and which it is.
    since: Instant,
    newest: usize,
}

impl Window {
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        let slice =
            (length / u32::try_from(SLICES).expect("there are ten")).max(Duration::from_millis(1));
        Self { slices: [Counts::default(); SLICES], slice, since: now, newest: 0 }
    }

    pub(super) fn count(&mut self, failed: bool, now: Instant) {
        self.roll(now);
        let slice = &mut self.slices[self.newest];
        slice.calls = slice.calls.saturating_add(1);
        slice.failed = slice.failed.saturating_add(u32::from(failed));
    }

    pub(super) fn counts(&mut self, now: Instant) -> Counts {
        self.roll(now);
        self.slices.iter().fold(Counts::default(), |all, slice| Counts {
            calls: all.calls.saturating_add(slice.calls),
            failed: all.failed.saturating_add(slice.failed),
        })
    }

    fn roll(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_nanos() / self.slice.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        for _ in 0..(passed as usize).min(SLICES) {
            self.newest = (self.newest + 1) % SLICES;
            self.slices[self.newest] = Counts::default();
        }
        // So long ago that nothing of it counts any more, or where the newest slice begins.
        self.since = self.slice.checked_mul(passed).map_or(now, |passed| self.since + passed);
    }
}
