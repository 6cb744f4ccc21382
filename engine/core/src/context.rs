//! What a workflow body may await.
//!
//! A future from here asks on its first poll and answers when history does.
//! [`Ctx`] is deliberately `!Send`: it cannot be smuggled into another thread.
//! Nothing here knows how history is stored, or whether it is being replayed.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{Command, Payload, Seq, Signal, StuckReason, Timestamp};

/// The workflow's only window on the world.
///
/// ```compile_fail,E0277
/// # async fn body(ctx: hansom_core::Ctx) {
/// fn escapes(_: impl Send) {}
/// escapes(ctx);
/// # }
/// ```
///
/// ```
/// # async fn body(ctx: hansom_core::Ctx) {
/// fn stays<T>(_: T) {}
/// stays(ctx);
/// # }
/// ```
#[derive(Default)]
pub struct Ctx(pub(crate) Rc<RefCell<State>>);

/// The same window, past the point of no return: steps can only succeed.
///
/// ```compile_fail,E0271
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("no")] struct No;
/// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = No; }
/// async fn body(ctx: Ctx) {
///     ctx.pivot().run(Charge).await; // a step that may refuse has no place here
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use hansom_core::*;
/// async fn body(ctx: Ctx) {
///     let committed = ctx.pivot();
///     ctx.sleep(std::time::Duration::ZERO).await; // `ctx` is gone: there is no way back
/// }
/// ```
pub struct Committed(pub(crate) Ctx);

/// What history has told the body so far, and what the body has asked for.
#[derive(Default)]
pub(crate) struct State {
    /// Asked for, and not yet compared with history or recorded in it.
    pub(crate) issued: VecDeque<Command>,
    /// The position of the next command.
    pub(crate) next: u32,
    /// Answers that nobody has taken yet.
    pub(crate) outcomes: BTreeMap<Seq, Answer>,
    pub(crate) mailboxes: BTreeMap<String, VecDeque<Payload>>,
    pub(crate) now: Timestamp,
    pub(crate) fault: Option<(StuckReason, String)>,
    /// Who to wake when the next event is delivered.
    pub(crate) waiting: Vec<Waker>,
    /// The body is being dropped: what its futures ask for now does not count.
    pub(crate) muted: bool,
}

/// How one command was answered.
pub(crate) enum Answer {
    Done(Payload),
    Refused(Payload),
    Unknown { attempts: u32, reason: String },
    Fired,
}

impl Ctx {
    /// The mailbox of one kind of signal.
    pub fn signals<S: Signal>(&self) -> Signals<S> {
        Signals { ctx: self.share(), kind: std::marker::PhantomData }
    }

    /// The time of the event that is being told: the same in every replay.
    pub fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    /// Sleeps durably. Dropped before it is over, it is cancelled.
    pub async fn sleep(&self, duration: Duration) {
        let at = self.now().after(duration);
        let mut alarm = Alarm { ctx: self, seq: self.issue(Command::StartTimer { at }), set: true };
        poll_fn(|cx| {
            let fired = self.look(cx, |state| state.outcomes.remove(&alarm.seq).map(|_| ()));
            alarm.set = fired.is_pending();
            fired
        })
        .await;
    }

