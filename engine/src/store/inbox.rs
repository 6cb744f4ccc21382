//! Messages from other processes.

use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;

use crate::address::{Address, Part};
use crate::owner::Message;

type Row = (Part, Uuid, String, String, String, i32, Option<String>, Option<String>);

/// Up to `limit` messages of these partitions, in order of arrival.
pub(crate) async fn read(
    pool: &PgPool,
    parts: &[Part],
    limit: i64,
) -> Result<Vec<Message>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select part, run, message, namespace, workflow_id, run_no, name, payload
         from hansom.inbox where part = any ($1)
         order by received_at, message limit $2",
    )
    .bind(parts)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(message).collect())
}

fn message(row: Row) -> Message {
    let (part, run, key, namespace, workflow_id, run_no, name, payload) = row;
    let (namespace, workflow_id) = (namespace.into(), workflow_id.into());
    let address = Arc::new(Address { part, run, namespace, workflow_id, run_no });
    Message { address, key, name, payload }
}

/// Leaves a message for the owner, with a hint when it is `elsewhere`. A
/// repetition is one message. Unfenced: it only adds, and the owner decides.
pub(crate) async fn send(
    pool: &PgPool,
    message: &Message,
    elsewhere: bool,
) -> Result<(), sqlx::Error> {
    let Message { address, key, name, payload } = message;
    sqlx::query(
        "with i as (
             insert into hansom.inbox
                 (part, run, message, namespace, workflow_id, run_no, name, payload)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (part, run, message) do nothing
         )
         select case when $9 then pg_notify('hansom', $1::text) end",
    )
    .bind(address.part)
    .bind(address.run)
    .bind(key)
    .bind(&*address.namespace)
    .bind(&*address.workflow_id)
    .bind(address.run_no)
    .bind(name)
    .bind(payload)
    .bind(elsewhere)
    .execute(pool)
    .await?;
    Ok(())
}

/// How many messages of a run wait.
pub(crate) async fn waiting(pool: &PgPool, part: Part, run: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from hansom.inbox where part = $1 and run = $2")
        .bind(part)
        .bind(run)
        .fetch_one(pool)
        .await
}
