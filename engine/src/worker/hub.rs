//! Where everybody in this process finds everybody else: which lane owns a
//! partition, and who waits for news of a run.
//!
//! A route may be stale by the time it is used. The lane then answers
//! "not mine", and the caller goes through the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hansom_core::Outcome;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::bells::Bells;
use super::told::ToLane;
use crate::address::{Address, Part};
use crate::owner::AtWork;

/// No lane of this process.
const NOWHERE: usize = usize::MAX;

/// The meeting point.
pub(crate) struct Hub {
    routes: Vec<AtomicUsize>,
    lanes: Vec<UnboundedSender<ToLane>>,
    watchers: Mutex<HashMap<Uuid, Vec<UnboundedSender<News>>>>,
    watching: AtomicUsize,
    draining: AtomicBool,
    ready: AtomicBool,
    pulse: Pulse,
    /// Of each lane.
    at_work: Vec<AtWork>,
    /// Of a lane that does not come back, the run that it is at.
    death: watch::Sender<Option<Arc<Address>>>,
    bells: Bells,
    /// Of each lane: attempts that it has handed out and not taken the end of.
    under_way: Vec<AtomicUsize>,
    /// Somebody changed a schedule.
    pub(crate) schedules: Notify,
    /// A lane has committed something.
    pub(crate) commits: watch::Sender<()>,
}

/// When each lane was last seen to move.
struct Pulse {
    begun: Instant,
    lanes: Vec<AtomicU64>,
}

/// What a watcher hears.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Something of the run was committed.
    Touched,
    /// It closed.
    Closed(Outcome),
}

impl Hub {
    pub(crate) fn new(partitions: i32, lanes: Vec<UnboundedSender<ToLane>>) -> Self {
        let moved = lanes.iter().map(|_| AtomicU64::new(0)).collect();
        let pulse = Pulse { begun: Instant::now(), lanes: moved };
        let under_way = lanes.iter().map(|_| AtomicUsize::new(0)).collect();
        let at_work = lanes.iter().map(|_| AtWork::default()).collect();
        Self {
            routes: (0..partitions).map(|_| AtomicUsize::new(NOWHERE)).collect(),
            lanes,
            watchers: Mutex::default(),
            watching: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            pulse,
            at_work,
            death: watch::Sender::default(),
            bells: Bells::default(),
            under_way,
            schedules: Notify::new(),
            commits: watch::Sender::default(),
        }
    }

    pub(crate) fn partitions(&self) -> i32 {
        i32::try_from(self.routes.len()).expect("made from an i32")
    }

    pub(crate) fn lanes(&self) -> &[UnboundedSender<ToLane>] {
        &self.lanes
    }

    /// What rings where attempts wait to be claimed.
    pub(crate) fn bells(&self) -> &Bells {
        &self.bells
    }

    /// An attempt of this lane is handed out.
    pub(crate) fn begins(&self, lane: usize) {
        self.under_way[lane].fetch_add(1, Ordering::Relaxed);
    }

    /// The lane has taken the end of one; or another worker will.
    pub(crate) fn ends(&self, lane: usize) {
        self.under_way[lane].fetch_sub(1, Ordering::Relaxed);
    }

    /// Attempts that this process has to make, or is making.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.iter().map(|lane| lane.load(Ordering::Relaxed)).sum()
    }

    /// A lane says that it moves.
    pub(crate) fn lane_lives(&self, lane: usize) {
        self.pulse.lanes[lane].store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// Whether every lane has moved within `limit`.
    pub(crate) fn lanes_live(&self, limit: Duration) -> bool {
        let (now, limit) = (self.elapsed_ms(), limit.as_millis());
        let moved = |lane: &AtomicU64| now.saturating_sub(lane.load(Ordering::Relaxed));
        self.pulse.lanes.iter().all(|lane| u128::from(moved(lane)) <= limit)
    }

    /// What a lane says of where it is.
    pub(crate) fn at_work(&self, lane: usize) -> AtWork {
        self.at_work[lane].clone()
    }

    /// The runs that lanes have not come back from within `limit`, and since when.
    pub(crate) fn stuck_at(&self, limit: Duration) -> Vec<(Arc<Address>, Instant)> {
        self.at_work.iter().filter_map(|at_work| at_work.at(limit)).collect()
    }

    /// This process will not do its work again: a body does not return.
    pub(crate) fn die(&self, of: &Arc<Address>) {
        self.death.send_replace(Some(Arc::clone(of)));
    }

    /// Hears of that.
    pub(crate) fn death(&self) -> watch::Receiver<Option<Arc<Address>>> {
        self.death.subscribe()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.pulse.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The lane that owns a partition, when it is of this process.
    pub(crate) fn lane_of(&self, part: Part) -> Option<&UnboundedSender<ToLane>> {
        let lane = self.route(part)?.load(Ordering::Acquire);
        self.lanes.get(lane)
    }

    pub(crate) fn set_route(&self, part: Part, lane: Option<usize>) {
        if let Some(route) = self.route(part) {
            route.store(lane.unwrap_or(NOWHERE), Ordering::Release);
        }
    }

    /// The partitions of this process.
    pub(crate) fn owned(&self) -> Vec<Part> {
        (0..self.partitions()).filter(|part| self.lane_of(*part).is_some()).collect()
    }

    fn route(&self, part: Part) -> Option<&AtomicUsize> {
        usize::try_from(part).ok().and_then(|part| self.routes.get(part))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        let is_dead = self.death.borrow().is_some();
        self.ready.load(Ordering::Acquire) && !self.is_draining() && !is_dead
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Hears of a run from now on, until it is dropped.
    pub(crate) fn watch(self: &Arc<Self>, run: Uuid) -> Watcher {
        let (sender, news) = unbounded_channel();
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.entry(run).or_default().push(sender);
        self.watching.store(watchers.len(), Ordering::Release);
        Watcher { hub: Arc::clone(self), run, news }
    }

    pub(crate) fn tell(&self, run: Uuid, news: &News) {
        if self.watching.load(Ordering::Acquire) == 0 {
            return;
        }
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.get(&run).into_iter().flatten() {
            // Whoever watched may be gone.
            let _ = watcher.send(news.clone());
        }
    }

    fn forget(&self, run: Uuid) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_run) = watchers.get_mut(&run) {
            of_run.retain(|watcher| !watcher.is_closed());
            if of_run.is_empty() {
                watchers.remove(&run);
            }
        }
        self.watching.store(watchers.len(), Ordering::Release);
    }
}

/// Somebody who waits for news of a run.
pub(crate) struct Watcher {
    hub: Arc<Hub>,
    run: Uuid,
    news: UnboundedReceiver<News>,
}

impl Watcher {
    /// The next news. Only of what this process commits.
    pub(crate) async fn next(&mut self) -> News {
        // The sender is dropped with the watcher, not before.
        self.news.recv().await.unwrap_or(News::Touched)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.news.close();
        self.hub.forget(self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lane_that_does_not_move_is_enough_to_be_noticed() {
        let lanes = vec![unbounded_channel().0, unbounded_channel().0];
        let mut hub = Hub::new(4, lanes);
        hub.pulse.begun = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        hub.lane_lives(0);
        assert!(!hub.lanes_live(Duration::from_secs(5)), "the second has not moved for a minute");
        hub.lane_lives(1);
        assert!(hub.lanes_live(Duration::from_secs(5)));
    }
}
