//! An attempt that is one transaction: why it is exactly once is told in
//! [`crate::transaction`].

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use hansom_core::{ActivityContext, Attempt, Payload};
use sqlx::{PgConnection, PgTransaction};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::store::Pool;
use crate::store::outcome::{self, Fence, Key, Taken};
use crate::store::pool::{ANSWERS, in_time};
use crate::transaction::ErasedTransaction;

/// So long a rollback, or the end of a backend, is waited for. What is not rolled back by then
/// will be, because it is never committed.
const GRACE: Duration = Duration::from_secs(3);
/// A commit without an answer for so long is looked for elsewhere. No limit of the commit itself.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest wait between two looks.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes transactional attempts, on connections of their own.
pub(crate) struct Transactions {
    /// Says how to connect, and is never asked for a connection.
    pool: Pool,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// One attempt.
pub(crate) struct Job<'a> {
    pub(crate) handler: &'a ErasedTransaction,
    pub(crate) request: &'a Payload,
    pub(crate) cx: ActivityContext,
    /// None of a probe, which finds out anew each time.
    pub(crate) key: Option<Key>,
    pub(crate) fence: Fence,
    pub(crate) limit: Duration,
}

/// How far an attempt got on one connection.
enum Got {
    /// It is answered; `None`: this worker has lost the partition, and another will answer.
    Answered(Option<Attempt>),
    /// The connection was no good, and nothing has happened.
    Nowhere(sqlx::Error),
    /// The commit was sent, and its answer did not come.
    Committing(String),
}

impl Transactions {
    pub(crate) fn new(pool: Pool, connections: usize) -> Self {
        let permits = Semaphore::new(connections.max(1));
        Self { pool, permits, idle: Mutex::default() }
    }

