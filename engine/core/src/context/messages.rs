//! Messages from outside: signals, and updates whose senders wait for an answer.

use std::future::poll_fn;
use std::marker::PhantomData;

use super::{Committed, Ctx};
use crate::{Command, Signal, Update, UpdateAnswer};

impl Ctx {
    /// The mailbox of one kind of signal: first in, first out, each once, and none lost that
    /// came before it was looked for.
    ///
    /// ```
    /// # use hansom_core::*;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Accepted { driver: u64 }
    /// impl Signal for Accepted { const NAME: &'static str = "accepted"; }
    /// # async fn body(ctx: Ctx) {
    /// let Accepted { driver } = ctx.signals().next().await;
    /// # let _ = driver;
    /// # }
    /// ```
    pub fn signals<S: Signal>(&self) -> Signals<S> {
        Signals { ctx: self.share(), kind: PhantomData }
    }

    /// The mailbox of one kind of update.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct EndRide { fare: u64 }
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("declined")] struct Declined;
    /// impl Update for EndRide {
    ///     const NAME: &'static str = "end_ride";
    ///     type Output = u64;
    ///     type Error = Declined;
    /// }
    /// # async fn body(ctx: Ctx) {
    /// let asked = ctx.updates::<EndRide>().next().await;
    /// match asked.update.fare {
    ///     0 => asked.refuse(&Declined), // the sender hears of it, once and for all
    ///     fare => asked.answer(&fare),
    /// }
    /// # }
    /// ```
    pub fn updates<U: Update>(&self) -> Updates<U> {
        Updates { ctx: self.share(), kind: PhantomData }
    }
}

impl Committed {
    /// The mailbox of one kind of signal, as [`Ctx::signals`].
    pub fn signals<S: Signal>(&self) -> Signals<S> {
        self.0.signals()
    }

    /// The mailbox of one kind of update, as [`Ctx::updates`].
    pub fn updates<U: Update>(&self) -> Updates<U> {
        self.0.updates()
    }
}

/// A first-in, first-out mailbox of signals.
pub struct Signals<S: Signal> {
    ctx: Ctx,
    kind: PhantomData<fn() -> S>,
}

impl<S: Signal> Signals<S> {
    /// Waits for the next signal, or takes one that is already here.
    pub async fn next(&self) -> S {
        poll_fn(|cx| {
            self.ctx.look(cx, |state| {
                let (_, payload) = state.signals.get_mut(S::NAME)?.pop_front()?;
                state.decode(S::NAME, &payload)
            })
        })
        .await
    }

    /// Takes one that is already here.
    pub fn try_next(&self) -> Option<S> {
        let mut state = self.ctx.0.borrow_mut();
        let (_, payload) = state.signals.get_mut(S::NAME)?.pop_front()?;
        state.decode(S::NAME, &payload)
    }
}

/// A first-in, first-out mailbox of updates.
pub struct Updates<U: Update> {
    ctx: Ctx,
    kind: PhantomData<fn() -> U>,
}

impl<U: Update> Updates<U> {
    /// Waits for the next update, or takes one that is already here.
    pub async fn next(&self) -> UpdateRequest<U> {
        poll_fn(|cx| {
            self.ctx.look(cx, |state| {
                let (id, payload) = state.updates.get_mut(U::NAME)?.pop_front()?;
                let update = state.decode(U::NAME, &payload)?;
                Some(UpdateRequest { update, id, ctx: self.ctx.share() })
            })
        })
        .await
    }
}

/// An update whose sender waits. Dropped without an answer, it is answered by the end of
/// the workflow: the sender hears that it closed.
#[must_use = "the sender waits for an answer"]
pub struct UpdateRequest<U: Update> {
    /// What is asked.
    pub update: U,
    id: String,
    ctx: Ctx,
}

impl<U: Update> UpdateRequest<U> {
    /// Answers it.
    pub fn answer(self, output: &U::Output) {
        if let Some(output) = self.ctx.encode(U::NAME, output) {
            let answer = UpdateAnswer::Done { output };
            self.ctx.issue(Command::Answer { update: self.id, answer });
        }
    }

    /// Refuses it.
    pub fn refuse(self, error: &U::Error) {
        if let Some(error) = self.ctx.encode(U::NAME, error) {
            let answer = UpdateAnswer::Refused { error };
            self.ctx.issue(Command::Answer { update: self.id, answer });
        }
    }
}
