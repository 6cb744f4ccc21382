//! Which workers live. The database's clock alone decides.

use std::time::Duration;

use hansom_core::Timestamp;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{Pool, from_time};

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

/// Makes a worker known, with a fence for each of its lanes.
pub(crate) async fn register(pool: &Pool, worker: Uuid, lanes: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with w as (insert into hansom.worker (worker_id) values ($1))
         insert into hansom.fence (worker_id, lane) select $1, generate_series(0, $2 - 1)",
        worker,
        lanes,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Says that a worker lives; answers the time, or `None` when it has been buried.
pub(crate) async fn beat(pool: &Pool, worker: Uuid) -> Result<Option<Timestamp>, sqlx::Error> {
    let at = sqlx::query_scalar!(
        "update hansom.worker set heartbeat_at = clock_timestamp()
         where worker_id = $1 returning heartbeat_at",
        worker,
    )
    .fetch_optional(pool)
    .await?;
    Ok(at.map(from_time))
}

/// The database's time.
pub(crate) async fn time(pool: &Pool) -> Result<Timestamp, sqlx::Error> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "time!""#)
        .fetch_one(pool)
        .await
        .map(from_time)
}

/// Workers that live, and workers that have not been heard of for `lease`.
pub(crate) async fn census(
    pool: &Pool,
    lease: Duration,
) -> Result<(Vec<Uuid>, Vec<Uuid>), sqlx::Error> {
    let workers: Vec<(Uuid, bool)> = sqlx::query!(
        r#"select worker_id, heartbeat_at >= clock_timestamp() - $1::interval as "lives!"
         from hansom.worker order by worker_id"#,
        interval(lease),
    )
    .map(|row| (row.worker_id, row.lives))
    .fetch_all(pool)
    .await?;
    let (live, dead): (Vec<_>, Vec<_>) = workers.into_iter().partition(|(_, lives)| *lives);
    let ids = |workers: Vec<(Uuid, bool)>| workers.into_iter().map(|(id, _)| id).collect();
    Ok((ids(live), ids(dead)))
}

/// Buries a worker that has not been heard of for `lease`: waits for its commit
/// in flight, fences it, and frees its partitions. False when it lives after
/// all, or somebody else is at it.
pub(crate) async fn bury(pool: &Pool, worker: Uuid, lease: Duration) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select hansom.bury($1, $2) as "buried!""#, worker, interval(lease),)
        .fetch_one(pool)
        .await
}

/// A worker goes in peace, after its last commit.
pub(crate) async fn leave(pool: &Pool, worker: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with f as (delete from hansom.fence where worker_id = $1),
              p as (update hansom.partition set owner = null, clean = true where owner = $1),
              w as (delete from hansom.worker where worker_id = $1)
         select pg_notify('hansom', 'partitions')",
        worker,
    )
    .execute(pool)
    .await?;
    Ok(())
}
