//! One attempt of one activity: within its time, and whatever happens in it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hansom_core::{Attempt, Because, Command, Direction, Event, Origin, Payload, Pulse, Seq};

use tokio::sync::Semaphore;

use super::heartbeat::{Heartbeats, Patient};
use super::transaction::{Job, Transactions};
use crate::Registry;
use crate::address::part_of;
use crate::owner::{Answer, Dispatch};
use crate::store::Pool;
use crate::store::history;
use crate::store::outcome::{Fence, Key};

/// So many attempts are under way at a time; more wait, and their time limit with them.
const ATTEMPTS: usize = 1_024;

/// Makes attempts.
pub(crate) struct Attempts {
    registry: Arc<Registry>,
    pool: Pool,
    heartbeats: Heartbeats,
    transactions: Transactions,
    partitions: i32,
    permits: Semaphore,
}

impl Attempts {
    pub(crate) fn new(
        registry: Arc<Registry>,
        pool: Pool,
        heartbeats: Heartbeats,
        transactions: Transactions,
        partitions: i32,
    ) -> Self {
        let permits = Semaphore::new(ATTEMPTS);
        Self { registry, pool, heartbeats, transactions, partitions, permits }
    }

    /// Makes an attempt. A panic or a timeout is a failed attempt. `None` where another worker
    /// will answer.
    pub(crate) async fn make(&self, dispatch: Dispatch, fence: Fence) -> Option<Answer> {
        let (ended, said) = match self.spare(&dispatch).await {
            // The time of all attempts together was over before this one began.
            Ok(false) if dispatch.limit.is_zero() => (Attempt::failed("no time was left"), false),
            Ok(false) => match self.registry.transaction(&dispatch.call.activity) {
                Some(_) => (self.make_transaction(&dispatch, fence).await?, false),
                None => self.make_plain(&dispatch).await,
            },
            Ok(true) => (nothing_to_undo(), false),
            Err(error) => (Attempt::failed(format!("what it undoes: {error}")), false),
        };
        let Dispatch { address, seq, attempt, call, .. } = dispatch;
        match &ended {
            Attempt::Failed { reason, .. } => tracing::warn!(
                workflow_id = %address.workflow_id, run = %address.run, part = address.part,
                activity = %call.activity, attempt, reason, "attempt_failed"
            ),
            // One line for each would be a flood: whoever holds them back says so once.
            Attempt::Unavailable { reason, .. } => tracing::debug!(
                workflow_id = %address.workflow_id, run = %address.run, part = address.part,
                activity = %call.activity, attempt, reason, "attempt_held_back"
            ),
            Attempt::Done(_) | Attempt::Refused(_) => {}
        }
        Some(Answer { run: address.run, activity: call.activity, seq, attempt, ended, said })
    }

    async fn make_plain(&self, dispatch: &Dispatch) -> (Attempt, bool) {
        // Never closed; and without a permit the attempt would still have to be made.
        let _permit = self.permits.acquire().await;
        let Dispatch { address, seq, attempt, call, first, limit, heartbeat, .. } = dispatch;
        let handle = |pulse: Pulse| {
            let cx = dispatch.context().with_pulse(pulse);
            let handled = AssertUnwindSafe(async {
                match self.registry.handler(&call.activity) {
                    Some(handler) => handler.handle(&call.request, cx).await,
                    None => Attempt::failed(format!("no handler for {}", call.activity)),
                }
            });
            handled
                .catch_unwind()
                .map(|ended| ended.unwrap_or_else(|_| Attempt::failed("the handler panicked")))
        };
        match *heartbeat {
            Some(heartbeat) => {
                let step = (address.part, address.run, *seq);
                let (attempt, first, limit) = (*attempt, *first, *limit);
                let patient = Patient { step, attempt, first, heartbeat, limit };
                self.heartbeats.listen(patient, handle).await
            }
            None => match tokio::time::timeout(*limit, handle(Pulse::default())).await {
                Ok(ended) => (ended, false),
                Err(_) => (Attempt::failed(format!("no answer within {limit:?}")), false),
            },
        }
    }

    async fn make_transaction(&self, dispatch: &Dispatch, fence: Fence) -> Option<Attempt> {
        let Dispatch { direction, call, limit, .. } = dispatch;
        let handler = self.registry.transaction(&call.activity)?;
        let undo = *direction == Direction::Undo;
        let key = (*direction != Direction::Verify).then(|| self.key(dispatch, undo));
        let (request, cx) = (&call.request, dispatch.context());
        self.transactions.attempt(Job { handler, request, cx, key, fence, limit: *limit }).await
    }

    /// Whether an undo can be spared, because the action has not taken place and never will.
    ///
    /// Only where history does not know better, and only of a transactional action: of any other
    /// nobody can say but whoever undoes it. Rare, and so history itself is read.
    async fn spare(&self, dispatch: &Dispatch) -> Result<bool, sqlx::Error> {
        if dispatch.because.is_none_or(|because| because == Because::Done) {
            return Ok(false);
        }
        let action = self.key(dispatch, false);
        let rows = history::of(&self.pool, action.part, action.run).await?;
        let events = rows.iter().flat_map(|(_, events)| events);
        match asked(events, dispatch.of) {
            Some(activity) if self.registry.transaction(activity).is_some() => {
                Ok(!self.transactions.void(action, dispatch.limit).await?)
            }
            _ => Ok(false),
        }
    }

    /// The step of an attempt, or the action that it undoes, by the run that acted.
    fn key(&self, dispatch: &Dispatch, undo: bool) -> Key {
        let Dispatch { address, of, origin, .. } = dispatch;
        let seq = i32::try_from(of.0).expect("a history is bounded far below this");
        let (part, run) = match origin {
            Some(Origin { workflow_id, run }) => {
                let run = run.parse().expect("the engine named this run");
                (part_of(&address.namespace, workflow_id, self.partitions), run)
            }
            None => (address.part, address.run),
        };
        Key { part, run, seq, undo }
    }
}

/// The activity that a run asked for.
fn asked<'a>(events: impl Iterator<Item = &'a Event>, of: Seq) -> Option<&'a str> {
    let commands = events.filter_map(|event| match event {
        Event::Asked(command) => Some(command),
        _ => None,
    });
    match (0..).zip(commands).find(|(seq, _)| *seq == of.0)?.1 {
        Command::Run { activity, .. } => Some(activity),
        _ => None,
    }
}

fn nothing_to_undo() -> Attempt {
    Payload::of(&()).map_or_else(|_| Attempt::failed("null has no JSON form"), Attempt::Done)
}
