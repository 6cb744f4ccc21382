//! What a lane has fetched for it: histories, the inbox, alarms.
//!
//! At most one of each is under way. They are reads, so a failed one is simply
//! repeated; polling never stops, and hints only make it sooner.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hansom_core::Timestamp;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::told::{Loaded, ToLane};
use crate::address::{Address, Part};
use crate::owner::{HORIZON, Owner};
use crate::store::workflow::Found;
use crate::store::{Pool, alarm, heartbeat, inbox, task, workflow};

/// The inbox is looked at this often, whatever hints say.
const POLL: Duration = Duration::from_secs(1);
/// Alarms are looked for this often: well within their horizon.
const SCAN: Duration = Duration::from_secs(25);
/// So many runs are loaded at once.
const LOAD: usize = 500;
/// So many messages are read at once.
const READ: i64 = 250;
/// A full page of messages is followed by the next one after this.
const CONSUMED: Duration = Duration::from_millis(20);
/// So many alarms are read at once.
const ALARMS: usize = 20_000;
/// Attempts elsewhere that are too late are looked for this often …
const EXPIRE: Duration = Duration::from_secs(1);
/// … and so many are settled at once.
const EXPIRED: i32 = 1_000;
/// Children that could not be started are tried again this often.
const LATE: Duration = Duration::from_secs(1);
/// What closed runs have left is looked for this often.
const SWEEP: Duration = Duration::from_mins(1);

enum Load {
    Runs(Vec<Arc<Address>>),
    Hot(Vec<Part>, Option<Uuid>),
}

/// What is to be fetched, and what is under way.
pub(crate) struct Errands {
    pool: Pool,
    runtime: Handle,
    back: UnboundedSender<ToLane>,
    recoveries: VecDeque<(Vec<Part>, Option<Uuid>)>,
    /// Runs whose history makes no sense: their messages wait for somebody to look.
    unreadable: BTreeSet<Uuid>,
    loading: bool,
    inbox: Routine,
    alarms: Routine,
    expiry: Routine,
    late: Routine,
    sweep: Routine,
}

/// Something done now and then, and never twice at a time.
struct Routine {
    due: Instant,
    under_way: bool,
}

impl Routine {
    fn new() -> Self {
        Self { due: Instant::now(), under_way: false }
    }

    /// Whether to do it now; the next time is `period` from now, or sooner.
    fn begin(&mut self, period: Duration) -> bool {
        let now = Instant::now();
        let begins = !self.under_way && now >= self.due;
        if begins {
            self.under_way = true;
            self.due = now + period;
        }
        begins
    }

    /// It is done; the next time is at most `wait` from now.
    fn end(&mut self, wait: Duration) {
        self.under_way = false;
        self.due = self.due.min(Instant::now() + wait);
    }

    fn now(&mut self) {
        self.due = Instant::now();
    }
}

impl Errands {
    pub(crate) fn new(pool: Pool, runtime: Handle, back: UnboundedSender<ToLane>) -> Self {
        Self {
            pool,
            runtime,
            back,
            recoveries: VecDeque::new(),
            unreadable: BTreeSet::new(),
            loading: false,
            inbox: Routine::new(),
            alarms: Routine::new(),
            expiry: Routine::new(),
            late: Routine::new(),
            sweep: Routine::new(),
        }
    }

    /// Partitions were gained: what is hot in them is loaded, and all else looked at.
    pub(crate) fn recover(&mut self, parts: Vec<Part>) {
        self.recoveries.push_back((parts, None));
        self.inbox.now();
        self.alarms.now();
    }

    pub(crate) fn forget(&mut self) {
        self.recoveries.clear();
        self.unreadable.clear();
    }

    /// There may be something in the inbox.
    pub(crate) fn poke(&mut self) {
        self.inbox.now();
    }

    /// Sends for whatever is due.
    pub(crate) fn run(&mut self, owner: &mut Owner, now: Timestamp) {
        self.load(owner);
        if !owner.owns_any() {
            return;
        }
        if self.inbox.begin(POLL.mul_f64(rand::random_range(0.8..1.2))) {
            let except: Vec<_> = self.unreadable.iter().copied().collect();
            self.fetch((owner.parts(), except), |pool, (parts, except)| async move {
                let (messages, more) = inbox::read(&pool, &parts, &except, READ).await?;
                Ok(ToLane::Inbox(messages, more))
            });
        }
        if self.alarms.begin(SCAN) {
            owner.scanning(now.after(HORIZON));
            self.fetch(owner.parts(), move |pool, parts| async move {
                let until = now.after(HORIZON);
                let limit = i64::try_from(ALARMS).unwrap_or(i64::MAX);
                let alarms = alarm::due(&pool, &parts, until, limit).await?;
                let full = alarms.len() == ALARMS;
                let last = alarms.last().map(|alarm| alarm.due).filter(|_| full);
                Ok(ToLane::Alarms(alarms, last.unwrap_or(until)))
            });
        }
        self.tidy(owner);
    }