    /// Waits for `future`, but no longer than `limit`.
    ///
    /// Deterministic without recording a winner: history delivers one event
    /// at a time, and between two polls at most one side can become ready.
    ///
    /// # Errors
    ///
    /// [`Elapsed`], when the timer fired first.
    pub async fn timeout<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        match self.select(future, self.sleep(limit)).await {
            Either::Left(value) => Ok(value),
            Either::Right(()) => Err(Elapsed),
        }
    }

    /// Waits for the first of two; the other is dropped. A tie goes to the left.
    pub async fn select<L, R>(
        &self,
        left: impl Future<Output = L>,
        right: impl Future<Output = R>,
    ) -> Either<L, R> {
        let (mut left, mut right) = (pin!(left), pin!(right));
        poll_fn(|cx| {
            if let Poll::Ready(value) = left.as_mut().poll(cx) {
                return Poll::Ready(Either::Left(value));
            }
            right.as_mut().poll(cx).map(Either::Right)
        })
        .await
    }

    /// Waits for both, side by side.
    pub async fn join<L, R>(
        &self,
        left: impl Future<Output = L>,
        right: impl Future<Output = R>,
    ) -> (L, R) {
        let (mut left, mut right) = (pin!(left), pin!(right));
        let (mut left_value, mut right_value) = (None, None);
        poll_fn(|cx| {
            if left_value.is_none()
                && let Poll::Ready(value) = left.as_mut().poll(cx)
            {
                left_value = Some(value);
            }
            if right_value.is_none()
                && let Poll::Ready(value) = right.as_mut().poll(cx)
            {
                right_value = Some(value);
            }
            match (left_value.take(), right_value.take()) {
                (Some(left), Some(right)) => Poll::Ready((left, right)),
                (left, right) => {
                    (left_value, right_value) = (left, right);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Passes the point of no return: from here on a cancellation comes too late.
    #[must_use = "what follows the pivot is asked of what it returns"]
    pub fn pivot(self) -> Committed {
        self.issue(Command::Pivot {});
        Committed(self)
    }

    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Looks for an answer in history, or waits to be woken by its next event.
    pub(crate) fn look<T>(
        &self,
        cx: &Context<'_>,
        find: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut state = self.0.borrow_mut();
        if let Some(answer) = find(&mut state) {
            return Poll::Ready(answer);
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn issue(&self, command: Command) -> Seq {
        let mut state = self.0.borrow_mut();
        let seq = Seq(state.next);
        if !state.muted {
            state.next += 1;
            state.issued.push_back(command);
        }
        seq
    }
}

impl State {
    /// Decodes what history holds. What does not fit stops the body where it
    /// is: it is a fault of the code, not an outcome of the saga.
    pub(crate) fn decode<T: DeserializeOwned>(
        &mut self,
        what: &str,
        payload: &Payload,
    ) -> Option<T> {
        payload
            .decode()
            .inspect_err(|error| {
                self.fault = Some((StuckReason::Payload, format!("{what}: {error}")));
            })
            .ok()
    }
}

impl Committed {
    /// Sleeps durably, as [`Ctx::sleep`].
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// The mailbox of one kind of signal, as [`Ctx::signals`].
    pub fn signals<S: Signal>(&self) -> Signals<S> {
        self.0.signals()
    }

    /// The time of the event that is being told, as [`Ctx::now`].
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Ctx {
    pub(crate) async fn fail(&self, detail: String) -> ! {
        self.0.borrow_mut().fault = Some((StuckReason::Payload, detail));
        std::future::pending().await
    }
}

/// A timer that is forgotten when nobody waits for it any more.
struct Alarm<'a> {
    ctx: &'a Ctx,
    seq: Seq,
    set: bool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        // An answer that came but was not taken needs no cancelling either.
        let fired = self.ctx.0.borrow_mut().outcomes.remove(&self.seq).is_some();
        if self.set && !fired {
            self.ctx.issue(Command::CancelTimer { timer: self.seq });
        }
    }
}

/// A first-in, first-out mailbox of signals.
pub struct Signals<S: Signal> {
    ctx: Ctx,
    kind: std::marker::PhantomData<fn() -> S>,
}

impl<S: Signal> Signals<S> {
    /// Waits for the next signal, or takes one that is already here.
    pub async fn next(&self) -> S {
        poll_fn(|cx| {
            self.ctx.look(cx, |state| {
                let payload = state.mailboxes.get_mut(S::NAME)?.pop_front()?;
                state.decode(S::NAME, &payload)
            })
        })
        .await
    }
}

/// Which of two came first.
#[derive(Debug, PartialEq, Eq)]
pub enum Either<L, R> {
    /// The left one.
    Left(L),
    /// The right one.
    Right(R),
}

/// The time limit was reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit was reached")]
pub struct Elapsed;
