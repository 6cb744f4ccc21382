//! Carries a batch to the database until it is known what became of it.
//!
//! An error from a commit says nothing about the commit. The batch's number is
//! in the fence row, so the same call is repeated, on a new connection, until
//! the answer arrives: it took place once, or this worker is fenced.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use crate::metered;
use crate::store::Pool;
use crate::store::commit::{Columns, CommitError, Lane, commit};
use crate::store::pool::{ANSWERS, in_time};

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
        let (begun, mut wait) = (Instant::now(), Duration::from_millis(20));
        loop {
            match self.attempt(&columns).await {
                Ok(lost) => {
                    metered::commit(begun.elapsed());
                    return (self, Fate::Done(lost));
                }
                Err(CommitError::Fenced) => return (self, Fate::Fenced),
                Err(error @ CommitError::Refused(_)) => {
                    tracing::error!(%error, "commit_refused");
                    return (self, Fate::Fenced);
                }
                Err(error @ CommitError::Unknown(_)) => {
                    tracing::warn!(%error, "commit_unknown");
                    self.connection = None;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE);
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
