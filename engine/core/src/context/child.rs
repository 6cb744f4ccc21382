//! Workflows that a workflow starts.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Answer, Committed, Ctx};
use crate::{ChildOutcome, Command, ParentClose, Seq, StartChild, StuckReason, Workflow, is_id};

impl Ctx {
    /// Starts another workflow and, awaited, waits for its end. It is started with the commit
    /// that records it, exactly once.
    ///
    /// Should this workflow unwind later, what the completed child did is undone from the
    /// child's own undo plan, in its place among this one's; a child that is still open is
    /// asked to cancel first, and waited for. A child that passed its point of no return
    /// stays done.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # struct Ride;
    /// # impl Workflow for Ride {
    /// #     const NAME: &'static str = "ride"; const ACTIVITIES: &'static [&'static str] = &[];
    /// #     type Input = u64; type Output = u64; type Error = Never;
    /// #     async fn run(_: Ctx, fare: u64) -> Result<u64, Never> { Ok(fare) }
    /// # }
    /// # async fn body(ctx: Ctx) -> Result<(), ChildError<Never>> {
    /// let there = ctx.child::<Ride>("trip-7-there", &10).await?;
    /// let (back, tour) = ctx.join(
    ///     ctx.child::<Ride>("trip-7-back", &10),
    ///     ctx.child::<Ride>("trip-7-tour", &10).on_parent_close(ParentClose::Abandon),
    /// ).await;
    /// # Ok(()) }
    /// ```
    pub fn child<W: Workflow>(&self, workflow_id: &str, input: &W::Input) -> ChildWorkflow<W> {
        let start = self.encode(W::NAME, input).map(|input| StartChild {
            workflow_type: W::NAME.to_owned(),
            workflow_id: workflow_id.to_owned(),
            input,
            on_parent_close: ParentClose::default(),
        });
        let start = start.filter(|start| self.check_id(&start.workflow_id));
        ChildWorkflow { ctx: self.share(), start, seq: None, kind: PhantomData }
    }

    /// What is no id could not be written down, nor asked for.
    fn check_id(&self, workflow_id: &str) -> bool {
        let fits = is_id(workflow_id);
        if !fits {
            let detail = format!("child {workflow_id:?}: 1 to 255 of A-Z a-z 0-9 . _ : -");
            self.0.borrow_mut().fault = Some((StuckReason::Limit, detail));
        }
        fits
    }
}

impl Committed {
    /// Starts another workflow, as [`Ctx::child`]. It may fail, which stays its own affair: past
    /// the pivot nothing is undone on its account.
    pub fn child<W: Workflow>(&self, workflow_id: &str, input: &W::Input) -> ChildWorkflow<W> {
        self.0.child(workflow_id, input)
    }
}

/// A child: started when it is first awaited, or by [`ChildWorkflow::spawn`]. Dropped after
/// that, it goes on.
#[must_use = "a child is not started unless awaited or spawned"]
pub struct ChildWorkflow<W: Workflow> {
    ctx: Ctx,
    start: Option<StartChild>,
    seq: Option<Seq>,
    kind: PhantomData<fn() -> W>,
}

impl<W: Workflow> ChildWorkflow<W> {
    /// What becomes of it when this workflow closes first. Default [`ParentClose::Cancel`].
    pub fn on_parent_close(mut self, policy: ParentClose) -> Self {
        if let Some(start) = &mut self.start {
            start.on_parent_close = policy;
        }
        self
    }

    /// Starts it now, to be awaited later or never.
    pub fn spawn(mut self) -> Self {
        self.begin();
        self
    }

    /// Asks it to cancel: it undoes what it did, unless it passed its point of no return.
    pub fn cancel(&self) {
        if let Some(child) = self.seq {
            self.ctx.issue(Command::CancelChild { child });
        }
    }

    fn begin(&mut self) {
        // What could not be encoded stopped the body already, which says why.
        if let Some(start) = self.start.take() {
            self.seq = Some(self.ctx.issue(Command::StartChild(Box::new(start))));
        }
    }
}

impl<W: Workflow> Unpin for ChildWorkflow<W> {}

impl<W: Workflow> Future for ChildWorkflow<W> {
    type Output = Result<W::Output, ChildError<W::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begin();
        let Some(seq) = self.seq else { return Poll::Pending };
        self.ctx.look(cx, |state| {
            let Answer::Child(outcome) = state.outcomes.remove(&seq)? else { return None };
            Some(match outcome {
                ChildOutcome::Completed { output, .. } => Ok(state.decode(W::NAME, &output)?),
                ChildOutcome::Failed { error } => {
                    Err(ChildError::Failed(state.decode(W::NAME, &error)?))
                }
                ChildOutcome::Cancelled {} => Err(ChildError::Cancelled),
                ChildOutcome::Terminated {} => Err(ChildError::Terminated),
                ChildOutcome::Taken {} => Err(ChildError::Taken),
            })
        })
    }
}

/// How a child ends badly, as its parent sees it.
#[derive(Clone, Debug, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildError<E> {
    /// Its body returned `Err`; what it did is undone.
    #[error("failed: {0}")]
    Failed(E),
    /// It was cancelled; what it did is undone.
    #[error("cancelled")]
    Cancelled,
    /// An operator ended it; what it owed stays owed, and is listed there.
    #[error("terminated")]
    Terminated,
    /// It never began: another workflow has the id.
    #[error("another workflow has the id")]
    Taken,
}
