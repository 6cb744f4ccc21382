//! Connections that are shared, and statements that end.
//!
//! A connection can be cut without anybody being told: its host is lost, or a firewall has
//! forgotten what it let through. Nothing would arrive on it any more, and its kernel waits for a
//! quarter of an hour, or for ever. So nothing is waited for without a limit:
//!
//! * *Nobody uses it.* Whoever takes it next asks first whether it still answers, and gets another
//!   one otherwise.
//! * *A statement is under way.* The server ends those that take too long. Who has heard nothing
//!   for longer never will: the connection is closed, and its statement is an error that says
//!   nothing about what became of it.
//! * *It is given back in the middle of a statement*, because nobody waits for that any more. It is
//!   as long out of use as the server lets the statement run, so that statements that were given up
//!   do not pile up there; then it is closed. Only those with a limit below the server's own, as
//!   a heartbeat has, may still run when the next one is asked.
//!
//! Owners commit, and transactional attempts run, on connections of their own, with limits of their
//! own.

use std::io::ErrorKind;
use std::str::FromStr;
use std::task::Context;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgConnectOptions, PgListener, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Connection, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A connection at rest that does not answer within that does not answer.
pub(crate) const ANSWERS: Duration = Duration::from_secs(1);

/// A little longer than a statement is let run by the server.
const RESTS: Duration = Duration::from_secs(16);

/// Longer than a connection is waited for, and a statement is let run by the server.
const ENDS: Duration = Duration::from_secs(30);

/// A row, or how many were changed.
type Given = Either<PgQueryResult, PgRow>;

/// Connections that are shared, by statements that end.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pool: PgPool,
    limit: Duration,
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self { pool, limit: ENDS }
    }
}

/// Connects with the engine's settings: `url` as Postgres's own tools take it.
///
/// A connection that comes back inside a transaction is rolled back before its
/// next use (sqlx up to 0.9.0 can leave one open when `begin` is cancelled). One that does not
/// answer before its next use, or long after it was given back, is closed.
pub async fn connect(url: &str, max_connections: u32) -> Result<PgPool, sqlx::Error> {
    pool(max_connections, Duration::from_secs(10)).connect_with(options(url)?).await
}

impl Pool {
    /// A small pool of its own, to the same database: what keeps a worker alive must
    /// not queue behind what its callers ask.
    pub(crate) fn beside(&self, max_connections: u32) -> Self {
        let pool = pool(max_connections, Duration::from_secs(5)).connect_lazy_with(self.options());
        Self { pool, limit: self.limit }
    }

    /// The same connections, but nothing is waited for longer than that.
    pub(crate) fn within(&self, limit: Duration) -> Self {
        Self { pool: self.pool.clone(), limit: self.limit.min(limit) }
    }

    /// A connection outside the pool, with the pool's own settings.
    pub(crate) async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options()).await
    }

    /// Hears hints, on a connection of its own. One that is dropped asks the server not to be told
    /// any more, however long that takes: in a pool that nobody else waits for.
    pub(crate) async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.beside(1).pool).await?;
        listener.eager_reconnect(false);
        Ok(listener)
    }

    /// Has one of the connections perform a statement.
    async fn on<T>(
        &self,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut held = Held::default();
        let asked = async {
            let connection = held.connection.insert(self.pool.acquire().await?);
            ask(connection).await
        };
        let answer = timeout(self.limit, asked).await;
        held.answered(answer.map_err(|_| Silence))
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::clone(&self.pool.connect_options())
    }
}

/// Nothing was heard for too long.
struct Silence;

/// A connection that goes back to its pool: not without a limit, as by itself.
#[derive(Default)]
struct Held {
    connection: Option<PoolConnection<Postgres>>,
    /// Its statement has ended.
    at_rest: bool,
}

impl Held {
    fn of(connection: PoolConnection<Postgres>) -> Self {
        Self { connection: Some(connection), at_rest: false }
    }

    /// Performs a statement, and hands on its rows for as long as somebody reads.
    async fn read<'q>(
        &mut self,
        query: impl Execute<'q, Postgres> + 'q,
        limit: Duration,
        to: &mpsc::Sender<Result<Given, sqlx::Error>>,
    ) -> Result<Result<(), sqlx::Error>, Silence> {
        let Some(connection) = &mut self.connection else { return Ok(Ok(())) };
        let mut rows = connection.fetch_many(query);
        loop {
            match timeout(limit, rows.try_next()).await.map_err(|_| Silence)? {
                Ok(Some(row)) => {
                    if to.send(Ok(row)).await.is_err() {
                        // Nobody reads on.
                        return Ok(Ok(()));
                    }
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// What the statement came to; its connection is of use again unless nothing was heard.
    fn answered<T>(
        mut self,
        answer: Result<Result<T, sqlx::Error>, Silence>,
    ) -> Result<T, sqlx::Error> {
        self.at_rest = answer.is_ok();
        answer.unwrap_or_else(|Silence| {
            if let Some(mut connection) = self.connection.take() {
                connection.close_on_drop();
            }
            Err(sqlx::Error::Io(ErrorKind::TimedOut.into()))
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let back = connection.return_to_pool();
        // sqlx asks it twice whether it answers.
        let limit = if self.at_rest { 2 * ANSWERS } else { ENDS };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(limit, back));
        }
    }
}

fn pool(max_connections: u32, patience: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(patience)
        // It is asked anyway.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            // Alone, a rollback outside a transaction fills the server's log with warnings.
            let asked = async { sqlx::raw_sql("begin; rollback").execute(connection).await };
            Box::pin(answers(ANSWERS, asked))
        })
        .after_release(|connection, _| Box::pin(answers(RESTS, connection.ping())))
}

/// Whether a connection answers: `true`, or an error.
async fn answers<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<bool, sqlx::Error> {
    in_time(limit, asked).await.map(|_| true)
}

/// Waits for an answer, but no longer than that.
pub(crate) async fn in_time<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, asked).await.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))?
}

/// What every connection is opened with.
fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("hansom").options([
        ("timezone", "UTC"),
        ("statement_timeout", "15s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]))
}

/// Within the limit: of each row that is waited for, where there may be many.
impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Given, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let (to, mut rows) = mpsc::channel(1);
        let (pool, failed) = (self.clone(), to.clone());
        let read = async move {
            let mut held = Held::of(in_time(pool.limit, pool.pool.acquire()).await?);
            let ended = held.read(query, pool.limit, &to).await;
            held.answered(ended)
        };
        // Whoever waits for a row reads on.
        let mut reading = Box::pin(
            async move {
                if let Err(error) = read.await {
                    // An error says that nobody wants to know.
                    let _ = failed.send(Err(error)).await;
                }
            }
            .fuse(),
        );
        let next = move |cx: &mut Context<'_>| {
            let _ = reading.poll_unpin(cx);
            rows.poll_recv(cx)
        };
        stream::poll_fn(next).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.on(async |on| on.fetch_optional(query).await).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.on(async |on| on.prepare_with(sql, parameters).await).await })
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.on(async |on| on.describe(sql).await).await })
    }
}
