//! The one place where what the engine says becomes what HTTP says.

use hansom_engine::schedule::{ScheduleError, zones};
use hansom_engine::{ClientError, TaskError};

use super::kinds;
use super::problem::{Problem, did_you_mean, echo};

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        // What the engine says is written for clients, except a database's own words.
        let detail = error.to_string();
        match error {
            ClientError::NotFound(_) => Self::new(kinds::NOT_FOUND, detail),
            ClientError::InvalidId(id) => {
                let detail = format!("{} is not an id: 1 to 255 of A-Z a-z 0-9 . _ : -", echo(&id));
                Self::new(kinds::ID_SYNTAX, detail).field("id").limit(255)
            }
            ClientError::UnknownType { name, known } => {
                let detail = format!(
                    "there is no workflow type {}{} (there are: {})",
                    echo(&name),
                    did_you_mean(&name, known.iter().copied()),
                    known.join(", ")
                );
                Self::new(kinds::WORKFLOW_UNKNOWN, detail).field("/type")
            }
            ClientError::UnknownView { name, known } => {
                let near = did_you_mean(&name, known.iter().copied());
                let detail = format!("there is no view {}{near}", echo(&name));
                Self::new(kinds::VIEW_NOT_FOUND, detail).field("name")
            }
            ClientError::UnknownSignal { workflow_type, name, known } => {
                let detail = unknown(&workflow_type, "signal", &name, &known);
                Self::new(kinds::SIGNAL_UNKNOWN, detail).field("name")
            }
            ClientError::UnknownUpdate { workflow_type, name, known } => {
                let detail = unknown(&workflow_type, "update", &name, &known);
                Self::new(kinds::UPDATE_UNKNOWN, detail).field("name")
            }
            ClientError::NotStuck(_) => Self::new(kinds::NOT_STUCK, detail),
            ClientError::InvalidInput(_) => Self::new(kinds::INPUT_INVALID, detail).field("/input"),
            ClientError::TooLarge { limit, .. } => {
                Self::new(kinds::PAYLOAD_TOO_LARGE, detail).limit(limit as u64)
            }
            ClientError::InputConflict { .. } => Self::new(kinds::INPUT_CONFLICT, detail),
            ClientError::Closed { .. } => Self::new(kinds::WORKFLOW_CLOSED, detail),
            ClientError::QueueFull { limit, .. } => {
                let full = Self::new(kinds::QUEUE_FULL, detail).field("name").retry_after(1);
                full.limit(limit.unsigned_abs())
            }
            ClientError::AfterPivot(_) => Self::new(kinds::AFTER_PIVOT, detail),
            ClientError::StillOpen(_) => Self::new(kinds::STILL_OPEN, detail),
            ClientError::NoSchedule(_) => Self::new(kinds::SCHEDULE_NOT_FOUND, detail),
            ClientError::ScheduleExists(_) => {
                Self::new(kinds::SCHEDULE_EXISTS, detail).field("/id")
            }
            ClientError::Schedule(error) => schedule(&error),
            ClientError::TooManyFires { limit, .. } => {
                Self::new(kinds::CATCHUP_LIMIT, detail).field("/from").limit(limit as u64)
            }
            ClientError::BufferFull { limit, .. } => {
                Self::new(kinds::SCHEDULE_BUFFER_FULL, detail).limit(limit as u64).retry_after(1)
            }
            ClientError::Draining => draining(),
            ClientError::Unavailable(error) => store(&error),
        }
    }
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        let detail = error.to_string();
        match error {
            TaskError::Lost => Self::new(kinds::TASK_LOST, detail).field("/token"),
            TaskError::InvalidToken => Self::new(kinds::TOKEN_SYNTAX, detail).field("/token"),
            TaskError::InvalidAnswer { what, .. } => {
                let field = if what == "output" { "/output" } else { "/refused" };
                Self::new(kinds::ANSWER_INVALID, detail).field(field)
            }
            TaskError::UnknownActivity(_) => {
                Self::new(kinds::ACTIVITY_UNKNOWN, detail).field("/token")
            }
            TaskError::TooLarge { limit, .. } => {
                Self::new(kinds::PAYLOAD_TOO_LARGE, detail).limit(limit as u64)
            }
            TaskError::Unavailable(error) => store(&error),
        }
    }
}

/// A schedule that cannot be read, or with something out of range.
fn schedule(error: &ScheduleError) -> Problem {
    let detail = error.to_string();
    match error {
        ScheduleError::Zone(given) => {
            let near = did_you_mean(given, zones());
            let detail = format!("{} is no time zone{near} (an IANA name, or UTC)", echo(given));
            Problem::new(kinds::SCHEDULE_ZONE, detail).field("/zone")
        }
        ScheduleError::Range { field, .. } => {
            Problem::new(kinds::FIELD_VALUE, detail).field(format!("/{field}"))
        }
        _ => Problem::new(kinds::SCHEDULE_SPEC, detail).field("/spec"),
    }
}

/// A message that the workflow does not take, and those that it does.
fn unknown(workflow_type: &str, what: &str, name: &str, known: &[&str]) -> String {
    let near = did_you_mean(name, known.iter().copied());
    let there = match known {
        [] => "there are none".to_owned(),
        known => format!("there are: {}", known.join(", ")),
    };
    format!("`{workflow_type}` has no {what} {}{near} ({there})", echo(name))
}

/// The answer of a server that is being stopped.
pub fn draining() -> Problem {
    let detail = "this server is being stopped; another one, or this one restarted, will answer";
    Problem::new(kinds::DRAINING, detail).retry_after(5)
}

/// A database that does not do what it should. Its words go to the log only.
fn store(error: &sqlx::Error) -> Problem {
    tracing::error!(%error, "store.unavailable");
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let (kind, seconds) = match (error, code.as_deref()) {
        (_, Some("53100")) => (kinds::STORE_DISK_FULL, 30),
        (sqlx::Error::PoolTimedOut, _) | (_, Some("53300" | "57014" | "55P03")) => {
            (kinds::STORE_BUSY, 1)
        }
        _ => (kinds::STORE_UNAVAILABLE, 2),
    };
    let detail = "try again later; a start that was repeated with its id is made once";
    Problem::new(kind, detail).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_databases_words_never_reach_a_client() {
        let secret = "connection to 10.0.0.7 as hansom_admin failed";
        let error = sqlx::Error::Io(std::io::Error::other(secret));
        let problem = Problem::from(ClientError::Unavailable(error));
        let body = serde_json::to_string(&problem).unwrap();
        assert_eq!(problem.kind.code, "store.unavailable");
        assert!(problem.retry_after.is_some());
        assert!(!body.contains("10.0.0.7") && !body.contains("hansom_admin"), "{body}");
    }

    #[test]
    fn a_full_pool_is_busy_and_a_stopping_worker_is_draining() {
        let busy = Problem::from(ClientError::Unavailable(sqlx::Error::PoolTimedOut));
        assert_eq!((busy.kind.code, busy.kind.status), ("store.busy", 503));
        let draining = Problem::from(ClientError::Draining);
        assert_eq!((draining.kind.code, draining.retry_after), ("draining", Some(5)));
    }
}
