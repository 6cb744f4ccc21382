//! Carries attempts that are made elsewhere to where they are claimed, in the order of commits.
//!
//! One task for each lane, and one statement at a time for all that has gathered. A write that has
//! failed is repeated: the rows are found by their keys, so that doing it again changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use hansom_core::Seq;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use super::told::ToLane;
use crate::address::Part;
use crate::owner::remote::outcome_of;
use crate::owner::{After, Dispatch};
use crate::store::commit::Lane;
use crate::store::task::{self, Key, Offers};

/// So many commits are carried at once.
const INTAKE: usize = 64;

/// What one commit asks for.
struct Work {
    lane: Lane,
    offers: Vec<Dispatch>,
    over: Vec<Key>,
    recalled: Vec<(Part, Uuid)>,
    abandoned: Vec<(Part, Uuid)>,
}

/// The way out of one lane.
pub(crate) struct Outbox(UnboundedSender<Work>);

impl Outbox {
    /// Starts the task, which ends when the lane has.
    pub(crate) fn start(pool: PgPool, runtime: &Handle, back: UnboundedSender<ToLane>) -> Self {
        let (sender, work) = unbounded_channel();
        runtime.spawn(carry(pool, work, back));
        Self(sender)
    }

    /// Takes what a commit asks for elsewhere; leaves the rest.
    pub(crate) fn take(&self, lane: Lane, after: &mut After) {
        let elsewhere = |dispatch: &mut Dispatch| dispatch.queue.is_some();
        let outcomes = after.consumed.iter().filter_map(|(part, run, key)| {
            let (seq, attempt) = outcome_of(key)?;
            Some((*part, *run, seq, attempt))
        });
        let work = Work {
            lane,
            over: outcomes.collect(),
            offers: after.dispatches.extract_if(.., elsewhere).collect(),
            recalled: std::mem::take(&mut after.recalled),
            abandoned: std::mem::take(&mut after.abandoned),
        };
        if !work.is_empty() {
            // The task ends with the runtime, and so does the lane.
            let _ = self.0.send(work);
        }
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.offers.is_empty()
            && self.over.is_empty()
            && self.recalled.is_empty()
            && self.abandoned.is_empty()
    }

    fn add(&mut self, later: Self) {
        self.offers.extend(later.offers);
        self.over.extend(later.over);
        self.recalled.extend(later.recalled);
        self.abandoned.extend(later.abandoned);
    }
}

async fn carry(pool: PgPool, mut work: UnboundedReceiver<Work>, back: UnboundedSender<ToLane>) {
    let mut gathered = Vec::with_capacity(INTAKE);
    while work.recv_many(&mut gathered, INTAKE).await > 0 {
        // What was committed under another name is fenced on its own.
        let mut together: Vec<Work> = Vec::new();
        for work in gathered.drain(..) {
            match together.last_mut() {
                Some(last) if last.lane.worker == work.lane.worker => last.add(work),
                _ => together.push(work),
            }
        }
        for work in together {
            if let Some(offered) = write(&pool, work, &back).await {
                // The lane may be gone.
                let _ = back.send(ToLane::Offered(offered));
            }
        }
    }
}

/// Writes it, as often as it takes; `None` when there was nothing to offer, or the worker has been
/// buried: whoever follows it offers again.
async fn write(
    pool: &PgPool,
    work: Work,
    back: &UnboundedSender<ToLane>,
) -> Option<Vec<(Uuid, Seq, u32)>> {
    let Work { lane, offers, over, recalled, abandoned } = work;
    let offered: Vec<_> = offers.iter().map(|o| (o.address.run, o.seq, o.attempt)).collect();
    let offers = columns(offers);
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
            Ok(true) => return (!offered.is_empty()).then_some(offered),
            Ok(false) => return None,
            Err(_) if back.is_closed() => return None,
            Err(error) => tracing::warn!(%error, "offer_failed"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

/// One row for each step: the last of its attempts.
fn columns(offers: Vec<Dispatch>) -> Offers {
    let mut columns = Offers::default();
    let mut last: HashMap<(Uuid, Seq), u32> = HashMap::with_capacity(offers.len());
    for offer in &offers {
        let attempt = last.entry((offer.address.run, offer.seq)).or_default();
        *attempt = offer.attempt.max(*attempt);
    }
    for offer in offers {
        if last.get(&(offer.address.run, offer.seq)) == Some(&offer.attempt) {
            last.remove(&(offer.address.run, offer.seq));
            columns.push(offer);
        }
    }
    columns
}
