//! Whether lanes come back from the bodies that they poll.
//!
//! A body must not block or loop. One that does takes its lane with it, and nothing can stop a
//! thread. The worker says no more that it lives, so that others take over, that run included:
//! whoever loads it has to know that workers were lost in it, and this process may as well end.
//!
//! A task of its own: whatever else the worker does may be waiting for that lane. It looks twice
//! before it believes its clock: a process may be stopped, and a thread starved, for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::hub::Hub;
use crate::store::Pool;
use crate::store::workflow;

/// Runs until a lane has not come back for two leases. By then the worker is lost to the others.
pub(super) async fn run(pool: Pool, hub: Arc<Hub>, lease: Duration) {
    let (mut looked, mut before) = (Instant::now(), None);
    loop {
        sleep(lease / 3).await;
        let was_awake = looked.elapsed() < lease * 2 / 3;
        looked = Instant::now();
        let stuck = hub.stuck_at(lease * 2);
        let now = stuck.first().filter(|_| was_awake).map(|(run, since)| (run.run, *since));
        let is_sure = now.is_some() && now == before;
        before = now;
        let Some((first, _)) = stuck.first().filter(|_| is_sure) else { continue };
        for (run, _) in &stuck {
            tracing::error!(workflow_id = &*run.workflow_id, run = %run.run, "lost_in_body");
            // Not counted, it costs one worker more.
            match timeout(lease, workflow::is_lost_in(&pool, run)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "loss_not_counted"),
                Err(_) => tracing::warn!("loss_not_counted"),
            }
        }
        return hub.die(first);
    }
}
