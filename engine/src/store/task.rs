//! Attempts that are made elsewhere, from the offer to the outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hansom_core::{Direction, Payload, Seq};

use uuid::Uuid;

use super::commit::Lane;
use super::{Pool, int, to_time};
use crate::address::Part;
use crate::owner::Dispatch;

/// An attempt by its row, and its number.
pub(crate) type Key = (Part, Uuid, Seq, u32);

/// One attempt, in the hands of whoever claimed it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) part: Part,
    pub(crate) run: Uuid,
    pub(crate) seq: i32,
    pub(crate) attempt: i32,
    pub(crate) queue: String,
    pub(crate) workflow_id: String,
    pub(crate) activity: String,
    pub(crate) direction: i16,
    pub(crate) of_seq: i32,
    pub(crate) idempotency_key: String,
    pub(crate) request: String,
    pub(crate) token: Uuid,
    pub(crate) details: Option<String>,
    pub(crate) heartbeat_ms: Option<i64>,
    pub(crate) end_by: DateTime<Utc>,
}

/// One claim, to be found by who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) part: Part,
    pub(crate) run: Uuid,
    pub(crate) seq: i32,
    pub(crate) token: Uuid,
}

pub(crate) fn direction_code(direction: Direction) -> i16 {
    match direction {
        Direction::Do => 0,
        Direction::Undo => 1,
        Direction::Verify => 2,
    }
}

pub(crate) fn direction_of(code: i16) -> Direction {
    match code {
        1 => Direction::Undo,
        2 => Direction::Verify,
        _ => Direction::Do,
    }
}

/// A limit that leads past the end of time would let every claim of its queue fail.
const LONGEST: Duration = Duration::from_hours(365 * 24);

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.min(LONGEST).as_millis()).expect("a year fits")
}

/// Attempts as columns.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    part: Vec<i32>,
    run: Vec<Uuid>,
    seq: Vec<i32>,
    attempt: Vec<i32>,
    queue: Vec<String>,
    namespace: Vec<String>,
    workflow_id: Vec<String>,
    run_no: Vec<i32>,
    activity: Vec<String>,
    direction: Vec<i16>,
    of_seq: Vec<i32>,
    idempotency_key: Vec<String>,
    request: Vec<String>,
    limit_ms: Vec<i64>,
    heartbeat_ms: Vec<Option<i64>>,
    close_by: Vec<Option<DateTime<Utc>>>,
}

impl Offers {
    pub(crate) fn of(dispatches: Vec<Dispatch>) -> Self {
        let mut offers = Self::default();
        for dispatch in dispatches {
            offers.push(dispatch);
        }
        offers
    }

    fn push(&mut self, dispatch: Dispatch) {
        let Some(queue) = dispatch.queue.as_deref() else { return };
        self.idempotency_key.push(dispatch.context().idempotency_key());
        self.queue.push(queue.to_owned());
        let Dispatch { address, seq, of, direction, attempt, call, .. } = dispatch;
        self.part.push(address.part);
        self.run.push(address.run);
        self.seq.push(int(seq.0));
        self.attempt.push(int(attempt));
        self.namespace.push(address.namespace.to_string());
        self.workflow_id.push(address.workflow_id.to_string());
        self.run_no.push(address.run_no);
        self.activity.push(call.activity);
        self.direction.push(direction_code(direction));
        self.of_seq.push(int(of.0));
        self.request.push(call.request.get().to_owned());
        self.limit_ms.push(millis(dispatch.limit));
        self.heartbeat_ms.push(dispatch.heartbeat.map(millis));
        self.close_by.push(dispatch.close_by.map(to_time));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.run.is_empty()
    }
}

