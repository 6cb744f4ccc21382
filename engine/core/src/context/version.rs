//! Changes of a body while runs of it are open, and runs that follow one another.

use std::future::pending;

use super::Ctx;
use crate::{Command, StuckReason, Workflow};

impl Ctx {
    /// Whether this run has the change called `id`: true for every run that comes here for the
    /// first time with it, false for one that has been past here without it. So both kinds of
    /// run agree with their histories.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct AskNear;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct AskAll;
    /// # impl Activity for AskNear { const NAME: &'static str = "near"; type Output = (); type Error = Never; }
    /// # impl Activity for AskAll { const NAME: &'static str = "all"; type Output = (); type Error = Never; }
    /// # impl Harmless for AskNear {}
    /// # impl Harmless for AskAll {}
    /// # async fn body(ctx: Ctx) -> Result<(), ActivityError<Never>> {
    /// if ctx.patched("ask-near-first") {
    ///     ctx.run(AskNear).await?;
    /// } else {
    ///     ctx.run(AskAll).await?; // goes when no open run is that old: see `retire_patch`
    /// }
    /// # Ok(()) }
    /// ```
    pub fn patched(&self, id: &str) -> bool {
        let mut state = self.0.borrow_mut();
        let versions = &mut state.versions;
        if let Some(told) = versions.told.get(id) {
            return *told;
        }
        let has = versions.recorded.contains(id) || !versions.replaying;
        versions.told.insert(id.to_owned(), has);
        drop(state);
        if has {
            self.issue(Command::Patched { id: id.to_owned() });
        }
        has
    }

    /// Takes the place of [`Ctx::patched`] once no open run is without the change: the old
    /// branch goes, and runs that recorded the change still agree. When no open run has
    /// recorded it, this goes too; `hansom check` says when either is safe.
    pub fn retire_patch(&self, id: &str) {
        let mut state = self.0.borrow_mut();
        let versions = &mut state.versions;
        let first = !versions.told.contains_key(id);
        let recorded = versions.recorded.contains(id);
        versions.told.insert(id.to_owned(), recorded);
        drop(state);
        if first && recorded {
            self.issue(Command::Patched { id: id.to_owned() });
        }
    }

    /// Ends this run and goes on in a new one of the same id, with `input` and an empty
    /// history: for loops without end. Signals and updates that nobody took go along, as do
    /// labels, the deadline, and whoever waits for the result; so `W` is the type of this run:
    /// another leaves it stuck (`payload`).
    ///
    /// # Errors
    ///
    /// Returns only when it is refused: while undos are owed (the new run would not know of
    /// them; [`Ctx::continue_with_undos`] hands them over), or while steps or children have
    /// not answered.
    ///
    /// ```
    /// # use hansom_core::*;
    /// struct Patrol;
    /// impl Workflow for Patrol {
    ///     const NAME: &'static str = "patrol";
    ///     const ACTIVITIES: &'static [&'static str] = &[];
    ///     type Input = u64;
    ///     type Output = ();
    ///     type Error = StillOpen;
    ///     async fn run(ctx: Ctx, round: u64) -> Result<(), StillOpen> {
    ///         ctx.sleep(std::time::Duration::from_secs(3600)).await;
    ///         Err(ctx.continue_as_new::<Self>(&(round + 1)).await)
    ///     }
    /// }
    /// ```
    pub async fn continue_as_new<W: Workflow>(&self, input: &W::Input) -> StillOpen {
        self.go_on::<W>(input, false).await
    }

    /// As [`Ctx::continue_as_new`], and the next run takes over the undos that are owed: they
    /// run if that one unwinds, with the keys of this one.
    ///
    /// # Errors
    ///
    /// Returns only while steps or children have not answered.
    pub async fn continue_with_undos<W: Workflow>(&self, input: &W::Input) -> StillOpen {
        self.go_on::<W>(input, true).await
    }

    async fn go_on<W: Workflow>(&self, input: &W::Input, carry: bool) -> StillOpen {
        let open = self.0.borrow().open;
        if open.unanswered > 0 || (open.owed > 0 && !carry) {
            return open;
        }
        let workflow_type = self.0.borrow().workflow_type;
        if workflow_type != W::NAME {
            // Whoever waits for the result expects one of this type.
            let detail = format!("{workflow_type} cannot go on as {}", W::NAME);
            self.fail(detail).await;
        }
        if let Some(input) = self.encode(W::NAME, input) {
            self.issue(Command::ContinueAsNew { input, carry });
            let cancelled = self.0.borrow().cancelled;
            self.0.borrow_mut().continued = !cancelled;
        }
        pending().await
    }

    pub(crate) async fn fail(&self, detail: String) -> ! {
        self.0.borrow_mut().fault = Some((StuckReason::Payload, detail));
        pending().await
    }
}

/// Why a run cannot go on in a new one.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    thiserror::Error,
    serde::Serialize,
    serde::Deserialize,
)]
#[error("{owed} undos are owed, and {unanswered} steps or children have not answered")]
pub struct StillOpen {
    /// Undos that are owed.
    pub owed: usize,
    /// Steps and children that have not answered.
    pub unanswered: usize,
}

impl StillOpen {
    /// What is asked for from here on is open as well.
    pub(crate) fn count(&mut self, command: &Command) {
        if matches!(command, Command::Run { .. } | Command::StartChild(_)) {
            self.unanswered += 1;
        }
    }
}
