//! A side effect on its way from the body to history and back.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::context::{Answer, carried};
use crate::{
    Activity, ActivityError, ActivityOptions, Call, Command, Committed, Ctx, Harmless, Never,
    OnUnknown, Payload, RetryPolicy, Seq, StuckReason, WhenUnavailable,
};

/// A payload, or why the body stops where it is handed out.
pub(crate) type Carried = Result<Payload, (StuckReason, String)>;

impl Ctx {
    /// Asks for a side effect. Nothing happens until the step is awaited.
    #[expect(clippy::needless_pass_by_value, reason = "`run(Charge { .. })` reads best")]
    pub fn run<A: Activity>(&self, request: A) -> StepWithoutUndo<A> {
        StepWithoutUndo::new(self.share(), &request)
    }
}

impl Committed {
    /// Asks for a side effect that is retried until it succeeds.
    pub async fn run<A: Activity<Error = Never>>(&self, request: A) -> A::Output {
        match StepWithoutUndo::new(self.0.share(), &request).unlimited().await {
            Ok(output) => output,
            // An outcome that history should not have: never answered, so that
            // the body stays where it is and the operator sees why.
            Err(error) => self.0.fail(format!("{}: {error}", A::NAME)).await,
        }
    }
}

/// A side effect that has not yet said how it would be undone.
#[must_use = "a step does nothing unless awaited"]
pub struct StepWithoutUndo<A: Activity>(Step<A>);

impl<A: Activity> StepWithoutUndo<A> {
    fn new(ctx: Ctx, request: &A) -> Self {
        Self(Step {
            ctx,
            request: carried(A::NAME, request),
            undo: None,
            probe: request.probe().map(|probe| probe.0),
            options: None,
            seq: None,
            answer: PhantomData,
        })
    }

    /// How to compensate, should the saga unwind.
    ///
    /// A value known *before* the action runs, so an action whose outcome is
    /// lost can be undone as well as one that succeeded: address it by a
    /// business id or an idempotency key, never by the action's output.
    #[expect(clippy::needless_pass_by_value, reason = "`undo(Refund { .. })` reads best")]
    pub fn undo<U: Activity<Error = Never>>(mut self, request: U) -> Step<A> {
        self.0.undo = Some((U::NAME, carried(U::NAME, &request)));
        self.0
    }

    /// Overrides the activity type's retry policy for this step.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.0 = self.0.retry(policy);
        self
    }

    /// Overrides the activity type's limit of one attempt for this step.
    pub fn start_to_close(mut self, limit: Duration) -> Self {
        self.0 = self.0.start_to_close(limit);
        self
    }

    /// Overrides the activity type's limit of all attempts together for this step.
    pub fn schedule_to_close(mut self, limit: Duration) -> Self {
        self.0 = self.0.schedule_to_close(limit);
        self
    }

    /// Overrides what follows when nobody knows whether this step happened.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # use std::time::Duration;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Refund;
    /// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = Never; }
    /// # impl Activity for Refund { const NAME: &'static str = "refund"; type Output = (); type Error = Never; }
    /// # async fn body(ctx: Ctx) -> Result<(), ActivityError<Never>> {
    /// ctx.run(Charge)
    ///     .retry(RetryPolicy { maximum_attempts: 3, ..RetryPolicy::default() })
    ///     .start_to_close(Duration::from_secs(2)) // of each attempt
    ///     .schedule_to_close(Duration::from_secs(20)) // of all of them
    ///     .on_unknown(OnUnknown::Park) // then a person looks
    ///     .undo(Refund)
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn on_unknown(mut self, then: OnUnknown) -> Self {
        self.0 = self.0.on_unknown(then);
        self
    }

    /// Overrides what follows when an attempt of this step cannot be sent.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Refund;
    /// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = Never; }
    /// # impl Activity for Refund { const NAME: &'static str = "refund"; type Output = (); type Error = Never; }
    /// # async fn body(ctx: Ctx) -> bool {
    /// let charge = ctx.run(Charge).when_unavailable(WhenUnavailable::Fail); // somebody waits
    /// match charge.undo(Refund).await {
    ///     Err(ActivityError::NotDone { .. }) => false, // the ride stays open: pay again later
    /// #   _ => true,
    ///     // ...
    /// }
    /// # }
    /// ```
    pub fn when_unavailable(mut self, then: WhenUnavailable) -> Self {
        self.0 = self.0.when_unavailable(then);
        self
    }

    /// Past the pivot there is nothing to undo, and no end of trying: the
    /// ledger knows, so that nothing has to be written down.
    fn unlimited(self) -> Step<A> {
        self.0
    }
}

