//! Attempts that are made elsewhere: the table, and what is done to it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{ActivityContext, Direction, Seq, Timestamp};
use uuid::Uuid;

use super::super::super::Dispatch;
use super::super::super::remote::{Elsewhere, Outcome};
use super::super::tally::Tally;
use super::{Database, WorkerId};
use crate::address::{Address, Part};

type Step = (Part, Uuid, Seq);

/// One attempt, from its offer until its outcome is committed.
pub(super) struct Task {
    address: Arc<Address>,
    attempt: u32,
    state: State,
    activity: String,
    context: ActivityContext,
    limit: Duration,
    close_by: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Claimed(u64),
    Settled,
}

/// An attempt in the hands of whoever claimed it.
#[derive(Clone)]
pub(in super::super) struct Claim {
    step: Step,
    token: u64,
    pub(in super::super) activity: String,
    pub(in super::super) context: ActivityContext,
}

impl Database {
    /// Does what commits have asked for elsewhere, as the statements do; false when the worker has
    /// been buried.
    pub(in super::super) fn carry(
        &mut self,
        name: WorkerId,
        elsewhere: &Elsewhere,
        tally: &mut Tally,
    ) -> bool {
        let Elsewhere { offers, over, recalled, abandoned } = elsewhere;
        if !(offers.is_empty() && over.is_empty()) {
            if self.is_buried(name) {
                tally.saw_times("an offer is fenced", offers.len());
                return false;
            }
            // In one transaction: what is offered again and over is never seen.
            let mut unseen = HashSet::new();
            for offer in offers {
                if self.partitions[&offer.address.part].owner == Some(name) {
                    let new = self.offer(offer);
                    tally.saw(if new { "offered" } else { "offered again" });
                    unseen.extend(new.then_some((
                        offer.address.part,
                        offer.address.run,
                        offer.seq,
                    )));
                }
            }
            for (part, run, seq, attempt) in over {
                let step = (*part, *run, *seq);
                if self.tasks.get(&step).is_some_and(|task| task.attempt == *attempt) {
                    let task = self.tasks.remove(&step).unwrap();
                    let settled = task.state == State::Settled || unseen.contains(&step);
                    // Of a closed run it was swept, and offered once more: nobody can claim it.
                    let open = self.row(*run).is_some_and(|row| !row.cached.status.is_closed());
                    assert!(settled || !open, "its outcome came from somewhere");
                }
            }
        }
        for (part, run) in recalled {
            self.recall(*part, *run, tally);
        }
        self.tasks.retain(|(part, run, _), _| !abandoned.contains(&(*part, *run)));
        true
    }

    fn offer(&mut self, offer: &Dispatch) -> bool {
        let step = (offer.address.part, offer.address.run, offer.seq);
        if self.tasks.get(&step).is_some_and(|task| task.attempt >= offer.attempt) {
            return false;
        }
        let task = Task {
            address: Arc::clone(&offer.address),
            attempt: offer.attempt,
            state: State::Waiting,
            activity: offer.call.activity.clone(),
            context: offer.context(),
            limit: offer.limit,
            close_by: offer.close_by,
            expires_at: offer.close_by,
        };
        self.tasks.insert(step, task);
        true
    }

    /// What nobody has claimed is withdrawn.
    fn recall(&mut self, part: Part, run: Uuid, tally: &mut Tally) {
        let of_it = |(step, task): (&Step, &Task)| {
            let forward = task.context.direction != Direction::Undo;
            let waits = task.state == State::Waiting && forward;
            (waits && (step.0, step.1) == (part, run)).then_some(*step)
        };
        for step in self.tasks.iter().filter_map(of_it).collect::<Vec<_>>() {
            tally.saw("withdrawn");
            self.settle(step, &failed("withdrawn: nobody had claimed it"));
        }
    }

