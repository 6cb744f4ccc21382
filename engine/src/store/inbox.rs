//! Messages from other processes.

use std::sync::Arc;

use sqlx::PgExecutor;
use uuid::Uuid;

use super::Pool;
use crate::address::{Address, Part};
use crate::owner::Message;

/// A message, and the run that has taken the place of its own.
pub(crate) type Arrived = (Message, Option<Arc<Address>>);

/// So many bytes of payloads are read at once; one message in any case.
const BYTES: i64 = 16 * 1024 * 1024;

/// Up to `limit` messages of these partitions, in order of arrival, but for
/// those of the runs in `except`; with the run that it is for by now, where its own went on in
/// others. And whether there may be more.
pub(crate) async fn read(
    pool: &Pool,
    parts: &[Part],
    except: &[Uuid],
    limit: i64,
) -> Result<(Vec<Arrived>, bool), sqlx::Error> {
    let rows = sqlx::query!(
        r#"select i.part, i.run, i.message, i.namespace, i.workflow_id, i.run_no, i.name,
                case when i.before < $4::bigint then i.payload end as payload,
                i.before < $4::bigint as "fits!", h.run as "heir?", h.run_no as "heir_no?"
         from (
             select m.*, sum(size) over (order by received_at, message) - size as before
             from (
                 select m.*, coalesce(octet_length(m.payload), 0)::bigint as size
                 from unnest($1::int[]) as p (part) cross join lateral (
                     select * from hansom.inbox
                     where inbox.part = p.part and run <> all ($2)
                     order by received_at, message limit $3
                 ) m
                 order by m.received_at, m.message limit $3
             ) m
         ) i left join lateral (
             select n.run, n.run_no
             from hansom.workflow o join hansom.workflow n using (part, namespace, workflow_id)
             where o.part = i.part and o.namespace = i.namespace and o.workflow_id = i.workflow_id
               and o.run_no = i.run_no and o.run = i.run and o.status = 7
               and n.run_no > i.run_no and n.status <> 7
             order by n.run_no limit 1
         ) h on true
         order by i.received_at, i.message"#,
        parts,
        except,
        limit,
        BYTES,
    )
    .fetch_all(pool)
    .await?;
    let read = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let fitting = rows.into_iter().take_while(|row| row.fits);
    let messages: Vec<_> = fitting
        .map(|row| {
            let address = Address {
                part: row.part,
                run: row.run,
                namespace: row.namespace.into(),
                workflow_id: row.workflow_id.into(),
                run_no: row.run_no,
            };
            let heir = row.heir.zip(row.heir_no);
            let heir =
                heir.map(|(run, run_no)| Arc::new(Address { run, run_no, ..address.clone() }));
            let address = Arc::new(address);
            (Message { address, key: row.message, name: row.name, payload: row.payload }, heir)
        })
        .collect();
    let more = read == limit || i64::try_from(messages.len()).is_ok_and(|count| count < read);
    Ok((messages, more))
}

/// Leaves a message for the owner, with a hint when it is `elsewhere`. A
/// repetition is one message. Unfenced: it only adds, and the owner decides.
pub(crate) async fn send(
    db: impl PgExecutor<'_>,
    message: &Message,
    elsewhere: bool,
) -> Result<(), sqlx::Error> {
    let Message { address, key, name, payload } = message;
    sqlx::query!(
        "with i as (
             insert into hansom.inbox
                 (part, run, message, namespace, workflow_id, run_no, name, payload)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (part, run, message) do nothing
         )
         select case when $9 then pg_notify('hansom', $1::text) end",
        address.part,
        address.run,
        key,
        &*address.namespace,
        &*address.workflow_id,
        address.run_no,
        name.as_deref(),
        payload.as_deref(),
        elsewhere,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many messages of a run wait.
pub(crate) async fn waiting(
    db: impl PgExecutor<'_>,
    part: Part,
    run: Uuid,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from hansom.inbox where part = $1 and run = $2"#,
        part,
        run,
    )
    .fetch_one(db)
    .await
}
