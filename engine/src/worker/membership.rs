//! Which partitions are this worker's: a heartbeat, burials, claims, releases.
//!
//! Every worker does this by itself, without a leader:
//!
//! * It says that it lives, every third of a lease, by the database's clock. It has a connection
//!   for this that nobody else uses, and waits for an answer only so long that it can ask again.
//! * It buries whoever has not been heard of for a lease. A burial first takes
//!   the dead worker's fence, which waits for a commit in flight, and only then
//!   frees its partitions: so two workers never write to one partition. Two
//!   workers at one burial: one skips, by the row's lock.
//! * It claims and releases until it has its share, `partitions / workers`.
//!   A release waits until what the lane has written is committed.
//!
//! A worker that finds itself buried (stopped for longer than a lease, cut off)
//! drops all memory and joins anew under another name. Until it notices, its
//! commits are refused by the fence.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hansom_core::Timestamp;

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::hub::Hub;
use super::told::ToLane;
use crate::address::Part;
use crate::clock::Clock;
use crate::metered;
use crate::store::pool::ANSWERS;
use crate::store::{Pool, partition, task, worker};
use crate::{Registry, Settings};

/// How long a release for the sake of balance waits for attempts under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// What makes a membership look sooner.
#[derive(Clone, Default)]
pub(crate) struct Notices {
    /// A lane found itself fenced.
    pub(crate) fenced: Arc<Notify>,
    /// Somebody freed partitions.
    pub(crate) partitions: Arc<Notify>,
}

/// How steadily this worker could say that it lives.
struct Pulse {
    last: Instant,
    unbroken_since: Option<Instant>,
}

impl Pulse {
    /// A worker that has just come may bury at once: it was not cut off.
    fn new() -> Self {
        Self { last: Instant::now(), unbroken_since: None }
    }

    fn beat(&mut self, lease: Duration) {
        if self.last.elapsed() > lease * 2 / 3 {
            self.unbroken_since = Some(Instant::now());
        }
        self.last = Instant::now();
    }

    fn may_bury(&self, lease: Duration) -> bool {
        self.unbroken_since.is_none_or(|since| since.elapsed() >= lease)
    }
}

/// This worker among all workers.
pub(crate) struct Membership {
    pool: Pool,
    hub: Arc<Hub>,
    registry: Arc<Registry>,
    clock: Arc<Clock>,
    settings: Settings,
    notices: Notices,
    pulse: Pulse,
    worker: Uuid,
    /// By lane.
    mine: Vec<Vec<Part>>,
}

impl Membership {
    pub(crate) async fn join(
        pool: Pool,
        hub: Arc<Hub>,
        registry: Arc<Registry>,
        clock: Arc<Clock>,
        settings: Settings,
        notices: Notices,
    ) -> Result<Self, sqlx::Error> {
        let mine = vec![Vec::new(); hub.lanes().len()];
        let worker = Uuid::now_v7();
        let pulse = Pulse::new();
        let mut membership =
            Self { pool, hub, registry, clock, settings, notices, pulse, worker, mine };
        membership.enter().await?;
        membership.balance().await?;
        membership.hub.set_ready(true);
        Ok(membership)
    }

    /// Runs until the worker stops, which `stop` says; then hands everything over.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let (mut wait, mut looked) = (self.pace(true), Instant::now());
        loop {
            tokio::select! {
                _ = &mut stop => break,
                () = self.notices.fenced.notified() => self.again().await,
                () = self.notices.partitions.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            // Who was stopped with its lanes cannot tell by the time whether they are dead.
            let was_awake = looked.elapsed() < self.settings.lease * 2 / 3;
            looked = Instant::now();
            if was_awake && !self.hub.lanes_live(self.settings.lease) {
                // Others take over what a dead lane owns; a supervisor restarts the rest.
                tracing::error!(worker = %self.worker, "lane_dead");
                self.hub.set_ready(false);
                continue;
            }
            let ticked = self.tick().await;
            wait = self.pace(ticked.is_ok());
            self.hub.set_ready(ticked.is_ok());
            if let Err(error) = ticked {
                tracing::warn!(worker = %self.worker, %error, "heartbeat_failed");
            }
        }
        self.leave().await;
    }

    async fn tick(&mut self) -> Result<(), sqlx::Error> {
        match self.beat().await? {
            Some(time) => self.clock.set(time),
            None => self.again().await,
        }
        self.pulse.beat(self.settings.lease);
        self.balance().await
    }

