//! Hints from other processes: something is in an inbox, partitions are free, schedules changed.
//!
//! Only ever a hint. Polling goes on whatever happens here, and after a
//! reconnect everything is looked at, because hints may have been missed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::hub::Hub;
use super::told::ToLane;
use crate::store::Pool;
use crate::store::pool::{ANSWERS, in_time};

/// The channel; its payload is a partition, `inbox` for several, `partitions`, or `schedules`.
const CHANNEL: &str = "hansom";
/// Something is in the inboxes of several partitions.
const INBOX: &str = "inbox";
/// Somebody changed a schedule.
const SCHEDULES: &str = "schedules";
/// Where attempts wait to be claimed; its payload is a queue, and how many.
const TASKS: &str = "hansom_task";

/// After so long without a hint it is asked whether the connection still answers.
const SILENCE: Duration = Duration::from_secs(10);

/// Listens until it is aborted.
pub(crate) async fn run(pool: Pool, hub: Arc<Hub>, partitions: Arc<Notify>) {
    loop {
        if let Err(error) = listen(&pool, &hub, &partitions).await {
            tracing::warn!(%error, "listen_failed");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(pool: &Pool, hub: &Hub, partitions: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = pool.listener().await?;
    in_time(ANSWERS, listener.listen_all([CHANNEL, TASKS])).await?;
    // Whoever listens anew may have missed something.
    look_everywhere(hub, partitions);
    loop {
        let Ok(hint) = timeout(SILENCE, listener.try_recv()).await else {
            in_time(ANSWERS, listener.execute("select")).await?;
            continue;
        };
        // The connection was lost.
        let Some(hint) = hint? else { return Ok(()) };
        match hint.payload() {
            _ if hint.channel() == TASKS => {
                let (queue, count) = hint.payload().rsplit_once(' ').unwrap_or_default();
                hub.bells().ring(queue, count.parse().unwrap_or(1));
            }
            SCHEDULES => hub.schedules.notify_one(),
            INBOX => poke_all(hub),
            other => match other.parse() {
                Ok(part) => {
                    if let Some(lane) = hub.lane_of(part) {
                        // A lane that has stopped needs no hints.
                        let _ = lane.send(ToLane::Poke);
                    }
                }
                Err(_) => partitions.notify_one(),
            },
        }
    }
}

fn look_everywhere(hub: &Hub, partitions: &Notify) {
    hub.bells().ring_all();
    partitions.notify_one();
    hub.schedules.notify_one();
    poke_all(hub);
}

fn poke_all(hub: &Hub) {
    for lane in hub.lanes() {
        // A lane that has stopped needs no hints.
        let _ = lane.send(ToLane::Poke);
    }
}