/// Offers attempts, and then drops those of `over`, whose outcome is committed. False when the
/// worker has been buried. Doing it again changes nothing.
pub(crate) async fn offer(
    pool: &Pool,
    lane: Lane,
    offers: &Offers,
    over: &[Key],
) -> Result<bool, sqlx::Error> {
    let parts: Vec<_> = over.iter().map(|(part, ..)| *part).collect();
    let runs: Vec<_> = over.iter().map(|(_, run, ..)| *run).collect();
    let seqs: Vec<_> = over.iter().map(|(_, _, seq, _)| int(seq.0)).collect();
    let attempts: Vec<_> = over.iter().map(|(.., attempt)| int(*attempt)).collect();
    sqlx::query_scalar!(
        r#"select hansom.offer($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
               $16, $17, $18, $19, $20, $21, $22) as "lives!""#,
        lane.worker,
        lane.lane,
        &offers.part,
        &offers.run,
        &offers.seq,
        &offers.attempt,
        &offers.queue,
        &offers.namespace,
        &offers.workflow_id,
        &offers.run_no,
        &offers.activity,
        &offers.direction,
        &offers.of_seq,
        &offers.idempotency_key,
        &offers.request,
        &offers.limit_ms,
        &offers.heartbeat_ms as _,
        &offers.close_by as _,
        &parts,
        &runs,
        &seqs,
        &attempts,
    )
    .fetch_one(pool)
    .await
}

/// These runs unwind: nobody needs their actions any more.
pub(crate) async fn recall(pool: &Pool, runs: &[(Part, Uuid)]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = runs.iter().map(|(part, _)| *part).collect();
    let runs: Vec<_> = runs.iter().map(|(_, run)| *run).collect();
    sqlx::query!("select hansom.recall_tasks($1, $2)", &parts, &runs).execute(pool).await?;
    Ok(())
}