    /// Says that it lives, soon enough to say so again before it is not believed.
    async fn beat(&self) -> Result<Option<Timestamp>, sqlx::Error> {
        // A connection that was cut at rest is found out, and replaced, in no less.
        let limit = (self.settings.lease / 3).max(2 * ANSWERS);
        worker::beat(&self.pool.within(limit), self.worker).await
    }

    /// When it says so next: soon where it was not heard.
    fn pace(&self, heard: bool) -> Duration {
        self.settings.lease / if heard { 3 } else { 10 }
    }

    /// Joins under a name that nobody has buried.
    async fn again(&mut self) {
        tracing::warn!(worker = %self.worker, "joining_anew");
        let mut wait = Duration::from_millis(50);
        loop {
            // What it still owned is free for others, or for itself to claim.
            let left = worker::leave(&self.pool, self.worker).await;
            self.worker = Uuid::now_v7();
            match left.and(self.enter().await) {
                Ok(()) => {
                    // What a lane said of its old name is dealt with by now.
                    let _ = self.notices.fenced.notified().now_or_never();
                    return;
                }
                Err(error) => tracing::warn!(%error, "join_failed"),
            }
            if self.hub.is_draining() {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.settings.lease);
        }
    }

    async fn enter(&mut self) -> Result<(), sqlx::Error> {
        self.mine.iter_mut().for_each(Vec::clear);
        let lanes = i32::try_from(self.hub.lanes().len()).expect("there are few lanes");
        worker::register(&self.pool, self.worker, lanes).await?;
        tracing::info!(worker = %self.worker, lanes, "joined");
        for lane in self.hub.lanes() {
            let (done, joined) = oneshot::channel();
            if lane.send(ToLane::Join(self.worker, done)).is_ok() {
                // An error says that the lane has stopped: then nothing is asked of it.
                let _ = joined.await;
            }
        }
        Ok(())
    }

    async fn balance(&mut self) -> Result<(), sqlx::Error> {
        let (live, dead) = worker::census(&self.pool, self.settings.lease).await?;
        for buried in dead.into_iter().filter(|dead| *dead != self.worker) {
            // Who was cut off with everybody else must not bury them for being late.
            if self.pulse.may_bury(self.settings.lease)
                && worker::bury(&self.pool, buried, self.settings.lease).await?
            {
                tracing::warn!(worker = %buried, "buried");
            }
        }
        let (partitions, workers) = (self.hub.partitions(), live.len().max(1));
        let partitions = usize::try_from(partitions).expect("a database has partitions");
        // The remainder goes to the first in order, so that all shares add up.
        let place = live.iter().position(|worker| *worker == self.worker).unwrap_or(workers);
        let share = partitions / workers + usize::from(place < partitions % workers);
        let mine = self.mine.iter().map(Vec::len).sum::<usize>();
        metered::partitions(mine);
        let moved = match mine.cmp(&share) {
            Ordering::Greater => self.release(mine - share).await,
            Ordering::Less => self.claim(share - mine).await,
            Ordering::Equal => Ok(()),
        };
        if let Err(error) = moved {
            // It may have taken place or not: under a new name it is plain again what
            // is whose. Otherwise a partition could be owned and served by nobody.
            tracing::warn!(worker = %self.worker, %error, "balance_unknown");
            self.again().await;
        }
        Ok(())
    }

    async fn claim(&mut self, wanted: usize) -> Result<(), sqlx::Error> {
        if partition::free(&self.pool).await? == 0 {
            return partition::free_orphans(&self.pool).await;
        }
        let wanted = i32::try_from(wanted).expect("below the number of partitions");
        let gained = partition::claim(&self.pool, self.worker, wanted).await?;
        if gained.is_empty() {
            return Ok(());
        }
        tracing::info!(worker = %self.worker, count = gained.len(), "partitions_gained");
        self.take_back(&gained).await?;
        let lanes = self.hub.lanes().len();
        let mut by_lane = vec![Vec::new(); lanes];
        for gain in gained {
            by_lane[usize::try_from(gain.0).expect("partitions count from 0") % lanes].push(gain);
        }
        for (index, gained) in by_lane.into_iter().enumerate() {
            self.mine[index].extend(gained.iter().map(|(part, ..)| *part));
            // A lane that has stopped owns nothing; the leave that follows frees it.
            let _ = self.hub.lanes()[index].send(ToLane::Gained(gained));
        }
        Ok(())
    }

