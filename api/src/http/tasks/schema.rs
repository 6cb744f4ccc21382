//! What remote workers send and get, for the OpenAPI document.

use chrono::{DateTime, Utc};
use hansom_activities::breaker::{BreakerState, Counts};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::duration;

/// What a worker asks for: `queue` or `queues`.
#[derive(ToSchema)]
pub struct ClaimTasks {
    /// Whose attempts.
    pub queue: Option<String>,
    /// Whose attempts, when there are several; at most 100.
    pub queues: Option<Vec<String>>,
    /// Who asks, for people to read: 1 to 255 bytes.
    pub worker: String,
    /// At most so many, 1 to 100; 1 when it is not given.
    pub limit: Option<u32>,
    /// How long to wait for the first, such as 30s; at most 60s, and not at all when it is not given.
    pub wait: Option<String>,
}

/// What was claimed.
#[derive(ToSchema)]
pub struct ClaimedTasks {
    /// Of each queue the oldest first; none when the wait is over.
    pub tasks: Vec<Task>,
}

/// One attempt of one activity. Repeating its effect must change nothing: deduplicate it by
/// `idempotency_key`.
#[derive(ToSchema)]
pub struct Task {
    /// Whoever has it may say how the attempt ended.
    pub token: String,
    /// Where it was claimed from.
    pub queue: String,
    /// The workflow that asks, as its starter named it.
    pub workflow_id: String,
    /// The run of that workflow.
    pub run: Uuid,
    /// The command this serves; for an undo, the action it undoes.
    pub seq: u32,
    /// What is to be done.
    pub activity: String,
    /// Whether it is done, undone or verified.
    pub direction: Direction,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The same for every attempt of one step, different for everything else.
    pub idempotency_key: String,
    /// With what.
    pub request: Value,
    /// What an earlier attempt said last in its heartbeats.
    pub details: Option<Value>,
    /// Past this the attempt is lost, however alive its worker is.
    pub deadline: DateTime<Utc>,
    /// So long it may be silent, in milliseconds; null when it need not beat.
    pub heartbeat_ms: Option<u64>,
}

/// Whether an activity is done, undone or verified.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Direction {
    /// The action.
    Do,
    /// Its compensation: it must not refuse.
    Undo,
    /// A probe, that finds out whether the action happened.
    Verify,
}

/// A sign of life.
#[derive(ToSchema)]
pub struct BeatTask {
    /// Of the claim.
    pub token: String,
    /// How far it is, for the attempt that follows if this one is lost; at most 64 KiB.
    pub details: Option<Value>,
}

/// Answer to a sign of life.
#[derive(ToSchema)]
pub struct TaskBeat {
    /// The workflow unwinds: what this attempt does will be undone, so it may as well stop.
    pub cancel_requested: bool,
    /// Past this the attempt is lost, unless it beats again.
    pub expires_at: DateTime<Utc>,
}

/// It is done.
#[derive(ToSchema)]
pub struct CompleteTask {
    /// Of the claim.
    pub token: String,
    /// In the shape of the activity's output; null when it is left out.
    pub output: Option<Value>,
}

/// It is not done: `reason` for what is worth another attempt, `refused` for a business no.
#[derive(ToSchema)]
pub struct FailTask {
    /// Of the claim.
    pub token: String,
    /// What went wrong: 1 to 2000 bytes. Its retry policy says what follows.
    pub reason: Option<String>,
    /// Not to be tried again before, such as 5s; at most 1h.
    pub retry_after: Option<String>,
    /// In the shape of the activity's refusal: final, and nothing has happened.
    pub refused: Option<Value>,
}

/// The answer is kept.
#[derive(ToSchema, serde::Serialize)]
pub struct Settled {
    /// Always true.
    pub settled: bool,
}

/// An activity of this server.
#[derive(ToSchema)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// Whether it is performed by remote workers.
    pub remote: bool,
    /// Where they claim it, when it is.
    pub queue: Option<String>,
    /// How many attempts wait in that queue.
    pub waiting: i64,
    /// How many of that queue are claimed.
    pub claimed: i64,
    /// Of one that is performed here: the breaker of its service, if it has one.
    pub breaker: Option<Breaker>,
}

/// The breaker of a service: it leaves a service in trouble alone.
#[derive(ToSchema, Serialize)]
pub struct Breaker {
    /// The service that is behind it.
    pub service: String,
    /// `closed`: attempts go through; `open`: they are held back; `half_open`: one of them finds
    /// out whether the service has recovered.
    pub state: &'static str,
    /// Attempts of late, while it is closed.
    pub calls: u32,
    /// Those of them that failed, or took too long.
    pub failed: u32,
    /// While it is open: when the next attempt is let through.
    pub retry_at: Option<DateTime<Utc>>,
    /// When it opens, and for how long.
    pub settings: BreakerSettings,
}

/// When a breaker opens, and for how long.
#[derive(ToSchema, Serialize)]
pub struct BreakerSettings {
    /// An attempt that takes longer has failed.
    pub slow: String,
    /// So far back attempts are counted.
    pub window: String,
    /// With fewer attempts it stays closed.
    pub calls: u32,
    /// It opens where so many of a hundred have failed.
    pub failed_percent: u32,
    /// For so long it lets none through.
    pub open: String,
}

impl Breaker {
    pub(super) fn of(breaker: &hansom_activities::breaker::Breaker) -> Self {
        let (state, counts) = (breaker.state(), breaker.counts());
        let retry_at = match state {
            BreakerState::Open { again_in } => Some(Utc::now() + again_in),
            BreakerState::Closed | BreakerState::HalfOpen => None,
        };
        let service = breaker.service().to_owned();
        let Counts { calls, failed } = counts;
        let settings = breaker.settings();
        let settings = BreakerSettings {
            slow: duration::show(settings.slow),
            window: duration::show(settings.window),
            calls: settings.calls,
            failed_percent: settings.failed_percent,
            open: duration::show(settings.open),
        };
        Self { service, state: state.name(), calls, failed, retry_at, settings }
    }
}

/// The activities of this server.
#[derive(ToSchema)]
pub struct Activities {
    /// By name.
    pub items: Vec<Activity>,
}