impl<A: Harmless> IntoFuture for StepWithoutUndo<A> {
    type Output = Result<A::Output, ActivityError<A::Error>>;
    type IntoFuture = Step<A>;

    fn into_future(self) -> Step<A> {
        self.0
    }
}

/// A side effect about to be asked for.
#[must_use = "a step does nothing unless awaited"]
pub struct Step<A: Activity> {
    ctx: Ctx,
    request: Carried,
    undo: Option<(&'static str, Carried)>,
    probe: Option<(&'static str, Carried)>,
    options: Option<Box<ActivityOptions>>,
    seq: Option<Seq>,
    answer: PhantomData<fn() -> A>,
}

impl<A: Activity> Step<A> {
    /// Overrides the activity type's retry policy for this step.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.own_options().retry = policy;
        self
    }

    /// Overrides the activity type's limit of one attempt for this step.
    pub fn start_to_close(mut self, limit: Duration) -> Self {
        self.own_options().start_to_close = limit;
        self
    }

    /// Overrides the activity type's limit of all attempts together for this step.
    pub fn schedule_to_close(mut self, limit: Duration) -> Self {
        self.own_options().schedule_to_close = Some(limit);
        self
    }

    /// Overrides what follows when nobody knows whether this step happened.
    pub fn on_unknown(mut self, then: OnUnknown) -> Self {
        self.own_options().on_unknown = then;
        self
    }

    /// Overrides what follows when an attempt of this step cannot be sent.
    pub fn when_unavailable(mut self, then: WhenUnavailable) -> Self {
        self.own_options().when_unavailable = then;
        self
    }

    fn own_options(&mut self) -> &mut ActivityOptions {
        self.options.get_or_insert_with(|| Box::new(A::options()))
    }

    fn command(&mut self) -> Result<Command, (StuckReason, String)> {
        let call = |(activity, request): (&'static str, Carried)| {
            request.map(|request| Call { activity: activity.to_owned(), request })
        };
        let undo = self.undo.take().map(call).transpose()?;
        let probe = self.probe.take().map(call).transpose()?.map(Box::new);
        let request = self.request.clone()?;
        let activity = A::NAME.to_owned();
        Ok(Command::Run { activity, request, undo, probe, options: self.options.take() })
    }
}

impl<A: Activity> Unpin for Step<A> {}

impl<A: Activity> Future for Step<A> {
    type Output = Result<A::Output, ActivityError<A::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let seq = match self.seq {
            Some(seq) => seq,
            None => match self.command() {
                Ok(command) => self.ctx.issue(command),
                Err(fault) => {
                    self.ctx.0.borrow_mut().fault = Some(fault);
                    return Poll::Pending;
                }
            },
        };
        self.seq = Some(seq);
        self.ctx.look(cx, |state| match state.outcomes.remove(&seq)? {
            Answer::Done(output) => state.decode(A::NAME, &output).map(Ok),
            Answer::Refused(error) => {
                state.decode(A::NAME, &error).map(|error| Err(ActivityError::Refused(error)))
            }
            Answer::Unknown { attempts, reason } => {
                Some(Err(ActivityError::Unknown { attempts, reason }))
            }
            Answer::NotDone { attempts, reason } => {
                Some(Err(ActivityError::NotDone { attempts, reason }))
            }
            Answer::Fired | Answer::Child(_) => unreachable!("it is neither timer nor child"),
        })
    }
}