    /// The owner before may have offered elsewhere what is performed here, or by way of another
    /// queue. Before anybody looks at what it left: no attempt is made here while another can
    /// still be claimed.
    async fn take_back(&self, gained: &[(Part, i64, bool)]) -> Result<(), sqlx::Error> {
        let parts: Vec<_> = gained.iter().map(|(part, ..)| *part).collect();
        let (names, queues): (Vec<_>, Vec<_>) = self.registry.activities().unzip();
        let count = task::take_back(&self.pool, &parts, (&names, &queues)).await?;
        if count > 0 {
            tracing::info!(worker = %self.worker, count, "tasks_taken_back");
        }
        Ok(())
    }

    async fn release(&mut self, surplus: usize) -> Result<(), sqlx::Error> {
        let mut released = vec![Vec::new(); self.mine.len()];
        for _ in 0..surplus {
            let longest = (0..self.mine.len()).max_by_key(|index| self.mine[*index].len());
            let Some(index) = longest else { break };
            released[index].extend(self.mine[index].pop());
        }
        let parts: Vec<_> = released.concat();
        let mut waits = Vec::new();
        for (lane, released) in self.hub.lanes().iter().zip(released) {
            let (done, wait) = oneshot::channel();
            if lane.send(ToLane::Release(released, PATIENCE, done)).is_ok() {
                waits.push(wait);
            }
        }
        self.while_alive(waits).await;
        tracing::info!(worker = %self.worker, count = parts.len(), "partitions_released");
        partition::release(&self.pool, self.worker, &parts).await
    }

    /// Waits for lanes, and goes on saying that this worker lives; not while one of them is dead.
    async fn while_alive(&self, waits: Vec<oneshot::Receiver<()>>) {
        let (all, mut wait) = (futures_util::future::join_all(waits), self.pace(true));
        tokio::pin!(all);
        loop {
            tokio::select! {
                _ = &mut all => return,
                () = tokio::time::sleep(wait) => {
                    wait = self.pace(true);
                    if !self.hub.lanes_live(self.settings.lease) {
                        tracing::error!(worker = %self.worker, "lane_dead");
                        self.hub.set_ready(false);
                    } else if let Err(error) = self.beat().await {
                        tracing::warn!(worker = %self.worker, %error, "heartbeat_failed");
                        wait = self.pace(false);
                    }
                }
            }
        }
    }

    /// A graceful stop: no more attempts, the answers of those under way are
    /// committed, and the partitions are free at once.
    async fn leave(mut self) {
        self.hub.set_ready(false);
        let mut waits = Vec::new();
        for (lane, parts) in self.hub.lanes().iter().zip(std::mem::take(&mut self.mine)) {
            let (done, wait) = oneshot::channel();
            if lane.send(ToLane::Release(parts, self.settings.drain, done)).is_ok() {
                waits.push(wait);
            }
        }
        let limit = self.settings.drain + PATIENCE;
        let committed = tokio::time::timeout(limit, self.while_alive(waits)).await;
        if committed.is_err() {
            tracing::warn!(worker = %self.worker, "drain_unfinished");
        }
        for wait in [0, 200, 1_000] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            match worker::leave(&self.pool, self.worker).await {
                Ok(()) => {
                    tracing::info!(worker = %self.worker, "left");
                    break;
                }
                Err(error) => tracing::warn!(worker = %self.worker, %error, "leave_failed"),
            }
        }
        for lane in self.hub.lanes() {
            // It may have stopped.
            let _ = lane.send(ToLane::Stop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn ago(lease: u32) -> Instant {
        Instant::now().checked_sub(LEASE * lease).unwrap()
    }

    #[test]
    fn who_was_cut_off_buries_nobody_for_a_lease() {
        let mut pulse = Pulse { last: ago(6), unbroken_since: None };
        pulse.beat(LEASE);
        assert!(!pulse.may_bury(LEASE), "the others were cut off as well");
        pulse.unbroken_since = Some(ago(1));
        pulse.beat(LEASE);
        assert!(pulse.may_bury(LEASE));
    }

    #[test]
    fn who_has_just_come_may_bury_at_once() {
        let mut pulse = Pulse::new();
        pulse.beat(LEASE);
        assert!(pulse.may_bury(LEASE));
    }
}
