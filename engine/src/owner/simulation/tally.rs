//! What happened in all seeds together: a fault that never fires proves nothing.

use std::collections::BTreeMap;

/// How often.
#[derive(Debug)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

/// All that has to happen.
const ALL: &[&str] = &[
    // to workers
    "fenced",
    "fenced, and an answer lost before",
    "a commit is repeated",
    "a start comes too late",
    "a start is made again",
    "recovered",
    "reloaded",
    "an answer comes twice",
    "a worker crashes",
    "partitions are released",
    // to runs
    "completed",
    "failed",
    "cancelled",
    "terminated",
    "continued",
    "and again",
    "a body panics",
    "a change is recorded",
    "a deadline passes",
    "a deadline of the run before passes",
    "a probe is asked",
    "a probe says not done",
    "never attempted",
    "held back",
    "held back after an attempt",
    "held back, and perhaps sent before",
    "held back until its run unwound",
    "held back, and tried early",
    "does not wait, and is not sent",
    "stuck: undo exhausted",
    "stuck: poison",
    "stuck: panic",
    "stuck: outcome unknown",
    "retried",
    // between runs
    "a child completes",
    "a child fails",
    "a child is cancelled",
    "a child is terminated",
    "a child is asked to cancel",
    "a child's id is taken",
    "and nobody hears",
    "a child is late",
    "a child never begins",
    "a child leaves what others left to it",
    "a child is cancelled when its parent closes",
    "a child is terminated when its parent closes",
    "a child ends by itself after its parent",
    "a child goes on alone",
    "a child goes on in another run",
    "what a child did is undone",
    "what the run before did is undone",
    "a message goes along",
    // to what views say
    "a row changes hands",
    "a row begins anew",
    "a row is made anew",
    "a row is made anew too late",
    // from outside
    "a signal is taken",
    "a signal is repeated",
    "a signal comes with a start",
    "an update is answered",
    // elsewhere
    "offered",
    "offered again",
    "an offer is fenced",
    "withdrawn",
    "claimed",
    "settled",
    "settled too late",
    "expired",
];

impl Default for Tally {
    fn default() -> Self {
        Self(ALL.iter().map(|what| (*what, 0)).collect())
    }
}

impl Tally {
    pub(super) fn saw(&mut self, what: &'static str) {
        self.saw_times(what, 1);
    }

    pub(super) fn saw_times(&mut self, what: &'static str, times: usize) {
        let count = self.0.get_mut(what).unwrap_or_else(|| panic!("nobody expects that {what}"));
        *count += u64::try_from(times).unwrap();
    }

    /// What never happened.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        ALL.iter().copied().filter(|what| self.0[what] == 0).collect()
    }
}
