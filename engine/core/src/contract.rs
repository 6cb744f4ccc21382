//! What a workflow author writes: plain types and four traits, no macros.

use std::error::Error;
use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use crate::context::carried;
use crate::step::Carried;
use crate::{ActivityOptions, Ctx, Fingerprint, SignalType, UpdateType};

/// A durable function. `Ok` commits the saga; `Err` unwinds it.
pub trait Workflow: 'static {
    /// Stable name, as stored in the database and used in URLs.
    const NAME: &'static str;
    /// [`Activity::NAME`] of everything the body asks for, undos included.
    ///
    /// A worker refuses to start while one of these has no handler, and a
    /// rehearsal refuses a body that asks for anything else.
    const ACTIVITIES: &'static [&'static str];
    /// Everything the body listens to; other signals are refused.
    const SIGNALS: &'static [SignalType] = &[];
    /// Everything the body answers; other updates are refused.
    const UPDATES: &'static [UpdateType] = &[];
    /// A fingerprint of the body's source, kept with every run that is started with it:
    /// what a run that no longer fits was made for. Default none.
    ///
    /// ```
    /// # use hansom_core::*;
    /// const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[b"the text of mod.rs"]));
    /// // in a crate: Fingerprint::of(&[include_bytes!("mod.rs"), include_bytes!("fare.rs")])
    /// assert_ne!(CODE, Some(Fingerprint::of(&[b"another text"])));
    /// ```
    const CODE: Option<Fingerprint> = None;
    /// What the caller starts it with.
    type Input: Serialize + DeserializeOwned;
    /// What the caller gets back.
    type Output: Serialize + DeserializeOwned;
    /// Why it may fail.
    type Error: Serialize + DeserializeOwned + Error;

    /// The body. Deterministic: it may only await what [`Ctx`] hands out.
    fn run(ctx: Ctx, input: Self::Input)
    -> impl Future<Output = Result<Self::Output, Self::Error>>;
}

/// A request for one side effect: its fields are the arguments, its type is the address.
pub trait Activity: Serialize + DeserializeOwned + Send + 'static {
    /// Stable name, as stored in the database.
    const NAME: &'static str;
    /// What the handler answers.
    type Output: Serialize + DeserializeOwned + Send + 'static;
    /// A business refusal: final, and the effect is known **not** to have happened.
    type Error: Serialize + DeserializeOwned + Error + Send + 'static;

    /// Retries and time limits of this type as a step; a step may override them.
    fn options() -> ActivityOptions {
        ActivityOptions::default()
    }

    /// Retries and time limits of this type as an undo.
    fn options_as_undo() -> ActivityOptions {
        ActivityOptions::undo()
    }

    /// How to find out whether it happened, when attempts have run out
    /// ([`crate::OnUnknown::Verify`]). Default: nobody can say.
    ///
    /// ```
    /// # use hansom_core::*;
    /// #[derive(serde::Serialize, serde::Deserialize)] struct Charge { trip: u64 }
    /// #[derive(serde::Serialize, serde::Deserialize)] struct WasCharged { trip: u64 }
    /// impl Activity for WasCharged {
    ///     const NAME: &'static str = "was_charged";
    ///     type Output = Verdict<()>; // of Charge's output
    ///     type Error = Never;
    /// }
    /// impl Activity for Charge {
    ///     const NAME: &'static str = "charge";
    ///     type Output = ();
    ///     type Error = Never;
    ///     fn probe(&self) -> Option<Probe<Self>> {
    ///         Some(Probe::ask(&WasCharged { trip: self.trip }))
    ///     }
    /// }
    /// ```
    fn probe(&self) -> Option<Probe<Self>> {
        None
    }
}

/// How to find out whether an `A` happened: an activity that looks.
///
/// It is asked with the idempotency key of the action. Before it answers
/// [`Verdict::NotDone`] it has to make sure that the action will not happen later: a
/// request may still be on its way.
pub struct Probe<A>(pub(crate) (&'static str, Carried), PhantomData<fn() -> A>);

impl<A: Activity> Probe<A> {
    /// Asks `probe`.
    pub fn ask<P: Activity<Output = Verdict<A::Output>, Error = Never>>(probe: &P) -> Self {
        Self((P::NAME, carried(P::NAME, probe)), PhantomData)
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict<T> {
    /// It happened, with this answer.
    Done(T),
    /// It did not, and will not.
    NotDone,
}

/// An activity whose effect needs no compensation: a read, a notification.
///
/// Declared once, at the contract, so that forgetting an undo is a compile
/// error rather than a lost refund:
///
/// ```compile_fail,E0277
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
/// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = Never; }
/// async fn body(ctx: Ctx) {
///     let _ = ctx.run(Charge).await; // `Charge` changes the world: say how to `.undo(..)` it
/// }
/// ```
///
/// ```
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Look;
/// # impl Activity for Look { const NAME: &'static str = "look"; type Output = (); type Error = Never; }
/// impl Harmless for Look {}
/// async fn body(ctx: Ctx) {
///     let _ = ctx.run(Look).await;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` changes the world: say how to `.undo(..)` it",
    label = "this step needs an `.undo(..)`",
    note = "if there is nothing to compensate, say so: `impl Harmless for {Self} {{}}`"
)]
pub trait Harmless: Activity {}

/// An error that cannot happen: the activity is retried until it succeeds.
///
/// Undos and everything after the pivot are bound to it; that is the saga
/// theorem (Garcia-Molina and Salem, 1987), checked by the compiler.
///
/// ```compile_fail,E0271
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("no")] struct No;
/// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = Never; }
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Refund;
/// impl Activity for Refund {
///     const NAME: &'static str = "refund";
///     type Output = ();
///     type Error = No; // a refund that may refuse …
/// }
/// async fn body(ctx: Ctx) {
///     let _ = ctx.run(Charge).undo(Refund).await; // … is no undo
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum Never {}

impl std::fmt::Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl Error for Never {}

/// How an activity ends badly, as its workflow sees it.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityError<E> {
    /// The handler refused. Nothing happened, so there is nothing to undo.
    #[error("refused: {0}")]
    Refused(E),
    /// Retries ran out. Nobody knows whether it happened, so its undo still runs.
    #[error("outcome unknown after {attempts} attempts: {reason}")]
    Unknown {
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
    /// Retries ran out, and the probe found that it did not happen; or, after 0 attempts, nothing
    /// of it was ever sent ([`crate::WhenUnavailable::Fail`]). There is nothing to undo.
    #[error("not done after {attempts} attempts: {reason}")]
    NotDone {
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
}
