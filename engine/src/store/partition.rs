//! Which worker owns which partition.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::Pool;
use crate::address::Part;

/// Makes the partitions, once; answers how many there are.
pub(crate) async fn create(pool: &Pool, partitions: i32) -> Result<i32, sqlx::Error> {
    sqlx::query!(
        "insert into hansom.setting (name, value) values ('partitions', $1)
         on conflict (name) do nothing",
        partitions.to_string(),
    )
    .execute(pool)
    .await?;
    let stored = count(pool).await?;
    sqlx::query!(
        "insert into hansom.partition (part) select generate_series(0, $1 - 1)
         on conflict (part) do nothing",
        stored,
    )
    .execute(pool)
    .await?;
    Ok(stored)
}

/// How many partitions this database was created with.
pub(crate) async fn count(db: impl PgExecutor<'_>) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select value::int as "count!" from hansom.setting where name = 'partitions'"#
    )
    .fetch_one(db)
    .await
}

/// Takes up to `wanted` partitions that nobody owns: their number, and whether
/// their last owner left in peace.
pub(crate) async fn claim(
    pool: &Pool,
    worker: Uuid,
    wanted: i32,
) -> Result<Vec<(Part, i64, bool)>, sqlx::Error> {
    sqlx::query!(
        r#"select part as "part!", epoch as "epoch!", clean as "clean!" from hansom.claim($1, $2)"#,
        worker,
        wanted,
    )
    .map(|row| (row.part, row.epoch, row.clean))
    .fetch_all(pool)
    .await
}

/// Hands partitions over, to whoever claims them first.
pub(crate) async fn release(pool: &Pool, worker: Uuid, parts: &[Part]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with released as (
             update hansom.partition set owner = null, clean = true
             where owner = $1 and part = any ($2) returning part
         )
         select pg_notify('hansom', 'partitions') where exists (select from released)",
        worker,
        parts,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Frees partitions whose owner is gone without a trace. Belt and braces: a
/// burial frees them, and a claim by the buried is refused.
pub(crate) async fn free_orphans(pool: &Pool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update hansom.partition p set owner = null, epoch = epoch + 1, clean = false
         where owner is not null
           and not exists (select from hansom.worker w where w.worker_id = p.owner)",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How many partitions nobody owns.
pub(crate) async fn free(pool: &Pool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from hansom.partition where owner is null"#)
        .fetch_one(pool)
        .await
}
