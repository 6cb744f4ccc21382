//! What attempts say while they work.

use hansom_core::{Payload, Seq};

use uuid::Uuid;

use super::{Pool, int};
use crate::address::Part;

/// A step, by its row.
pub(crate) type Step = (Part, Uuid, Seq);

/// Keeps what attempts said last, unless a later attempt of the step has said something. No
/// step is among `beats` twice. Unfenced: an attempt may outlive its owner, and its number decides.
pub(crate) async fn write(pool: &Pool, beats: &[(Step, u32, Payload)]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = beats.iter().map(|((part, ..), ..)| *part).collect();
    let runs: Vec<_> = beats.iter().map(|((_, run, _), ..)| *run).collect();
    let seqs: Vec<_> = beats.iter().map(|((.., seq), ..)| int(seq.0)).collect();
    let attempts: Vec<_> = beats.iter().map(|(_, attempt, _)| int(*attempt)).collect();
    let details: Vec<_> = beats.iter().map(|(.., details)| details.get().to_owned()).collect();
    sqlx::query!(
        "insert into hansom.heartbeat as h (part, run, seq, attempt, details, beat_at)
         select n.part, n.run, n.seq, n.attempt, n.details, clock_timestamp()
         from unnest($1::int[], $2::uuid[], $3::int[], $4::int[], $5::text[])
             as n (part, run, seq, attempt, details)
         on conflict (part, run, seq) do update
         set attempt = excluded.attempt, details = excluded.details, beat_at = excluded.beat_at
         where h.attempt <= excluded.attempt",
        &parts,
        &runs,
        &seqs,
        &attempts,
        &details,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What was said last of a step.
pub(crate) async fn last(
    pool: &Pool,
    (part, run, seq): Step,
) -> Result<Option<Payload>, sqlx::Error> {
    let details = sqlx::query_scalar!(
        "select details from hansom.heartbeat where part = $1 and run = $2 and seq = $3",
        part,
        run,
        int(seq.0),
    )
    .fetch_optional(pool)
    .await?;
    Ok(details.and_then(|details| Payload::parse(details).ok()))
}

/// Drops what was said of steps that have ended.
pub(crate) async fn forget(pool: &Pool, steps: &[Step]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = steps.iter().map(|(part, ..)| *part).collect();
    let runs: Vec<_> = steps.iter().map(|(_, run, _)| *run).collect();
    let seqs: Vec<_> = steps.iter().map(|(.., seq)| int(seq.0)).collect();
    sqlx::query!(
        "delete from hansom.heartbeat h
         using unnest($1::int[], $2::uuid[], $3::int[]) as n (part, run, seq)
         where h.part = n.part and h.run = n.run and h.seq = n.seq",
        &parts,
        &runs,
        &seqs,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Drops what is left of runs of these partitions that are closed.
pub(crate) async fn sweep(pool: &Pool, parts: &[Part]) -> Result<u64, sqlx::Error> {
    let swept = sqlx::query!(
        "delete from hansom.heartbeat h
         where h.part = any ($1) and not exists (
             select from hansom.workflow w
             where w.hot in (true, false) and w.run = h.run and w.closed_at is null)",
        parts,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
