//! What schedules look like, for the OpenAPI document.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a schedule starts, when, and what if not everything goes by the clock.
#[derive(ToSchema)]
pub struct DefineSchedule {
    /// One of the workflow types of this server.
    pub r#type: String,
    /// In the shape that the type is started with; the same for every run.
    pub input: Value,
    /// For search; at most 31, beside the label `schedule`.
    pub labels: Option<BTreeMap<String, String>>,
    /// Ids are this, a `-`, and the nominal time; the schedule's id when it is not given.
    pub workflow_id_prefix: Option<String>,
    /// Five fields as in crontab(5), a nickname such as `@daily`, or `every 15m`, also with
    /// `phase 5m`.
    #[schema(example = "30 2 * * mon-fri")]
    pub spec: String,
    /// An IANA time zone; `UTC` when it is not given. A time of day that is skipped when the clock
    /// is put forward is due at that instant, and one that is shown twice only the first time; with
    /// a `*` as minute or hour it goes with the clock.
    pub zone: Option<String>,
    /// Up to so much later than its nominal time, such as `30s`; at most 1d, 0s when it is not given.
    pub jitter: Option<String>,
    /// Not before this.
    pub start_at: Option<DateTime<Utc>>,
    /// Not after this.
    pub end_at: Option<DateTime<Utc>>,
    /// When the run before is still open; `skip` when it is not given.
    pub overlap: Option<Overlap>,
    /// What could not be started for longer than this is missed: 10s to 365d; 1h when it is not given.
    pub catchup_window: Option<String>,
    /// It is over after so many starts by the clock.
    pub limited_actions: Option<u32>,
    /// Whether a run that fails pauses it; false when it is not given.
    pub pause_on_failure: Option<bool>,
}

/// What to create, under which id.
#[derive(ToSchema)]
pub struct CreateSchedule {
    /// Unique: 1 to 255 of `[A-Za-z0-9._:-]`.
    pub id: String,
    /// What is kept under it.
    #[serde(flatten)]
    #[schema(inline)]
    pub definition: DefineSchedule,
    /// Whether it begins paused; false when it is not given.
    pub paused: Option<bool>,
    /// Why it begins paused.
    pub note: Option<String>,
}

/// When an earlier run of the schedule is still open.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Overlap {
    /// The fire is skipped (the default).
    Skip,
    /// It waits; while one waits, others are skipped.
    BufferOne,
    /// It waits; at most 1 000 do, others are dropped.
    BufferAll,
    /// The run is cancelled, and it starts when that is undone.
    CancelOther,
    /// It starts all the same.
    AllowAll,
    /// The run is terminated: nothing is undone.
    TerminateOther,
}

/// A schedule as it stands now.
#[derive(ToSchema)]
pub struct Schedule {
    /// As its creator named it.
    pub schedule_id: String,
    /// What it starts.
    pub r#type: String,
    /// With what.
    pub input: Value,
    /// For search.
    pub labels: BTreeMap<String, String>,
    /// What its workflows' ids begin with.
    pub workflow_id_prefix: String,
    /// When.
    pub spec: String,
    /// In which time zone.
    pub zone: String,
    /// Up to so much later.
    pub jitter: String,
    /// Not before this.
    pub start_at: Option<DateTime<Utc>>,
    /// Not after this.
    pub end_at: Option<DateTime<Utc>>,
    /// When the run before is still open.
    pub overlap: Overlap,
    /// What could not be started for longer than this is missed.
    pub catchup_window: String,
    /// It is over after so many starts by the clock.
    pub limited_actions: Option<u32>,
    /// Whether a run that fails pauses it.
    pub pause_on_failure: bool,
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
    /// When it was defined anew, paused or resumed last.
    pub updated_at: DateTime<Utc>,
    /// The next nominal times, should it not be paused.
    pub next: Vec<DateTime<Utc>>,
    /// Workflows it started that are open: at most 100, latest first.
    pub running: Vec<String>,
    /// What became of the last times, latest first.
    pub fires: Vec<ScheduleFire>,
}

/// A line of a list.
#[derive(ToSchema)]
pub struct ScheduleSummary {
    /// As its creator named it.
    pub schedule_id: String,
    /// What it starts.
    pub r#type: String,
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

/// One page of a list.
#[derive(ToSchema)]
pub struct SchedulePage {
    /// Its lines.
    pub items: Vec<ScheduleSummary>,
    /// Pass it as `cursor` for the page after; null on the last.
    pub next: Option<String>,
}

/// What became of a nominal time.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FireOutcome {
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

/// Who asked for a fire.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FireCause {
    /// The clock.
    Schedule,
    /// Somebody, for now.
    Trigger,
    /// Somebody, for the past.
    Backfill,
}

/// A nominal time, and what became of it.
#[derive(ToSchema)]
pub struct ScheduleFire {
    /// When the schedule says it is due, jitter aside.
    pub nominal: DateTime<Utc>,
    /// Who asked for it.
    pub cause: FireCause,
    /// What became of it.
    pub outcome: FireOutcome,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// What it started, or could not.
    pub workflow_id: Option<String>,
    /// The run it started.
    pub run: Option<Uuid>,
    /// In words, where there is more to say.
    pub detail: Option<String>,
}

/// One page of fires.
#[derive(ToSchema)]
pub struct FirePage {
    /// Its lines.
    pub items: Vec<ScheduleFire>,
    /// Pass it as `cursor` for the page after; null on the last.
    pub next: Option<String>,
}

/// Why.
#[derive(ToSchema)]
pub struct Note {
    /// 1 to 1000 bytes.
    pub note: Option<String>,
}

/// How to fire now.
#[derive(ToSchema)]
pub struct Trigger {
    /// Instead of the schedule's own policy.
    pub overlap: Option<Overlap>,
}

/// For which times to fire.
#[derive(ToSchema)]
pub struct Backfill {
    /// From this time on.
    pub from: DateTime<Utc>,
    /// To this time, which is past.
    pub to: DateTime<Utc>,
    /// `buffer_all` when it is not given.
    pub overlap: Option<Overlap>,
}

/// What was asked for.
#[derive(ToSchema)]
pub struct Asked {
    /// The first of the nominal times.
    pub nominal: DateTime<Utc>,
    /// What it will start, if anything.
    pub workflow_id: String,
    /// How many times are asked for. Those that have started something are not.
    pub fires: usize,
}
