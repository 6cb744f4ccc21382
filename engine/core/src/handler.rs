//! What an activity provider implements, on the other side of the I/O line.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Activity, Pulse, Seq};

/// Performs one kind of activity.
///
/// May run more than once for the same step (a lost answer, a lost worker):
/// the effect must be deduplicated by [`ActivityContext::idempotency_key`] or
/// by a business id.
///
/// ```
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct ChargeFare { amount: u64 }
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("declined")] struct CardDeclined;
/// # impl Activity for ChargeFare { const NAME: &'static str = "charge_fare"; type Output = (); type Error = CardDeclined; }
/// # struct Gateway;
/// # impl Gateway { async fn charge(&self, _: u64, _: &str) -> std::io::Result<bool> { Ok(true) } }
/// struct Payments { gateway: Gateway }
///
/// impl Handler<ChargeFare> for Payments {
///     async fn handle(&self, ask: ChargeFare, cx: ActivityContext) -> Result<(), Failure<CardDeclined>> {
///         // `?`: technical, so it is tried again with the same key.
///         match self.gateway.charge(ask.amount, &cx.idempotency_key()).await? {
///             true => Ok(()),
///             false => Err(Failure::Refused(CardDeclined)), // business, so final
///         }
///     }
/// }
/// ```
pub trait Handler<A: Activity>: Send + Sync + 'static {
    /// Performs it.
    fn handle(
        &self,
        ask: A,
        cx: ActivityContext,
    ) -> impl Future<Output = Result<A::Output, Failure<A::Error>>> + Send;
}

/// How one attempt fails.
#[derive(Debug)]
pub enum Failure<E> {
    /// The business says no: final, and known not to have happened.
    Refused(E),
    /// Something technical: try again with the same key.
    Retry {
        /// What went wrong.
        reason: Box<dyn Error + Send + Sync>,
        /// When the service asked to be called again.
        after: Option<Duration>,
    },
    /// The request was **not sent**: its service is known to be in trouble. No attempt was
    /// made, so that none counts; what follows is for the step to say
    /// ([`crate::WhenUnavailable`]).
    ///
    /// Only where nothing has left this process. A step of which nothing was ever sent ends as
    /// not done, and its undo is not run.
    Unavailable {
        /// Why it was not sent: `breaker of payment is open`.
        reason: Box<dyn Error + Send + Sync>,
        /// When it may be sent, if that is known.
        after: Option<Duration>,
    },
}

impl<E> Failure<E> {
    /// A technical failure with a plain text.
    pub fn retry(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }
}

impl<E, X: Error + Send + Sync + 'static> From<X> for Failure<E> {
    fn from(reason: X) -> Self {
        Self::retry(reason)
    }
}

/// Whether an activity is performed or compensated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The action.
    Do,
    /// Its compensation.
    Undo,
    /// A probe, that finds out whether the action happened.
    Verify,
}

/// What a handler may know about its attempt, and how it tells that it is alive.
///
/// An activity that takes long says so with [`crate::ActivityOptions::heartbeat`]; its handler then
/// beats, and goes on where an earlier attempt was:
///
/// ```
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Import { rows: u64 }
/// # impl Activity for Import { const NAME: &'static str = "import"; type Output = u64; type Error = Never; }
/// # struct Importer;
/// # impl Importer { async fn copy(&self, _: u64) {} }
/// impl Handler<Import> for Importer {
///     async fn handle(&self, ask: Import, cx: ActivityContext) -> Result<u64, Failure<Never>> {
///         let done = cx.details::<u64>().unwrap_or(0); // of the attempt before
///         for row in done..ask.rows {
///             self.copy(row).await;
///             cx.heartbeat(&(row + 1));
///         }
///         Ok(ask.rows)
///     }
/// }
///
/// // A test of it needs no engine:
/// # use std::sync::{Arc, Mutex};
/// let beats = Arc::new(Mutex::new(0));
/// let counted = Arc::clone(&beats);
/// let pulse = Pulse::new(Payload::of(&8).ok(), move |_| *counted.lock().unwrap() += 1);
/// let cx = ActivityContext::new("i1", "run", Seq(0), Direction::Do, 2).with_pulse(pulse);
/// # futures_util::future::FutureExt::now_or_never(
/// Importer.handle(Import { rows: 10 }, cx)
/// # ).unwrap().unwrap();
/// assert_eq!(*beats.lock().unwrap(), 2, "eight rows were there");
/// ```
#[derive(Clone, Debug)]
pub struct ActivityContext {
    /// The workflow that asks, as its starter named it.
    pub workflow_id: String,
    /// The run of that workflow, as a UUID.
    pub run: String,
    /// The command this serves; for an undo, the action it undoes.
    pub seq: Seq,
    /// Whether it is done or undone.
    pub direction: Direction,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    pulse: Pulse,
}

impl ActivityContext {
    /// The context of one attempt, whose heartbeats nobody hears.
    pub fn new(
        workflow_id: impl Into<String>,
        run: impl Into<String>,
        seq: Seq,
        direction: Direction,
        attempt: u32,
    ) -> Self {
        let (workflow_id, run) = (workflow_id.into(), run.into());
        Self { workflow_id, run, seq, direction, attempt, pulse: Pulse::default() }
    }

    /// The same, with somebody to hear its heartbeats.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// Says that this attempt is alive, and how far it is.
    ///
    /// Cheap, and never waits: beat as often as there is something to say. What is said is kept
    /// now and then (a third of [`crate::ActivityOptions::heartbeat`], at most every second) and before
    /// the attempt is tried again. Of an activity without heartbeats it is not kept, and
    /// neither is what has no JSON form or more than [`Pulse::MAX`] bytes of it.
    pub fn heartbeat(&self, details: &impl Serialize) {
        self.pulse.beat(details);
    }

    /// What an earlier attempt of this step, or this one before its worker was lost, said last
    /// in its heartbeats. `None` when it said nothing, or nothing of that shape.
    pub fn details<T: DeserializeOwned>(&self) -> Option<T> {
        self.pulse.earlier()?.decode().ok()
    }

    /// The same for every attempt of one step, different for everything else:
    /// `{run}/{seq}/do` or `{run}/{seq}/undo`.
    pub fn idempotency_key(&self) -> String {
        let direction = match self.direction {
            // A probe asks about the action.
            Direction::Do | Direction::Verify => "do",
            Direction::Undo => "undo",
        };
        format!("{}/{}/{direction}", self.run, self.seq.0)
    }
}

impl<A: Activity, H: Handler<A>> Handler<A> for Arc<H> {
    fn handle(
        &self,
        ask: A,
        cx: ActivityContext,
    ) -> impl Future<Output = Result<A::Output, Failure<A::Error>>> + Send {
        H::handle(self, ask, cx)
    }
}
