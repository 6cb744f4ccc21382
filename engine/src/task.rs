//! What remote workers take and give: attempts of activities that are performed elsewhere.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hansom_core::{Direction, Payload};
use serde::Serialize;
use uuid::Uuid;

use crate::store::task::{Claim, Row, direction_of};

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Whose attempts, in no order.
    pub queues: Vec<String>,
    /// Who asks, for people to read.
    pub worker: String,
    /// At most so many; at least one.
    pub limit: u32,
    /// How long to wait for the first; zero is not at all.
    pub wait: Duration,
}

/// One attempt, in the hands of who claimed it.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// Whoever has it may say how the attempt ended.
    pub token: TaskToken,
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
    pub request: Payload,
    /// What an earlier attempt said last in its heartbeats.
    pub details: Option<Payload>,
    /// Past this it is lost, however alive its worker is.
    pub deadline: DateTime<Utc>,
    /// So long it may be silent, in milliseconds, when it has to beat at all.
    pub heartbeat_ms: Option<u64>,
}

/// Proof of a claim. Text that means nothing to who carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskToken {
    pub(crate) claim: Claim,
    pub(crate) activity: String,
}

/// Answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TaskBeat {
    /// The workflow unwinds: what this attempt does will be undone, so it may as well stop.
    pub cancel_requested: bool,
    /// Past this it is lost, unless it beats again.
    pub expires_at: DateTime<Utc>,
}

/// An activity that this binary knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivityInfo {
    /// Its name.
    pub name: &'static str,
    /// Whether it is performed elsewhere.
    pub remote: bool,
    /// Where its attempts are claimed from, when it is.
    pub queue: Option<String>,
    /// How many attempts wait in that queue.
    pub waiting: i64,
    /// How many of that queue are claimed.
    pub claimed: i64,
}

/// Why a worker's request was not carried out. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It was too late, another one has it, or it has been answered.
    #[error("the claim is not held any more: it was too late, or is answered")]
    Lost,
    /// It is no token of a task.
    #[error("that is no token of a task")]
    InvalidToken,
    /// The answer does not have the shape that the activity's has.
    #[error("the {what} of `{activity}` does not fit: {detail}")]
    InvalidAnswer {
        /// Which answer: output or refusal.
        what: &'static str,
        /// The activity.
        activity: String,
        /// Where it does not.
        detail: String,
    },
    /// This binary has no such activity, and cannot tell what its answers look like.
    #[error("this server has no activity `{0}`; another one may")]
    UnknownActivity(String),
    /// A payload is larger than the engine carries.
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Which payload.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The database did not answer, or not in time. An answer may have been kept: repeat it.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
}

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claim { part, run, seq, token } = self.claim;
        write!(f, "{part}.{}.{seq}.{}.{}", run.simple(), token.simple(), self.activity)
    }
}

impl FromStr for TaskToken {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        let mut parts = text.splitn(5, '.');
        let mut next = || parts.next().ok_or(TaskError::InvalidToken);
        let int = |text: &str| text.parse().map_err(|_| TaskError::InvalidToken);
        let uuid = |text: &str| Uuid::try_parse(text).map_err(|_| TaskError::InvalidToken);
        let (part, run) = (int(next()?)?, uuid(next()?)?);
        let claim = Claim { part, run, seq: int(next()?)?, token: uuid(next()?)? };
        let activity = next()?.to_owned();
        // Postgres has no text with NUL.
        if activity.contains('\0') {
            Err(TaskError::InvalidToken)
        } else {
            Ok(Self { claim, activity })
        }
    }
}

impl Serialize for TaskToken {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl TryFrom<Row> for Task {
    type Error = serde_json::Error;

    fn try_from(row: Row) -> Result<Self, serde_json::Error> {
        let claim = Claim { part: row.part, run: row.run, seq: row.seq, token: row.token };
        Ok(Self {
            token: TaskToken { claim, activity: row.activity.clone() },
            queue: row.queue,
            workflow_id: row.workflow_id,
            run: row.run,
            seq: row.of_seq.cast_unsigned(),
            activity: row.activity,
            direction: direction_of(row.direction),
            attempt: row.attempt.cast_unsigned(),
            idempotency_key: row.idempotency_key,
            request: Payload::parse(row.request)?,
            details: row.details.map(Payload::parse).transpose()?,
            deadline: row.end_by,
            heartbeat_ms: row.heartbeat_ms.map(i64::cast_unsigned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_to_look_and_nothing_else_is_one() {
        let claim = Claim { part: 7, run: Uuid::from_u128(1), seq: 3, token: Uuid::from_u128(2) };
        let token = TaskToken { claim, activity: "tell.rider".to_owned() };
        assert_eq!(token.to_string().parse::<TaskToken>().unwrap(), token);
        for text in ["", "7", "7.x.3.y.z", "a.b.c.d.e", "7.1.2.3", "99999999999.a.b.c.d"] {
            assert!(text.parse::<TaskToken>().is_err(), "{text}");
        }
    }
}