    /// What is left behind: attempts elsewhere that are too late, children that have not begun, and
    /// rows of closed runs.
    fn tidy(&mut self, owner: &Owner) {
        if self.expiry.begin(EXPIRE.mul_f64(rand::random_range(0.8..1.2))) {
            self.fetch(owner.parts(), |pool, parts| async move {
                Ok(ToLane::Expired(task::expire(&pool, &parts, EXPIRED).await?))
            });
        }
        if self.late.begin(LATE.mul_f64(rand::random_range(0.8..1.2))) {
            self.fetch(owner.parts(), |pool, parts| async move {
                workflow::start_late(&pool, &parts).await?;
                Ok(ToLane::Tried)
            });
        }
        if self.sweep.begin(SWEEP.mul_f64(rand::random_range(0.8..1.2))) {
            self.fetch(owner.parts(), |pool, parts| async move {
                heartbeat::sweep(&pool, &parts).await?;
                task::sweep(&pool, &parts).await?;
                Ok(ToLane::Swept)
            });
        }
    }

    fn load(&mut self, owner: &mut Owner) {
        if self.loading {
            return;
        }
        let load = match self.recoveries.pop_front() {
            Some((parts, after)) => Load::Hot(parts, after),
            None => match owner.take_wanted(LOAD) {
                wanted if wanted.is_empty() => return,
                wanted => Load::Runs(wanted),
            },
        };
        self.loading = true;
        owner.loading();
        let load = Arc::new(load);
        self.fetch(load, |pool, load| async move {
            let loaded = match &*load {
                Load::Runs(runs) => {
                    let Found { stored, unreadable, left } = workflow::load(&pool, runs).await?;
                    let is_left = |address: &Arc<Address>| left.contains(&address.run);
                    let (left, asked) = runs.iter().cloned().partition(is_left);
                    Loaded { asked, stored, unreadable, left, next: None }
                }
                Load::Hot(parts, after) => {
                    let limit = i64::try_from(LOAD).unwrap_or(i64::MAX);
                    let (stored, next) = workflow::hot(&pool, parts, *after, limit).await?;
                    let next = next.map(|next| (parts.clone(), next));
                    let (asked, unreadable, left) = (Vec::new(), Vec::new(), Vec::new());
                    Loaded { asked, stored, unreadable, left, next }
                }
            };
            Ok(ToLane::Loaded(loaded))
        });
    }

    pub(crate) fn loaded(&mut self, loaded: Loaded, owner: &mut Owner, now: Timestamp) {
        self.loading = false;
        self.unreadable.extend(&loaded.unreadable);
        owner.want_again(loaded.left);
        owner.loaded(&loaded.asked, (loaded.stored, &loaded.unreadable), now);
        if let Some((parts, after)) = loaded.next {
            self.recoveries.push_front((parts, Some(after)));
        }
    }

    pub(crate) fn polled(&mut self, more: bool) {
        // The same page would come again before its consumption is committed.
        self.inbox.end(if more { CONSUMED } else { POLL });
    }

    pub(crate) fn expired(&mut self, count: i32) {
        self.expiry.end(if count == EXPIRED { Duration::ZERO } else { EXPIRE });
        if count > 0 {
            self.poke();
        }
    }

    pub(crate) fn tried(&mut self) {
        self.late.end(LATE);
    }

    pub(crate) fn swept(&mut self) {
        self.sweep.end(SWEEP);
    }

    pub(crate) fn scanned(&mut self, horizon: Timestamp, now: Timestamp) {
        // A full page ends early: the next one begins before it does.
        let near = horizon.since(now).saturating_sub(Duration::from_secs(5));
        self.alarms.end(near.max(Duration::from_millis(100)));
    }

    /// Fetches elsewhere, as often as it takes, and has it told to the lane.
    fn fetch<T, F, Fut>(&self, what: T, fetch: F)
    where
        T: Clone + Send + 'static,
        F: Fn(Pool, T) -> Fut + Send + 'static,
        Fut: Future<Output = Result<ToLane, sqlx::Error>> + Send,
    {
        let (pool, back) = (self.pool.clone(), self.back.clone());
        self.runtime.spawn(async move {
            let mut wait = Duration::from_millis(50);
            loop {
                match fetch(pool.clone(), what.clone()).await {
                    Ok(fetched) => {
                        // The lane may be gone.
                        let _ = back.send(fetched);
                        return;
                    }
                    Err(_) if back.is_closed() => return,
                    Err(error) => tracing::warn!(%error, "fetch_failed"),
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(POLL);
            }
        });
    }
}
