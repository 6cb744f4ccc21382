//! A thread that owns partitions: feeds the [`Owner`], and does what it asks.
//!
//! Bodies are `!Send`, so each lane has a thread and a runtime of its own.
//! While one batch is being committed the next one gathers: latency stays at
//! one commit, and throughput grows with the load. Everything slow (loads,
//! polls, attempts) happens elsewhere and comes back as a message.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::attempt::Attempts;
use super::committer::{Committer, Fate};
use super::errands::Errands;
use super::heartbeat::Heartbeats;
use super::hub::{Hub, News};
use super::offers::Outbox;
use super::told::ToLane;
use crate::Registry;
use crate::address::Part;
use crate::clock::Clock;
use crate::owner::{Batch, Owner};
use crate::store::Pool;
use crate::store::commit::{Columns, Lane as Fenced};
use crate::store::outcome::Fence;
use hansom_core::Timestamp;

/// So many messages are taken in before a batch is sealed.
const INTAKE: usize = 1_024;
/// How often what is idle is looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// Partitions on their way out.
struct Release {
    parts: Vec<Part>,
    patience: Instant,
    done: oneshot::Sender<()>,
    /// Memory is dropped; what was written has yet to be committed.
    flushing: Option<i64>,
    /// It is committed; what it asks for elsewhere is still on its way.
    carrying: Option<u64>,
}

type Committing = Pin<Box<dyn Future<Output = (Committer, Fate)>>>;

/// What all lanes of a worker share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Arc<Clock>,
    /// Rings when a lane finds itself fenced.
    pub(crate) fenced: Arc<Notify>,
    pub(crate) runtime: Handle,
    pub(crate) pool: Pool,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) heartbeats: Heartbeats,
}

/// A thread that owns partitions.
pub(crate) struct Lane {
    index: usize,
    shared: Shared,
    owner: Owner,
    errands: Errands,
    inbox: UnboundedReceiver<ToLane>,
    back: UnboundedSender<ToLane>,
    commits: Commits,
    releases: Vec<Release>,
    outbox: Outbox,
    /// The epoch of each partition when it was gained. Also of partitions that were left:
    /// then their rows say something else.
    epochs: HashMap<Part, i64>,
}

struct Commits {
    /// Under which name.
    fenced: Option<Fenced>,
    idle: Option<Committer>,
    under_way: Option<Committing>,
    done: i64,
    /// Partitions whose inboxes the commit under way writes to.
    pokes: Vec<Part>,
}

impl Lane {
    pub(crate) fn new(
        index: usize,
        shared: Shared,
        inbox: UnboundedReceiver<ToLane>,
        back: UnboundedSender<ToLane>,
    ) -> Self {
        let owner =
            Owner::new(Arc::clone(&shared.registry), shared.hub.partitions(), rand::random())
                .seen_by(shared.hub.at_work(index));
        let errands = Errands::new(shared.pool.clone(), shared.runtime.clone(), back.clone());
        let commits =
            Commits { fenced: None, idle: None, under_way: None, done: 0, pokes: Vec::new() };
        let outbox = Outbox::start(shared.pool.clone(), &shared.runtime, back.clone());
        let (releases, epochs) = (Vec::new(), HashMap::new());
        Self { index, shared, owner, errands, inbox, back, commits, releases, outbox, epochs }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        let (mut taken, mut intake) = (Vec::with_capacity(INTAKE), VecDeque::with_capacity(INTAKE));
        let mut housekeeping = Instant::now();
        loop {
            let now = self.shared.clock.now();
            self.shared.hub.lane_lives(self.index);
            let full = self.owner.is_full();
            if !full {
                self.owner.ring(now);
            }
            if housekeeping.elapsed() >= HOUSEKEEPING {
                housekeeping = Instant::now();
                self.owner.evict(now);
            }
            self.move_releases();
            self.begin_commit();
            if !full {
                self.errands.run(&mut self.owner, now);
            }
            // What is due while it is full waits for the commit, and so does the lane.
            let wake = if full { HOUSEKEEPING } else { self.next_wake(now) };
            tokio::select! {
                biased;
                (committer, fate) = under_way(&mut self.commits.under_way) => {
                    self.commits.under_way = None;
                    self.commits.idle = Some(committer);
                    self.committed(fate);
                }
                // What one batch should not carry waits for the next one.
                () = std::future::ready(()), if !full && !intake.is_empty() => {}
                count = self.inbox.recv_many(&mut taken, INTAKE), if !full => {
                    let stops = |told: &ToLane| matches!(told, ToLane::Stop);
                    if count == 0 || taken.iter().any(stops) {
                        return;
                    }
                    intake.extend(taken.drain(..));
                }
                () = tokio::time::sleep(wake) => {}
            }
            while !self.commits_first()
                && let Some(told) = intake.pop_front()
            {
                self.hear(told).await;
            }
        }
    }

