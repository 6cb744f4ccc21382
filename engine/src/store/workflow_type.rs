//! Workflow types that workers have known.

use super::Pool;

/// A worker joins that knows these: from now on a start in SQL takes them.
pub(crate) async fn know(pool: &Pool, types: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into hansom.workflow_type as t (type) select unnest($1::text[])
         on conflict (type) do update set joined_at = clock_timestamp()",
        types,
    )
    .execute(pool)
    .await?;
    Ok(())
}