    /// What waits and can be claimed: not of a closed run, and not too late.
    fn waiting(&self) -> impl Iterator<Item = (&Step, &Task)> {
        self.tasks.iter().filter(|((_, run, _), task)| {
            let late = task.close_by.is_some_and(|due| due <= self.now);
            let open = self.row(*run).is_some_and(|row| !row.cached.status.is_closed());
            task.state == State::Waiting && !late && open
        })
    }

    /// The numbers of the attempts that can be claimed.
    pub(in super::super) fn offered_attempts(&self) -> Vec<u32> {
        self.waiting().map(|(_, task)| task.attempt).collect()
    }

    /// Takes one that can be claimed and that `takes` says yes to; `pick` says which of so many.
    /// It has to be an attempt that history waits for.
    pub(in super::super) fn claim_task(
        &mut self,
        takes: impl Fn(&ActivityContext) -> bool,
        pick: impl FnOnce(usize) -> usize,
    ) -> Option<Claim> {
        let waiting = self.waiting().filter(|(_, task)| takes(&task.context));
        let waiting: Vec<_> = waiting.map(|(step, _)| *step).collect();
        let step = *waiting.get(pick(waiting.len()))?;
        let (_, run, seq) = step;
        let (now, token) = (self.now, self.claims);
        self.claims += 1;
        let ledger = self.ledger(run);
        let awaited = ledger.running().get(&seq).map(|running| running.attempt);
        let task = self.tasks.get_mut(&step)?;
        let attempt = task.attempt;
        task.state = State::Claimed(token);
        let end_by = now.after(task.limit);
        task.expires_at = Some(task.close_by.map_or(end_by, |close_by| close_by.min(end_by)));
        let (activity, context) = (task.activity.clone(), task.context.clone());
        let history = self.history(run);
        assert_eq!(awaited, Some(attempt), "{run} {seq:?} {attempt} is over:\n{history:#?}");
        Some(Claim { step, token, activity, context })
    }

    /// Whoever holds a claim says how it ended; false when he does not hold it any more.
    pub(in super::super) fn settle_task(&mut self, claim: &Claim, outcome: &Outcome) -> bool {
        let held = |task: &Task| task.state == State::Claimed(claim.token);
        let holds = self.tasks.get(&claim.step).is_some_and(held);
        if holds {
            self.settle(claim.step, outcome);
        }
        holds
    }

    fn settle(&mut self, step: Step, outcome: &Outcome) {
        let task = self.tasks.get_mut(&step).unwrap();
        task.state = State::Settled;
        let (address, attempt) = (Arc::clone(&task.address), task.attempt);
        let outcome = serde_json::to_string(outcome).unwrap();
        self.send(&address, format!("outcome:{}:{attempt}", step.2.0), None, Some(outcome));
    }

    /// Settles what is too late; answers how many that were.
    pub(in super::super) fn expire_tasks(&mut self) -> usize {
        let now = self.now;
        let late = self.tasks.iter().filter(|(_, task)| {
            task.state != State::Settled && task.expires_at.is_some_and(|due| due <= now)
        });
        let late: Vec<_> = late.map(|(step, _)| *step).collect();
        for step in &late {
            self.settle(*step, &failed("no answer"));
        }
        late.len()
    }

    /// Drops what closed runs have left.
    pub(in super::super) fn sweep_tasks(&mut self) {
        let (workflows, by_run) = (&self.workflows, &self.by_run);
        self.tasks.retain(|(_, run, _), _| {
            by_run.get(run).is_some_and(|key| !workflows[key].cached.status.is_closed())
        });
    }

    /// The runs that have not begun to unwind, and for which an action waits to be claimed.
    pub(in super::super) fn runs_that_wait_elsewhere(&self) -> Vec<Arc<Address>> {
        let waits = self.tasks.values().filter(|task| {
            let unwinds = self.ledger(task.address.run).cause().is_some();
            task.state == State::Waiting && !unwinds
        });
        waits.map(|task| Arc::clone(&task.address)).collect()
    }

    pub(in super::super) fn has_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), retry_after: None }
}
