//! What an activity provider implements, on the other side of the I/O line.

use std::error::Error;
use std::time::Duration;

use crate::{Activity, Seq};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The action.
    Do,
    /// Its compensation.
    Undo,
}

/// What a handler may know about its attempt.
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
}

impl ActivityContext {
    /// The same for every attempt of one step, different for everything else:
    /// `{run}/{seq}/do` or `{run}/{seq}/undo`.
    pub fn idempotency_key(&self) -> String {
        let direction = match self.direction {
            Direction::Do => "do",
            Direction::Undo => "undo",
        };
        format!("{}/{}/{direction}", self.run, self.seq.0)
    }
}