    /// Makes an attempt. `None`: the partition has another owner, and so has the attempt.
    ///
    /// Not to be cancelled, lest an attempt is answered before its transaction is over.
    pub(crate) async fn attempt(&self, job: Job<'_>) -> Option<Attempt> {
        // Never closed; and the time of the attempt begins with it.
        let _permit = self.permits.acquire().await;
        let end = Instant::now() + job.limit;
        let late = || Attempt::failed(format!("no answer within {:?}", job.limit));
        loop {
            let idle = self.idle().pop();
            let reused = idle.is_some();
            let connection = match idle {
                Some(connection) => connection,
                None => match timeout_at(end, self.pool.connection()).await {
                    Ok(Ok(connection)) => connection,
                    Ok(Err(error)) => return Some(Attempt::failed(unavailable(&error))),
                    Err(_) => return Some(late()),
                },
            };
            // One that was kept may have been cut since.
            let patience = if reused { ANSWERS } else { job.limit };
            match self.on(connection, &job, (patience, end)).await {
                Got::Answered(answer) => return answer,
                // The others may be as old as this one.
                Got::Nowhere(_) if reused => self.idle().clear(),
                Got::Nowhere(error) => return Some(Attempt::failed(unavailable(&error))),
                Got::Committing(reason) => return Some(self.look(&job, &reason).await),
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is dropped here ends its transaction; one that is free again is kept.
    /// It has to answer within `patience`.
    async fn on(
        &self,
        mut connection: PgConnection,
        job: &Job<'_>,
        (patience, end): (Duration, Instant),
    ) -> Got {
        let late = || Attempt::failed(format!("no answer within {:?}", job.limit));
        let begun = timeout_at(end, async {
            let begin = outcome::begin(&mut connection, job.limit);
            let mut tx = in_time(patience, begin).await?;
            let taken = match job.key {
                Some(key) => Some(outcome::take(&mut tx, key).await?),
                None => None,
            };
            Ok((tx, taken))
        });
        let (mut tx, taken) = match begun.await {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => return Got::Nowhere(error),
            Err(_) => return Got::Answered(Some(late())),
        };
        let xid = match taken {
            None => None,
            Some(Taken::Fresh(xid)) => Some(xid),
            Some(known) => {
                if self.roll_back(tx, None).await {
                    self.idle().push(connection);
                }
                return Got::Answered(Some(known.into()));
            }
        };
        let handled = job.handler.handle(job.request, job.cx.clone(), &mut tx);
        let handled = timeout_at(end, AssertUnwindSafe(handled).catch_unwind()).await;
        let output = match handled {
            Ok(Ok(Attempt::Done(output))) => output,
            Ok(Ok(no)) => {
                if self.roll_back(tx, xid.as_deref()).await {
                    self.idle().push(connection);
                }
                return Got::Answered(Some(no));
            }
            cut => {
                // It may be in the middle of a statement: the connection is of no use any more.
                drop(tx);
                self.end(xid.as_deref()).await;
                let panicked = || Attempt::failed("the handler panicked");
                return Got::Answered(Some(cut.map_or_else(|_| late(), |_| panicked())));
            }
        };
        let got = self.commit(tx, xid.as_deref(), (job, end), output).await;
        if let Got::Answered(Some(Attempt::Done(_))) = got {
            self.idle().push(connection);
        }
        got
    }

    async fn commit(
        &self,
        mut tx: PgTransaction<'_>,
        xid: Option<&str>,
        (job, end): (&Job<'_>, Instant),
        output: Payload,
    ) -> Got {
        if let Some(key) = job.key {
            let refused = match timeout_at(end, outcome::answer(&mut tx, key, &output)).await {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => Some(ENDED.to_owned()),
                Ok(Err(error)) => Some(unavailable(&error)),
                Err(_) => Some(format!("no answer within {:?}", job.limit)),
            };
            if let Some(reason) = refused {
                drop(tx);
                self.end(xid).await;
                return Got::Answered(Some(Attempt::failed(reason)));
            }
        }
        match timeout(ANSWER, outcome::commit(tx, job.fence)).await {
            Ok(Ok(())) => Got::Answered(Some(Attempt::Done(output))),
            Ok(Err(error)) if outcome::is_fenced(&error) => Got::Answered(None),
            Ok(Err(error)) => Got::Committing(unavailable(&error)),
            Err(_) => Got::Committing(format!("no answer to the commit within {ANSWER:?}")),
        }
    }

    /// What became of a commit without an answer, for as long as it takes to hear.
    async fn look(&self, job: &Job<'_>, reason: &str) -> Attempt {
        let Some(key) = job.key else { return Attempt::failed(reason) };
        tracing::warn!(run = %key.run, seq = key.seq, reason, "commit_unknown");
        let mut wait = Duration::from_millis(20);
        loop {
            let look = async {
                let mut connection = self.pool.connection().await?;
                let mut tx = outcome::begin(&mut connection, job.limit).await?;
                let taken = outcome::take(&mut tx, key).await?;
                tx.rollback().await?;
                Ok::<_, sqlx::Error>(taken)
            };
            match timeout(ANSWER, look).await {
                // Not there, and nobody is on the way with it.
                Ok(Ok(Taken::Fresh(_))) => return Attempt::failed(reason),
                Ok(Ok(known)) => return known.into(),
                Ok(Err(error)) => tracing::warn!(run = %key.run, %error, "look_failed"),
                Err(_) => tracing::warn!(run = %key.run, "look_late"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(PATIENCE);
        }
    }

    /// True when the connection is free again; else its transaction is ended from outside.
    async fn roll_back(&self, tx: PgTransaction<'_>, xid: Option<&str>) -> bool {
        let done = matches!(timeout(GRACE, tx.rollback()).await, Ok(Ok(())));
        if !done {
            self.end(xid).await;
        }
        done
    }

    async fn end(&self, xid: Option<&str>) {
        let Some(xid) = xid else { return };
        let end = async {
            let mut connection = self.pool.connection().await?;
            outcome::end(&mut connection, xid).await
        };
        match timeout(GRACE, end).await {
            Ok(Ok(true)) => {}
            Ok(Err(error)) => tracing::warn!(xid, %error, "rollback_unseen"),
            Ok(Ok(false)) | Err(_) => tracing::warn!(xid, "rollback_unseen"),
        }
    }

    /// Makes sure that an action which was given up never takes place; true when it has.
    pub(crate) async fn void(&self, key: Key, limit: Duration) -> Result<bool, sqlx::Error> {
        let void = async {
            let mut connection = self.pool.connection().await?;
            outcome::void(&mut connection, key).await
        };
        timeout(limit, void).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }
}

const ENDED: &str = "the handler ended its transaction by itself; what it wrote before that stays";

impl From<Taken> for Attempt {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Done(output) => Self::Done(output),
            Taken::Void => Self::failed("it was given up, and does not take place any more"),
            Taken::Broken => Self::failed(ENDED),
            Taken::Fresh(_) => Self::failed("it did not take place"),
        }
    }
}

fn unavailable(error: &sqlx::Error) -> String {
    format!("its transaction: {error}")
}
