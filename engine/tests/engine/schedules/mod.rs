//! Workflows that the clock starts.

mod crowd;
mod hands;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use hansom_core::Payload;
use hansom_engine::Client;
use hansom_engine::schedule::{Action, Definition, Fire, Outcome, Overlap, Policy, When};
use serde::Serialize;
use sqlx::PgPool;

use crate::crew::{count, until};
use crate::kit::Ride;

const AT_ONCE: Ride = Ride { patience_ms: 0 };
const PATIENT: Ride = Ride { patience_ms: 600_000 };

/// Starts a workflow of that type with that input.
fn starts(workflow_type: &str, input: &impl Serialize, spec: &str, overlap: Overlap) -> Definition {
    Definition {
        action: Action {
            workflow_type: workflow_type.to_owned(),
            workflow_id_prefix: "s".to_owned(),
            input: Payload::of(input).unwrap(),
            labels: BTreeMap::new(),
        },
        when: When::new(spec, "UTC"),
        policy: Policy { overlap, ..Policy::default() },
    }
}

/// All fires of a schedule, earliest first.
async fn fires(client: &Client, id: &str) -> Vec<Fire> {
    let mut fires = Vec::new();
    loop {
        let before = fires.last().map(|fire: &Fire| fire.nominal);
        let page = client.schedule_fires(id, None, before, 200).await.unwrap();
        fires.extend(page.items);
        if page.next.is_none() {
            fires.reverse();
            return fires;
        }
    }
}

/// How many fires of a schedule had that outcome.
async fn outcomes(client: &Client, id: &str, outcome: Outcome) -> usize {
    let all = fires(client, id).await;
    all.iter().filter(|fire| fire.outcome == outcome).count()
}

/// Waits until so many fires had that outcome.
async fn until_fires(client: &Client, id: &str, outcome: Outcome, at_least: usize) {
    until(&format!("{at_least} fires of {id} are {outcome:?}"), async || {
        outcomes(client, id, outcome).await >= at_least
    })
    .await;
}

/// The clock was so much later when somebody looked last.
async fn outage(sql: &PgPool, interval: &'static str) {
    let hours = format!(
        "update hansom.schedule set next_at = next_at - interval '{interval}',
             look_at = look_at - interval '{interval}', revision = revision + 1"
    );
    sqlx::query(sqlx::AssertSqlSafe(hours)).execute(sql).await.unwrap();
}

/// Waits past the next full quarter, or hour, if that is so near that it could come into the test.
pub(crate) async fn no_boundary(minutes: i64) {
    let period = minutes * 60;
    let left = period - Utc::now().timestamp().rem_euclid(period);
    if left < 30 {
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs() + 1)).await;
    }
}

/// Every fire that started something has its workflow, and every workflow its fire; no nominal
/// time of a schedule that is due every second is missing.
async fn audit_fires(sql: &PgPool) {
    let without = "select count(*) from hansom.schedule_fire f where outcome = 1 and not exists (
        select from hansom.workflow w where w.part = f.workflow_part
            and w.workflow_id = f.workflow_id and w.run = f.run)";
    assert_eq!(count(sql, without).await, 0, "a fire that started has its workflow");
    let orphans =
        "select count(*) from hansom.workflow w where labels ? 'schedule' and not exists (
        select from hansom.schedule_fire f where f.run = w.run and f.outcome = 1
            and f.schedule_id = w.labels ->> 'schedule')";
    assert_eq!(count(sql, orphans).await, 0, "a workflow of a schedule has its fire");
    let gaps = "select count(*) from (
        select nominal - lag(nominal) over (partition by schedule_id order by nominal) as gap
        from hansom.schedule_fire where cause = 0) f where gap <> interval '1 second'";
    assert_eq!(count(sql, gaps).await, 0, "no time is missing");
}
