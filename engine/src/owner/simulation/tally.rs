//! What happened in all seeds together: a fault that never fires proves nothing.

/// How often.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) fenced: u64,
    pub(super) fenced_with_answer_lost: u64,
    pub(super) repeated: u64,
    pub(super) lost_starts: u64,
    pub(super) recovered: u64,
    pub(super) reloaded: u64,
    pub(super) late_answers: u64,
    pub(super) crashes: u64,
    pub(super) releases: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) exhausted: u64,
    pub(super) poison: u64,
    pub(super) offers_fenced: u64,
    pub(super) offered_again: u64,
    pub(super) withdrawn: u64,
    pub(super) too_late: u64,
    pub(super) settled: u64,
    pub(super) expired: u64,
}

impl Tally {
    /// Whether everything happened.
    pub(super) fn is_full(&self) -> bool {
        let fired = [
            self.fenced,
            self.fenced_with_answer_lost,
            self.repeated,
            self.lost_starts,
            self.recovered,
            self.reloaded,
            self.late_answers,
            self.crashes,
            self.releases,
            self.completed,
            self.failed,
            self.cancelled,
            self.exhausted,
            self.poison,
            self.offers_fenced,
            self.offered_again,
            self.withdrawn,
            self.too_late,
            self.settled,
            self.expired,
        ];
        fired.iter().all(|count| *count > 0)
    }
}
