//! Carries attempts that are made elsewhere to where they are claimed, in the order of commits.
//!
//! One task for each lane, and one statement at a time for all that has gathered. A write that has
//! failed is repeated: the rows are found by their keys, so that doing it again changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hansom_core::Seq;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use super::told::ToLane;
use crate::owner::remote::Elsewhere;
use crate::store::Pool;
use crate::store::commit::Lane;
use crate::store::task;

/// So many commits are carried at once.
const INTAKE: usize = 64;

/// The way out of one lane.
pub(crate) struct Outbox {
    sender: UnboundedSender<(Lane, Elsewhere)>,
    sent: u64,
    carried: Arc<AtomicU64>,
}

impl Outbox {
    /// Starts the task, which ends when the lane has.
    pub(crate) fn start(pool: Pool, runtime: &Handle, back: UnboundedSender<ToLane>) -> Self {
        let (sender, work) = unbounded_channel();
        let carried = Arc::new(AtomicU64::new(0));
        runtime.spawn(carry(pool, work, back, Arc::clone(&carried)));
        Self { sender, sent: 0, carried }
    }

    /// Takes what a commit asks for elsewhere.
    pub(crate) fn send(&mut self, lane: Lane, elsewhere: Elsewhere) {
        if !elsewhere.is_empty() {
            self.sent += 1;
            // The task ends with the runtime, and so does the lane.
            let _ = self.sender.send((lane, elsewhere));
        }
    }

    /// How much it has taken so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// How much of it is where it belongs.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Acquire)
    }
}

async fn carry(
    pool: Pool,
    mut work: UnboundedReceiver<(Lane, Elsewhere)>,
    back: UnboundedSender<ToLane>,
    carried: Arc<AtomicU64>,
) {
    let mut gathered = Vec::with_capacity(INTAKE);
    loop {
        let count = work.recv_many(&mut gathered, INTAKE).await;
        if count == 0 {
            return;
        }
        // What was committed under another name is fenced on its own.
        let mut together: Vec<(Lane, Elsewhere)> = Vec::new();
        for (lane, elsewhere) in gathered.drain(..) {
            match together.last_mut() {
                Some((last, all)) if last.worker == lane.worker => all.extend(elsewhere),
                _ => together.push((lane, elsewhere)),
            }
        }
        let mut offered = Vec::new();
        for (lane, elsewhere) in together {
            offered.extend(write(&pool, lane, elsewhere, &back).await);
        }
        carried.fetch_add(count as u64, Ordering::Release);
        // The lane may be gone.
        let _ = back.send(ToLane::Offered(offered));
    }
}

/// Writes it, as often as it takes, and answers what is offered: nothing when the worker has been
/// buried, because whoever follows it offers again.
async fn write(
    pool: &Pool,
    lane: Lane,
    mut elsewhere: Elsewhere,
    back: &UnboundedSender<ToLane>,
) -> Vec<(Uuid, Seq, u32)> {
    let offered = elsewhere.offers.iter().map(|o| (o.address.run, o.seq, o.attempt)).collect();
    elsewhere.keep_last();
    let Elsewhere { offers, over, recalled, abandoned } = elsewhere;
    let offers = task::Offers::of(offers);
    let mut wait = Duration::from_millis(20);
    loop {
        let written = async {
            let nothing = offers.is_empty() && over.is_empty();
            if !nothing && !task::offer(pool, lane, &offers, &over).await? {
                return Ok(false);
            }
            if !recalled.is_empty() {
                task::recall(pool, &recalled).await?;
            }
            if !abandoned.is_empty() {
                task::abandon(pool, &abandoned).await?;
            }
            Ok::<_, sqlx::Error>(true)
        };
        match written.await {
            Ok(true) => return offered,
            Ok(false) => return Vec::new(),
            Err(_) if back.is_closed() => return Vec::new(),
            Err(error) => tracing::warn!(%error, "offer_failed"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}
