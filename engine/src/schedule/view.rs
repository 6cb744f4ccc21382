//! Schedules as a caller sees them. The JSON of these types is the REST API's.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::definition::{Action, Policy, When};

/// Who asked for a fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The clock.
    Schedule,
    /// Somebody, for now.
    Trigger,
    /// Somebody, for the past.
    Backfill,
}

/// What became of a nominal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It waits for a run to close.
    Buffered,
    /// It started a workflow.
    Started,
    /// An earlier run was still open.
    Skipped,
    /// Nobody was there for longer than the catch-up window.
    Missed,
    /// Too many were waiting, or all its starts had been made.
    Dropped,
    /// The workflow could not be started.
    Failed,
    /// The schedule was paused.
    Paused,
}

impl Outcome {
    /// Every outcome, as it is written.
    pub const ALL: [(&'static str, Self); 7] = [
        ("buffered", Self::Buffered),
        ("started", Self::Started),
        ("skipped", Self::Skipped),
        ("missed", Self::Missed),
        ("dropped", Self::Dropped),
        ("failed", Self::Failed),
        ("paused", Self::Paused),
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// A nominal time, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Fire {
    /// When the schedule says it is due, jitter aside.
    pub nominal: DateTime<Utc>,
    /// Who asked for it.
    pub cause: Cause,
    /// What became of it.
    pub outcome: Outcome,
    /// When that was decided, by the database's clock.
    pub decided_at: DateTime<Utc>,
    /// What it started, or could not.
    pub workflow_id: Option<String>,
    /// The run it started.
    pub run: Option<Uuid>,
    /// In words, where there is more to say.
    pub detail: Option<String>,
}

/// A line of a list.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleSummary {
    /// As its creator named it.
    pub schedule_id: String,
    /// What it starts: [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// When.
    pub spec: String,
    /// In which time zone.
    pub zone: String,
    /// Whether nothing is started by the clock now.
    pub paused: bool,
    /// Why it is paused, or whatever else was noted.
    pub note: Option<String>,
    /// The next nominal time; none when it is over.
    pub next_at: Option<DateTime<Utc>>,
}

/// A schedule as it stands now.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleDescription {
    /// As its creator named it.
    pub schedule_id: String,
    /// What it starts.
    #[serde(flatten)]
    pub action: Action,
    /// When.
    #[serde(flatten)]
    pub when: When,
    /// What if not everything goes by the clock.
    #[serde(flatten)]
    pub policy: Policy,
    /// Where it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// The next nominal times, should it not be paused.
    pub next: Vec<DateTime<Utc>>,
    /// Workflows it started that are still open: at most 100, latest first.
    pub running: Vec<String>,
    /// What became of the last times, latest first.
    pub fires: Vec<Fire>,
}

/// Where a schedule stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Whether nothing is started by the clock now.
    pub paused: bool,
    /// Why it is paused, or whatever else was noted.
    pub note: Option<String>,
    /// Starts by the clock that are left, where they are limited.
    pub remaining: Option<i64>,
    /// How many fires wait.
    pub buffered: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last: defined anew, paused or resumed.
    pub updated_at: DateTime<Utc>,
}

/// What was asked for by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The first of the nominal times.
    pub nominal: DateTime<Utc>,
    /// What it will start, if anything.
    pub workflow_id: String,
    /// How many times are asked for. Those that have started something are not.
    pub fires: usize,
}
