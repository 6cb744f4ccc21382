//! The few settings of a worker.

use std::time::Duration;

/// Settings of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A worker that has not been heard of for this long is taken over. Default 5 s.
    pub lease: Duration,
    /// Threads that own partitions and run bodies. Default 1: one thread keeps
    /// one Postgres connection busy, and handlers run elsewhere.
    pub threads: usize,
    /// How long a graceful stop waits for attempts under way. Default 25 s.
    pub drain: Duration,
    /// Transactional attempts under way at a time; more wait. Each has a database connection of
    /// its own while it runs, and none is opened where no handler needs it. Default 8.
    pub transactions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            threads: 1,
            drain: Duration::from_secs(25),
            transactions: 8,
        }
    }
}
