//! What the engine counts, and what it is called.
//!
//! Through the `metrics` facade: without a recorder it costs nothing. No label is ever the name of
//! a workflow or a schedule: there would be no end of them.

use std::time::Duration;

/// Fires of schedules, by what became of them.
pub(crate) const FIRES: &str = "hansom_schedule_fires_total";
/// From a fire's nominal time to the look that started it.
pub(crate) const LAG: &str = "hansom_schedule_lag_seconds";
/// When schedules were looked at last.
pub(crate) const LOOK: &str = "hansom_schedule_last_look_timestamp_seconds";
const PARTITIONS: &str = "hansom_partitions_owned";
const COMMIT: &str = "hansom_commit_seconds";

/// Tells the recorder what is what: once, when it is there.
pub fn describe_metrics() {
    metrics::describe_counter!(
        FIRES,
        "Fires of schedules by outcome; one that was buffered counts again for what became of it"
    );
    metrics::describe_histogram!(
        LAG,
        metrics::Unit::Seconds,
        "From the nominal time of a fire, jitter included, to its start"
    );
    metrics::describe_gauge!(
        LOOK,
        metrics::Unit::Seconds,
        "When schedules were looked at last, by the database's clock"
    );
    metrics::describe_gauge!(PARTITIONS, "Partitions that this process owns");
    metrics::describe_histogram!(
        COMMIT,
        metrics::Unit::Seconds,
        "How long a commit of a lane takes, with its repetitions"
    );
}

/// This process owns so many partitions.
pub(crate) fn partitions(owned: usize) {
    let owned = u32::try_from(owned).unwrap_or(u32::MAX);
    metrics::gauge!(PARTITIONS).set(f64::from(owned));
}

/// A commit took so long.
pub(crate) fn commit(took: Duration) {
    metrics::histogram!(COMMIT).record(took.as_secs_f64());
}