    /// Whether a batch is full, and can be committed: without a place behind the fence it is not,
    /// and the next one is heard of here.
    fn commits_first(&self) -> bool {
        let commits = self.commits.idle.is_some() || self.commits.under_way.is_some();
        commits && self.owner.has_a_batch()
    }

    fn next_wake(&self, now: Timestamp) -> Duration {
        let alarm = self.owner.next_alarm().map(|due| due.since(now));
        alarm.unwrap_or(HOUSEKEEPING).min(HOUSEKEEPING)
    }

    async fn hear(&mut self, told: ToLane) {
        let now = self.shared.clock.now();
        match told {
            ToLane::Start(start) => self.owner.start(start, now),
            ToLane::Answer(answer) => {
                self.shared.hub.ends(self.index);
                self.owner.answer(answer, now);
            }
            ToLane::Join(worker, done) => {
                self.join(worker).await;
                // The membership may have been dropped.
                let _ = done.send(());
            }
            ToLane::Gained(parts) => self.gain(&parts),
            ToLane::Release(parts, patience, done) => self.release(parts, patience, done),
            ToLane::Poke => self.errands.poke(),
            ToLane::Stop => {}
            ToLane::Loaded(loaded) => self.errands.loaded(loaded, &mut self.owner, now),
            ToLane::Inbox(messages, more) => {
                for (message, heir) in messages {
                    self.owner.message(message, heir, now);
                }
                self.errands.polled(more);
            }
            ToLane::Alarms(alarms, horizon) => {
                self.owner.alarms(alarms);
                self.errands.scanned(horizon, now);
            }
            ToLane::Offered(offered) => self.owner.offered(offered, now),
            ToLane::Expired(count) => self.errands.expired(count),
            ToLane::Tried => self.errands.tried(),
            ToLane::Swept => self.errands.swept(),
        }
    }

    async fn join(&mut self, worker: Uuid) {
        // Never cut short: what became of it decides nothing any more, but a
        // statement that still runs must not outlive this identity unseen.
        if let Some(under_way) = self.commits.under_way.take() {
            under_way.await;
        }
        self.forget_all();
        let lane = i32::try_from(self.index).expect("there are few lanes");
        let fenced = Fenced { worker, lane };
        self.commits.fenced = Some(fenced);
        self.epochs.clear();
        self.commits.idle = Some(Committer::new(self.shared.pool.clone(), fenced));
    }

    fn forget_all(&mut self) {
        for part in self.owner.parts() {
            self.shared.hub.set_route(part, None);
        }
        self.owner.forget_all();
        self.errands.forget();
        self.commits.done = 0;
        for release in self.releases.drain(..) {
            // Nothing is left to wait for.
            let _ = release.done.send(());
        }
    }

    /// What an attempt has to find true when it commits.
    fn fence(&self, part: Part) -> Fence {
        let worker = self.commits.fenced.map(|lane| lane.worker).unwrap_or_default();
        Fence { part, worker, epoch: self.epochs.get(&part).copied().unwrap_or(-1) }
    }

    fn gain(&mut self, parts: &[(Part, i64, bool)]) {
        for (part, epoch, clean) in parts {
            tracing::debug!(part, epoch, clean, "partition_gained");
            self.owner.gain(*part, *clean);
            self.epochs.insert(*part, *epoch);
            self.shared.hub.set_route(*part, Some(self.index));
        }
        self.errands.recover(parts.iter().map(|(part, ..)| *part).collect());
    }

