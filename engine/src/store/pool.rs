//! Connections that are shared, and statements that end.
//!
//! A connection can be cut without anybody being told: its host is lost, or a firewall has
//! forgotten what it let through. Nothing would arrive on it any more, and its kernel waits for a
//! quarter of an hour. So nothing is waited for without a limit:
//!
//! * *Nobody uses it.* Whoever takes it next asks first whether it still answers, and gets another
//!   one otherwise.
//! * *A statement is under way.* The server ends those that take too long. Who has heard nothing
//!   for longer never will: its statement is an error, as if the connection had been closed, and
//!   says nothing about what became of it.
//! * *It is given back in the middle of one.* Then it does not answer, and is closed.
//!
//! Owners commit, and transactional attempts run, on connections of their own, with limits of their
//! own.

use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{
    PgConnectOptions, PgListener, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Connection, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr};
use tokio::time::timeout;

/// A connection that does not answer within that does not answer.
pub(crate) const ANSWERS: Duration = Duration::from_secs(1);

/// Longer than a connection is waited for, and a statement is let run by the server.
const ENDS: Duration = Duration::from_secs(30);

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
/// answer within a second, before its next use or when it is given back, is closed.
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
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// A connection outside the pool, with the pool's own settings.
    pub(crate) async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options()).await
    }

    /// Hears hints, on a connection of its own.
    pub(crate) async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        PgListener::connect_with(&self.pool).await
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::clone(&self.pool.connect_options())
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
            Box::pin(answers(async { sqlx::raw_sql("begin; rollback").execute(connection).await }))
        })
        .after_release(|connection, _| Box::pin(answers(connection.ping())))
}

/// Whether a connection answers: `true`, or an error.
async fn answers<T>(
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<bool, sqlx::Error> {
    in_time(ANSWERS, asked).await.map(|_| true)
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

/// As the pool itself, within the limit: of each row that is waited for, where there may be many.
impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let (limit, rows) = (self.limit, self.pool.fetch_many(query));
        let next = move |mut rows: BoxStream<'e, _>| async move {
            let row = in_time(limit, rows.try_next()).await?;
            Ok(row.map(|row| (row, rows)))
        };
        stream::try_unfold(rows, next).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(in_time(self.limit, self.pool.fetch_optional(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(in_time(self.limit, self.pool.prepare_with(sql, parameters)))
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(in_time(self.limit, self.pool.describe(sql)))
    }
}
