//! What a benchmark asks the database, and the ceiling it compares itself with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

use super::commit::{Columns, CommitError, Lane, commit};
use super::{Pool, worker};
use crate::address::{Address, NAMESPACE};

/// Counters of the database the pool is connected to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Transactions that wrote, in the whole cluster.
    pub transactions: i64,
    /// Bytes of write-ahead log, in the whole cluster.
    pub wal_bytes: i64,
    /// Rows inserted, updated and deleted in the engine's tables.
    pub rows: i64,
    /// Bytes of the engine's tables, with their indexes.
    pub table_bytes: i64,
    /// A backend, to find the server's processes by.
    pub backend_pid: i32,
}

/// Reads the counters. Rows arrive in them with a delay of a second or two.
pub async fn counters(pool: &PgPool) -> Result<Counters, sqlx::Error> {
    sqlx::query_as!(
        Counters,
        r#"select pg_current_xact_id()::text::bigint as "transactions!",
                pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as "wal_bytes!",
                coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint as "rows!",
                coalesce(sum(pg_total_relation_size(relid)), 0)::bigint as "table_bytes!",
                pg_backend_pid() as "backend_pid!"
         from pg_stat_user_tables
         where schemaname = 'hansom' and relname in ('workflow', 'history', 'alarm', 'inbox')"#,
    )
    .fetch_one(pool)
    .await
}

/// Empties the engine's tables of a database made for measuring, and lets the
/// server write down what it has in memory.
pub async fn reset(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("truncate hansom.workflow, hansom.history, hansom.alarm, hansom.inbox")
        .execute(pool)
        .await?;
    sqlx::query("checkpoint").execute(pool).await?;
    Ok(())
}

/// How many sagas a second could be written at most: the rows of four commits
/// each (started, two outcomes, completed), `batch` sagas to a commit, on
/// `connections` connections, through the engine's own commit. No bodies, no
/// handlers, no replies. `events` are the JSON of the four history rows.
pub async fn ceiling(
    pool: &PgPool,
    connections: i32,
    batch: usize,
    events: &[String; 4],
    duration: Duration,
) -> Result<f64, sqlx::Error> {
    let (pool, id) = (&Pool::from(pool.clone()), Uuid::now_v7());
    worker::register(pool, id, connections).await?;
    let begun = Instant::now();
    let lanes = (0..connections).map(|lane| {
        let (pool, events) = (pool.clone(), events.clone());
        let lane = Lane { worker: id, lane };
        tokio::spawn(async move { write(&pool, lane, batch, &events, begun + duration).await })
    });
    let mut sagas = 0;
    for lane in futures_util::future::join_all(lanes).await {
        sagas += lane.map_err(|error| sqlx::Error::Io(error.into()))??;
    }
    let rate = f64::from(sagas) / begun.elapsed().as_secs_f64();
    worker::leave(pool, id).await?;
    Ok(rate)
}

fn address() -> Arc<Address> {
    let run = Uuid::now_v7();
    Arc::new(Address {
        part: i32::from(run.as_bytes()[15]),
        run,
        namespace: NAMESPACE.into(),
        workflow_id: format!("ceiling-{}", run.as_u128() % 1_000_000_000).into(),
        run_no: 1,
    })
}

async fn write(
    pool: &Pool,
    lane: Lane,
    batch: usize,
    events: &[String; 4],
    end: Instant,
) -> Result<u32, sqlx::Error> {
    let mut connection = pool.connection().await?;
    let now = worker::time(pool).await?;
    let (mut sagas, mut number) = (0, 0);
    while Instant::now() < end {
        let runs: Vec<_> = (0..batch).map(|_| address()).collect();
        for (step, events) in (0..).zip(events) {
            number += 1;
            let columns = Columns::of_ceiling(number, step, &runs, events, now);
            commit(&mut connection, lane, &columns).await.map_err(|error| match error {
                CommitError::Unknown(error) | CommitError::Refused(error) => error,
                CommitError::Fenced => sqlx::Error::WorkerCrashed,
            })?;
        }
        sagas += u32::try_from(batch).unwrap_or(u32::MAX);
    }
    Ok(sagas)
}

/// How many runs a new owner would have to load.
pub async fn hot(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from hansom.workflow where hot"#)
        .fetch_one(pool)
        .await
}