/// These runs are closed: nobody needs anything of them any more.
pub(crate) async fn abandon(pool: &Pool, runs: &[(Part, Uuid)]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = runs.iter().map(|(part, _)| *part).collect();
    let runs: Vec<_> = runs.iter().map(|(_, run)| *run).collect();
    sqlx::query!(
        "delete from hansom.task t using unnest($1::int[], $2::uuid[]) as n (part, run)
         where t.part = n.part and t.run = n.run",
        &parts,
        &runs,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Drops what is left of runs of these partitions that are closed.
pub(crate) async fn sweep(pool: &Pool, parts: &[Part]) -> Result<u64, sqlx::Error> {
    let swept = sqlx::query!(
        "delete from hansom.task t
         where t.part = any ($1) and not exists (
             select from hansom.workflow w
             where w.hot in (true, false) and w.run = t.run and w.closed_at is null)",
        parts,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}

/// Settles attempts of these partitions as failed that were offered where their activities are not
/// performed any more: each is one of `activities`, and its queue that of the same place, if any.
pub(crate) async fn take_back(
    pool: &Pool,
    parts: &[Part],
    (activities, queues): (&[&str], &[Option<&str>]),
) -> Result<u64, sqlx::Error> {
    let taken = sqlx::query!(
        "with t as (
             update hansom.task t set state = 2, token = null
             from unnest($2::text[], $3::text[]) as here (activity, queue)
             where t.part = any ($1) and t.state < 2 and t.activity = here.activity
               and t.queue is distinct from here.queue
             returning t.*
         )
         insert into hansom.inbox as i
             (part, run, message, namespace, workflow_id, run_no, payload)
         select part, run, 'outcome:' || seq || ':' || attempt, namespace, workflow_id, run_no,
                json_build_object('failed', json_build_object(
                    'reason', 'it is not performed by way of queue ' || queue || ' any more'))::text
         from t
         on conflict (part, run, message) do nothing",
        parts,
        activities as _,
        queues as _,
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected())
}

/// Settles up to `limit` attempts of these partitions that are too late, as failed; answers how
/// many that were.
pub(crate) async fn expire(pool: &Pool, parts: &[Part], limit: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(r#"select hansom.expire_tasks($1, $2) as "expired!""#, parts, limit)
        .fetch_one(pool)
        .await
}

/// Takes up to `limit` attempts of these queues.
pub(crate) async fn claim(
    pool: &Pool,
    queues: &[String],
    worker: &str,
    limit: i32,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select part as "part!", run as "run!", seq as "seq!", attempt as "attempt!",
               queue as "queue!", workflow_id as "workflow_id!", activity as "activity!",
               direction as "direction!", of_seq as "of_seq!",
               idempotency_key as "idempotency_key!", request as "request!", token as "token!",
               details, heartbeat_ms, end_by as "end_by!"
           from hansom.claim_tasks($1, $2, $3)"#,
        queues,
        worker,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Gives claims back that nobody has heard of. Those whose workflow unwinds by now are withdrawn, as
/// are those that nobody had claimed.
pub(crate) async fn unclaim(pool: &Pool, tokens: &[Claim]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = tokens.iter().map(|claim| claim.part).collect();
    let runs: Vec<_> = tokens.iter().map(|claim| claim.run).collect();
    let seqs: Vec<_> = tokens.iter().map(|claim| claim.seq).collect();
    let tokens: Vec<_> = tokens.iter().map(|claim| claim.token).collect();
    sqlx::query!(
        r#"with given as (
             update hansom.task t
             set state = case when t.cancelled then 2 else 0 end, token = null, worker = null,
                 end_by = null, expires_at = t.close_by
             from unnest($1::int[], $2::uuid[], $3::int[], $4::uuid[]) as n (part, run, seq, token)
             where t.part = n.part and t.run = n.run and t.seq = n.seq and t.token = n.token
               and t.state = 1
             returning t.*
           )
           insert into hansom.inbox as i
               (part, run, message, namespace, workflow_id, run_no, payload)
           select g.part, g.run, 'outcome:' || g.seq || ':' || g.attempt, g.namespace,
                  g.workflow_id, g.run_no,
                  '{"failed":{"reason":"withdrawn: nobody has heard of its claim"}}'
           from given g where g.state = 2
           on conflict (part, run, message) do nothing"#,
        &parts,
        &runs,
        &seqs,
        &tokens,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What a heartbeat is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beaten {
    pub(crate) cancelled: bool,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Whoever holds a claim lives, and is so far; `None` when he does not hold it any more.
pub(crate) async fn beat(
    pool: &Pool,
    claim: Claim,
    details: Option<&Payload>,
) -> Result<Option<Beaten>, sqlx::Error> {
    let Claim { part, run, seq, token } = claim;
    sqlx::query_as!(
        Beaten,
        r#"with t as (
             update hansom.task
             set expires_at = least(end_by, clock_timestamp() + heartbeat_ms * interval '1 ms')
             where part = $1 and run = $2 and seq = $3 and token = $4 and state = 1
             returning *
         ), h as (
             insert into hansom.heartbeat as h (part, run, seq, attempt, details, beat_at)
             select part, run, seq, attempt, $5::text, clock_timestamp() from t
             where $5::text is not null
             on conflict (part, run, seq) do update
             set attempt = excluded.attempt, details = excluded.details,
                 beat_at = excluded.beat_at
             where h.attempt <= excluded.attempt
         )
         select cancelled as "cancelled!", expires_at as "expires_at!" from t"#,
        part,
        run,
        seq,
        token,
        details.map(Payload::get),
    )
    .fetch_optional(pool)
    .await
}

/// Settles the claim of an attempt of `activity`: its outcome goes to the owner, with a hint when
/// that is `elsewhere`, and with a `last` one goes what was said of the step. False when the claim
/// is not held any more.
pub(crate) async fn settle(
    pool: &Pool,
    (claim, activity): (Claim, &str),
    outcome: &str,
    last: bool,
    elsewhere: bool,
) -> Result<bool, sqlx::Error> {
    let Claim { part, run, seq, token } = claim;
    let settled = sqlx::query_scalar!(
        r#"with t as (
             update hansom.task set state = 2, token = null
             where part = $1 and run = $2 and seq = $3 and token = $4 and activity = $8
               and state = 1
             returning *
         ), i as (
             insert into hansom.inbox
                 (part, run, message, namespace, workflow_id, run_no, payload)
             select part, run, 'outcome:' || seq || ':' || attempt, namespace, workflow_id,
                    run_no, $5
             from t
             on conflict (part, run, message) do nothing
         ), h as (
             delete from hansom.heartbeat h using t
             where $6 and h.part = t.part and h.run = t.run and h.seq = t.seq
         )
         select case when $7 then pg_notify('hansom', part::text) end is null as "told" from t"#,
        part,
        run,
        seq,
        token,
        outcome,
        last,
        elsewhere,
        activity,
    )
    .fetch_optional(pool)
    .await?;
    Ok(settled.is_some())
}

/// How many attempts of each queue wait, and how many are claimed.
pub(crate) async fn counts(pool: &Pool) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    sqlx::query!(
        r#"select queue, count(*) filter (where state = 0) as "waiting!",
               count(*) filter (where state = 1) as "claimed!"
           from hansom.task where state < 2 group by queue order by queue"#
    )
    .map(|row| (row.queue, row.waiting, row.claimed))
    .fetch_all(pool)
    .await
}