    fn release(&mut self, parts: Vec<Part>, patience: Duration, done: oneshot::Sender<()>) {
        for part in &parts {
            self.shared.hub.set_route(*part, None);
        }
        self.owner.leave(&parts);
        let patience = Instant::now() + patience;
        self.releases.push(Release { parts, patience, done, flushing: None, carrying: None });
    }

    /// Attempts under way are waited for, then memory is dropped, then what was
    /// written is committed: only then may another worker own these partitions.
    fn move_releases(&mut self) {
        if self.releases.is_empty() {
            return;
        }
        let quiet = self.owner.in_flight_where_leaving() == 0;
        for release in &mut self.releases {
            if release.flushing.is_none() && (quiet || Instant::now() >= release.patience) {
                self.owner.forget(&release.parts);
                release.flushing = Some(self.owner.gathering());
            }
        }
        let (settled, done) = (self.owner.is_settled(), self.commits.done);
        let (sent, carried) = (self.outbox.sent(), self.outbox.carried());
        let flushed = |release: &mut Release| {
            release.flushing.is_some_and(|batch| settled || done >= batch)
                && *release.carrying.get_or_insert(sent) <= carried
        };
        for release in self.releases.extract_if(.., flushed) {
            // The membership may have been dropped.
            let _ = release.done.send(());
        }
    }

    fn begin_commit(&mut self) {
        if self.commits.idle.is_none() {
            return;
        }
        let Some(batch) = self.owner.seal() else { return };
        let Some(committer) = self.commits.idle.take() else { return };
        let (mine, hint) = self.listeners(&batch);
        self.commits.pokes = mine;
        self.commits.under_way = Some(commit(committer, batch, hint));
    }

    /// Who hears what this batch says to other runs: partitions of this worker, to be poked
    /// when it is committed, and a hint for the others.
    fn listeners(&self, batch: &Batch) -> (Vec<Part>, Option<String>) {
        let parts: BTreeSet<_> = batch.kin.parts().collect();
        let (mine, others): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| self.shared.hub.lane_of(*part).is_some());
        let hint = match others[..] {
            [] => None,
            [part] => Some(part.to_string()),
            _ => Some("inbox".to_owned()),
        };
        (mine, hint)
    }

    fn committed(&mut self, fate: Fate) {
        let lost = match fate {
            Fate::Done(lost) => lost,
            Fate::Fenced => {
                tracing::warn!(lane = self.index, "fenced");
                self.commits.idle = None;
                self.forget_all();
                self.shared.fenced.notify_one();
                return;
            }
        };
        self.commits.done += 1;
        self.shared.hub.commits.send_replace(());
        for part in self.commits.pokes.drain(..) {
            if let Some(lane) = self.shared.hub.lane_of(part) {
                // A lane that stops leaves the inbox to the next owner.
                let _ = lane.send(ToLane::Poke);
            }
        }
        let mut after = self.owner.committed(&lost, self.shared.clock.now());
        if let Some(fenced) = self.commits.fenced {
            self.outbox.send(fenced, after.elsewhere());
        }
        for dispatch in after.dispatches {
            let (attempts, back) = (Arc::clone(&self.shared.attempts), self.back.clone());
            let (fence, hub) = (self.fence(dispatch.address.part), Arc::clone(&self.shared.hub));
            let lane = self.index;
            hub.begins(lane);
            self.shared.runtime.spawn(async move {
                match attempts.make(dispatch, fence).await {
                    // The lane may be gone; the next owner makes the attempt again.
                    Some(answer) => drop(back.send(ToLane::Answer(answer))),
                    None => hub.ends(lane),
                }
            });
        }
        self.shared.heartbeats.over(after.silent);
        for run in after.touched {
            self.shared.hub.tell(run, &News::Touched);
        }
        for (run, outcome) in after.closed {
            self.shared.hub.tell(run, &News::Closed(outcome));
        }
    }
}

fn commit(committer: Committer, batch: Batch, hint: Option<String>) -> Committing {
    Box::pin(committer.commit(Columns::from(batch).wakes(hint)))
}

/// The commit under way, or never.
async fn under_way(committing: &mut Option<Committing>) -> (Committer, Fate) {
    match committing {
        Some(committing) => committing.await,
        None => std::future::pending().await,
    }
}
