//! The database: the only place with SQL, one file per table.
//!
//! Owners write through [`commit`] alone, on a connection of their own, fenced.
//! Everybody else inserts (a start, a message) or reads, through a [`Pool`], whose statements end
//! also where a connection is cut and nobody is told. Every table has `part`
//! first in its key. No transaction spans more than one statement, so that a
//! cancelled future can leave none open (but for an attempt that is one, in
//! [`outcome`], and that is never cancelled); what a lost answer means is said
//! where it matters.
//!
//! The compiler checks statements against `.sqlx`, but for the filter of a list
//! and what Postgres itself does not look into before it runs: `rollback`,
//! `truncate`, `checkpoint`, and `begin` and `commit` with their company.

pub(crate) mod alarm;
pub(crate) mod commit;
pub(crate) mod firing;
pub(crate) mod heartbeat;
pub(crate) mod history;
pub(crate) mod inbox;
pub mod measure;
pub(crate) mod outcome;
pub(crate) mod partition;
pub(crate) mod pool;
pub(crate) mod schedule;
pub(crate) mod schedule_fire;
pub(crate) mod snapshot;
pub(crate) mod task;
pub(crate) mod view;
pub(crate) mod worker;
pub(crate) mod workflow;
pub(crate) mod workflow_type;

use chrono::{DateTime, Utc};
use hansom_core::{Status, Timestamp, UndoStatus};
use sqlx::PgPool;

use crate::EngineError;
use crate::address::PARTITIONS;

pub(crate) use self::pool::Pool;
pub use self::pool::connect;

/// The engine's migrations, noted in the engine's own schema.
pub fn migrator() -> sqlx::migrate::Migrator {
    let mut migrator = sqlx::migrate!("../migrations/engine");
    migrator.create_schema("hansom");
    migrator.dangerous_set_table_name("hansom.migration");
    migrator
}

/// Brings the schema up to date, and fixes the number of partitions the first
/// time (`partitions`, or 256).
///
/// # Errors
///
/// [`EngineError::Partitions`], when the database was created with another number.
pub async fn migrate(pool: &PgPool, partitions: Option<i32>) -> Result<(), EngineError> {
    migrator().run(pool).await?;
    let stored = partition::create(&pool.clone().into(), partitions.unwrap_or(PARTITIONS)).await?;
    match partitions {
        Some(asked) if asked != stored => Err(EngineError::Partitions { stored, asked }),
        _ => Ok(()),
    }
}

/// As a column has it.
pub(crate) fn int(number: u32) -> i32 {
    i32::try_from(number).expect("a history is bounded far below this")
}

/// The years 1 to 9999, in microseconds: what Postgres, JSON and people read alike.
const TIMES: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);

/// What is further away than can be written is as far away as can be.
pub(crate) fn to_time(timestamp: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(timestamp.0.clamp(TIMES.0, TIMES.1))
        .expect("years of four digits are in range")
}

pub(crate) fn from_time(time: DateTime<Utc>) -> Timestamp {
    Timestamp(time.timestamp_micros())
}

pub(crate) fn status_code(status: Status) -> i16 {
    match status {
        Status::Running => 0,
        Status::Compensating => 1,
        Status::Stuck => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Cancelled => 5,
        Status::Terminated => 6,
        Status::Continued => 7,
    }
}

fn status_of(code: i16) -> Status {
    match code {
        1 => Status::Compensating,
        2 => Status::Stuck,
        3 => Status::Completed,
        4 => Status::Failed,
        5 => Status::Cancelled,
        6 => Status::Terminated,
        7 => Status::Continued,
        _ => Status::Running,
    }
}

pub(crate) fn undo_code(undo: UndoStatus) -> i16 {
    match undo {
        UndoStatus::None => 0,
        UndoStatus::Owed => 1,
        UndoStatus::Done => 2,
        UndoStatus::Partial => 3,
    }
}

fn undo_of(code: i16) -> UndoStatus {
    match code {
        1 => UndoStatus::Owed,
        2 => UndoStatus::Done,
        3 => UndoStatus::Partial,
        _ => UndoStatus::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_nobody_could_write_down_is_written_as_near_as_can_be() {
        let written = |micros: i64| to_time(Timestamp(micros)).to_rfc3339();
        assert_eq!(written(i64::MIN), "0001-01-01T00:00:00+00:00");
        assert_eq!(written(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(written(i64::MAX), "9999-12-31T23:59:59.999999+00:00");
    }
}
