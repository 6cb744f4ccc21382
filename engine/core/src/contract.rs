//! What a workflow author writes: plain types and four traits, no macros.

use std::error::Error;

use serde::{Serialize, de::DeserializeOwned};

use crate::{ActivityOptions, Ctx, Payload};

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

/// A message from outside into a running workflow.
pub trait Signal: Serialize + DeserializeOwned + 'static {
    /// Stable name, as stored in the database and used in URLs.
    const NAME: &'static str;
}

/// A kind of signal with its type erased.
#[derive(Clone, Copy)]
pub struct SignalType {
    /// [`Signal::NAME`].
    pub name: &'static str,
    check: fn(&Payload) -> Result<(), serde_json::Error>,
}

impl SignalType {
    /// Erases the type of `S`.
    pub const fn of<S: Signal>() -> Self {
        Self { name: S::NAME, check: |payload| payload.decode::<S>().map(drop) }
    }

    /// Whether `payload` has the shape of this signal. What has not must not
    /// reach a body, which could not go on from there.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check(&self, payload: &Payload) -> Result<(), serde_json::Error> {
        (self.check)(payload)
    }
}

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
}
