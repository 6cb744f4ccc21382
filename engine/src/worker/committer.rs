//! Carries a batch to the database until it is known what became of it.
//!
//! An error from a commit says nothing about the commit. The batch's number is
//! in the fence row, so the same call is repeated, on a new connection, until
//! the answer arrives: it took place once, or this worker is fenced.
//!
//! What one run writes may be refused, for a reason that was not looked for beforehand: then all
//! that the batch carries of others would never be committed either. So the batch is taken apart:
//! halves of it are committed, and halves of the half that is refused, until what is refused is of
//! one run. In its place goes that it is stuck, and why; a retry lets it try again. What could
//! interleave, and why it is safe:
//!
//! * *The worker is lost between two of these commits.* Each is one as any other, behind the same
//!   fence and with the next number, and has all that the batch has of its runs: the next owner
//!   finds some runs where they were before, and some after.
//! * *Memory is ahead of what was refused*, and what gathers meanwhile follows from it. So nothing
//!   more is committed from it: the lane forgets everything, as when it is fenced, and what was
//!   under way is made again under its key.
//! * *Nobody hears of a start in a batch that was taken apart.* Whoever asked finds out from the
//!   database, by the run's id, whether it is started; a start that was refused is refused again.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use hansom_core::Status;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use crate::metered;
use crate::store::Pool;
use crate::store::commit::{Columns, CommitError, Lane, commit};
use crate::store::pool::{ANSWERS, in_time};
use crate::store::workflow;

/// The longest wait between two tries.
const PATIENCE: Duration = Duration::from_secs(1);
/// The database ends a statement itself before this: who has not heard by then is cut off, and
/// would wait for as long as its kernel does.
const ANSWER: Duration = Duration::from_secs(20);

/// A connection that was not used for so long may have been cut since: it is asked.
const UNUSED: Duration = Duration::from_secs(1);

/// What became of a batch.
pub(crate) enum Fate {
    /// It took place; these starts came too late.
    Done(Vec<Uuid>),
    /// It did not, and nothing this worker writes will.
    Fenced,
    /// Some of it was refused: what did not take place is stuck by now, or never began.
    Apart,
}

/// Why a batch will not be committed as it is.
enum Refusal {
    Fenced,
    Refused(sqlx::Error),
}

/// A connection of one lane, and its place behind the fence.
pub(crate) struct Committer {
    pub(crate) pool: Pool,
    pub(crate) lane: Lane,
    connection: Option<PgConnection>,
    used: Instant,
}

impl Committer {
    pub(crate) fn new(pool: Pool, lane: Lane) -> Self {
        Self { pool, lane, connection: None, used: Instant::now() }
    }

    /// Commits, and hands itself back for the next batch.
    pub(crate) async fn commit(mut self, columns: Columns) -> (Self, Fate) {
        let begun = Instant::now();
        let fate = match self.carry(&columns).await {
            Ok(lost) => {
                metered::commit(begun.elapsed());
                Fate::Done(lost)
            }
            Err(Refusal::Fenced) => Fate::Fenced,
            Err(Refusal::Refused(error)) => {
                tracing::error!(%error, "commit_refused");
                self.apart(&columns, error).await.unwrap_or(Fate::Fenced)
            }
        };
        (self, fate)
    }

    /// Repeats the call until it is known what became of it.
    async fn carry(&mut self, columns: &Columns) -> Result<Vec<Uuid>, Refusal> {
        let mut wait = Duration::from_millis(20);
        loop {
            match self.attempt(columns).await {
                Ok(lost) => return Ok(lost),
                Err(CommitError::Fenced) => return Err(Refusal::Fenced),
                Err(CommitError::Refused(error)) => return Err(Refusal::Refused(error)),
                Err(error @ CommitError::Unknown(_)) => {
                    tracing::warn!(%error, "commit_unknown");
                    self.connection = None;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE);
        }
    }

    /// Commits what is not refused of a batch that is.
    async fn apart(&mut self, columns: &Columns, error: sqlx::Error) -> Result<Fate, Refusal> {
        let mut number = columns.number();
        let mut refused = vec![(columns.runs(), error)];
        while let Some((mut runs, error)) = refused.pop() {
            if runs.len() < 2 {
                let alone = columns.only(&runs, number);
                number += i64::from(self.park(&alone, &error).await?);
                continue;
            }
            let half = runs.split_off(runs.len() / 2);
            for half in [runs, half] {
                match self.carry(&columns.only(&half, number)).await {
                    Ok(_) => number += 1,
                    Err(Refusal::Fenced) => return Err(Refusal::Fenced),
                    Err(Refusal::Refused(error)) => refused.push((half, error)),
                }
            }
        }
        Ok(Fate::Apart)
    }

    /// Commits that a run is stuck, in place of what is refused of it, and answers whether it did.
    async fn park(&mut self, refused: &Columns, error: &sqlx::Error) -> Result<bool, Refusal> {
        let Some((part, run, event)) = refused.beginning() else {
            tracing::error!(%error, "start_refused");
            return Ok(false);
        };
        let row = match workflow::some_run(&self.pool, part, run).await {
            Ok(Some(row)) if row.cached().status != Status::Stuck => row,
            Ok(_) => {
                tracing::error!(%run, %error, "stuck_run_refused");
                return Ok(false);
            }
            // It is refused once more, and parked then.
            Err(unknown) => {
                tracing::warn!(%run, error = %unknown, "not_parked");
                return Ok(false);
            }
        };
        tracing::error!(workflow_id = row.workflow_id, %run, %error, "run_refused");
        match self.carry(&refused.parking(&row, event, error)).await {
            Ok(_) => Ok(true),
            Err(Refusal::Fenced) => Err(Refusal::Fenced),
            Err(Refusal::Refused(error)) => {
                tracing::error!(%run, %error, "not_parked");
                Ok(false)
            }
        }
    }

    async fn attempt(&mut self, columns: &Columns) -> Result<Vec<Uuid>, CommitError> {
        let attempt = async {
            let connection = match &mut self.connection {
                Some(connection) => {
                    if self.used.elapsed() > UNUSED {
                        let asked = in_time(ANSWERS, connection.ping()).await;
                        asked.map_err(CommitError::Unknown)?;
                    }
                    connection
                }
                empty => {
                    let fresh = self.pool.connection().await.map_err(CommitError::Unknown)?;
                    empty.insert(fresh)
                }
            };
            let committed = commit(connection, self.lane, columns).await;
            self.used = Instant::now();
            committed
        };
        let silence = |_| CommitError::Unknown(sqlx::Error::Io(ErrorKind::TimedOut.into()));
        timeout(ANSWER, attempt).await.map_err(silence)?
    }
}
