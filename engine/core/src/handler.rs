//! What an activity provider implements, on the other side of the I/O line.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Activity, ActivityOptions, Answers, Payload, Pulse, Seq, UnknownActivity};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
/// An activity that takes long says so with [`ActivityOptions::heartbeat`]; its handler then
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
    /// now and then (a third of [`ActivityOptions::heartbeat`], at most every second) and before
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

/// How one attempt ended, with its types erased.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// The handler answered.
    Done(Payload),
    /// The handler refused.
    Refused(Payload),
    /// Something technical: worth another attempt.
    Failed {
        /// What went wrong.
        reason: String,
        /// When the service asked to be called again.
        retry_after: Option<Duration>,
    },
}

impl Attempt {
    /// A technical failure.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), retry_after: None }
    }

    /// What a handler of `A` answered, with its types erased. An answer without a JSON form,
    /// or one of more than [`Payload::MAX`] bytes, is a technical failure.
    pub fn of<A: Activity>(answer: Result<A::Output, Failure<A::Error>>) -> Self {
        let encoded = match answer {
            Ok(output) => Payload::of(&output).map(Self::Done),
            Err(Failure::Refused(error)) => Payload::of(&error).map(Self::Refused),
            Err(Failure::Retry { reason, after }) => {
                return Self::Failed { reason: reason.to_string(), retry_after: after };
            }
        };
        match encoded {
            Ok(Self::Done(payload) | Self::Refused(payload))
                if payload.get().len() > Payload::MAX =>
            {
                let (bytes, limit) = (payload.get().len(), Payload::MAX);
                Self::failed(format!("answer of {}: {bytes} bytes; the limit is {limit}", A::NAME))
            }
            Ok(attempt) => attempt,
            Err(error) => Self::failed(format!("answer of {}: {error}", A::NAME)),
        }
    }
}

type BoxAttempt = Pin<Box<dyn Future<Output = Attempt> + Send>>;
type Handle = dyn Fn(&Payload, ActivityContext) -> BoxAttempt + Send + Sync;

/// A handler with its types erased, and what its activity declares.
#[derive(Clone)]
pub struct ErasedHandler {
    /// [`Activity::options`].
    pub options: ActivityOptions,
    /// [`Activity::options_as_undo`].
    pub options_as_undo: ActivityOptions,
    /// What it may answer.
    pub answers: Answers,
    place: Place,
}

/// Where an activity is performed.
#[derive(Clone)]
enum Place {
    Here(Arc<Handle>),
    /// By whoever claims it from this queue.
    Queue(Arc<str>),
}

impl ErasedHandler {
    fn of<A: Activity>(place: Place) -> Self {
        Self {
            options: A::options(),
            options_as_undo: A::options_as_undo(),
            answers: Answers::of::<A>(),
            place,
        }
    }

    fn new<A: Activity, H: Handler<A>>(handler: H) -> Self {
        let handler = Arc::new(handler);
        let handle = move |request: &Payload, cx: ActivityContext| -> BoxAttempt {
            let (handler, ask) = (Arc::clone(&handler), request.decode::<A>());
            Box::pin(async move {
                match ask {
                    Ok(ask) => Attempt::of::<A>(handler.handle(ask, cx).await),
                    Err(error) => Attempt::failed(format!("request of {}: {error}", A::NAME)),
                }
            })
        };
        Self::of::<A>(Place::Here(Arc::new(handle)))
    }

    /// Makes one attempt. Of an activity that is performed elsewhere each fails.
    pub fn handle(&self, request: &Payload, cx: ActivityContext) -> BoxAttempt {
        match &self.place {
            Place::Here(handle) => handle(request, cx),
            Place::Queue(queue) => {
                let reason = format!("it is performed by whoever claims it from `{queue}`");
                Box::pin(std::future::ready(Attempt::failed(reason)))
            }
        }
    }

    /// The queue of an activity that is performed elsewhere.
    pub fn queue(&self) -> Option<&Arc<str>> {
        match &self.place {
            Place::Here(_) => None,
            Place::Queue(queue) => Some(queue),
        }
    }
}

/// Handlers by the name of the activity they perform. Two for one activity are one too many:
/// a worker refuses to start with them, and says which.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<&'static str, ErasedHandler>,
    twice: BTreeSet<&'static str>,
}

impl Handlers {
    /// Adds one.
    #[must_use]
    pub fn with<A: Activity>(mut self, handler: impl Handler<A>) -> Self {
        self.add(A::NAME, ErasedHandler::new::<A, _>(handler));
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.by_name.into_iter().for_each(|(name, handler)| self.add(name, handler));
        self.twice.extend(others.twice);
        self
    }

    fn add(&mut self, name: &'static str, handler: ErasedHandler) {
        if self.by_name.insert(name, handler).is_some() {
            self.twice.insert(name);
        }
    }

    /// Adds an activity that is performed elsewhere: by workers in any language that claim its
    /// attempts from the queue of its name. Retries and time limits hold as for any other, and
    /// [`ActivityOptions::start_to_close`] counts from the claim.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct TellRider { trip: u64 }
    /// # impl Activity for TellRider { const NAME: &'static str = "tell_rider"; type Output = (); type Error = Never; }
    /// let handlers = Handlers::default().remote::<TellRider>();
    /// assert_eq!(handlers.get("tell_rider").unwrap().queue().unwrap().as_ref(), "tell_rider");
    /// ```
    #[must_use]
    pub fn remote<A: Activity>(self) -> Self {
        self.remote_from::<A>(A::NAME)
    }

    /// As [`Handlers::remote`], from another queue: one queue may serve many activities.
    #[must_use]
    pub fn remote_from<A: Activity>(mut self, queue: &str) -> Self {
        self.add(A::NAME, ErasedHandler::of::<A>(Place::Queue(queue.into())));
        self
    }

    /// The same, but the activity called `name` is performed elsewhere, as if it had been added
    /// with [`Handlers::remote`].
    ///
    /// # Errors
    ///
    /// [`UnknownActivity`], when there is none of that name.
    pub fn made_remote(mut self, name: &str) -> Result<Self, UnknownActivity> {
        let Some(handler) = self.by_name.get_mut(name) else {
            let known = self.names().collect();
            return Err(UnknownActivity { name: name.to_owned(), known });
        };
        handler.place = Place::Queue(name.into());
        Ok(self)
    }

    /// The handler of the activity called `name`.
    pub fn get(&self, name: &str) -> Option<&ErasedHandler> {
        self.by_name.get(name)
    }

    /// The names of all activities that have a handler.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// The names of the activities that were given more than one.
    pub fn twice(&self) -> impl Iterator<Item = &'static str> {
        self.twice.iter().copied()
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
