//! Durable time.

use std::future::poll_fn;
use std::time::Duration;

use super::{Committed, Ctx, Either};
use crate::{Command, Seq, Timestamp};

impl Ctx {
    /// The time of the event that is being told: the same in every replay.
    pub fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    /// Sleeps durably: also when the worker is restarted meanwhile. To the microsecond, by the
    /// database's clock, and never shorter. Dropped before it is over, it is cancelled.
    ///
    /// ```
    /// # use hansom_core::{Ctx, Never, Workflow, testing::Script};
    /// # use std::time::Duration;
    /// # struct Nap;
    /// # impl Workflow for Nap {
    /// #     const NAME: &str = "nap"; const ACTIVITIES: &[&str] = &[];
    /// #     type Input = (); type Output = (); type Error = Never;
    /// async fn run(ctx: Ctx, (): ()) -> Result<(), Never> {
    ///     ctx.sleep(Duration::from_secs(86_400)).await;
    ///     Ok(())
    /// }
    /// # }
    /// # assert_eq!(Script::<Nap>::start(&()).fire().story(), ["timer 86400s", "completed"]);
    /// ```
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().after(duration)).await;
    }

    /// Sleeps durably until a time, by the database's clock. A time that has passed is over
    /// at once, which still takes a commit.
    pub async fn sleep_until(&self, at: Timestamp) {
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
    /// ```
    /// # use hansom_core::*;
    /// # use std::time::Duration;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Accepted { driver: u64 }
    /// # impl Signal for Accepted { const NAME: &'static str = "accepted"; }
    /// # async fn body(ctx: Ctx) {
    /// let answers = ctx.signals::<Accepted>();
    /// match ctx.timeout(Duration::from_secs(30), answers.next()).await {
    ///     Ok(Accepted { driver }) => println!("{driver} comes"),
    ///     Err(Elapsed) => println!("nobody answered"),
    /// }
    /// # }
    /// ```
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
}

impl Committed {
    /// Sleeps durably, as [`Ctx::sleep`].
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// Waits for `future`, but no longer than `limit`, as [`Ctx::timeout`].
    ///
    /// # Errors
    ///
    /// [`Elapsed`], when the timer fired first.
    pub async fn timeout<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.0.timeout(limit, future).await
    }

    /// The time of the event that is being told, as [`Ctx::now`].
    pub fn now(&self) -> Timestamp {
        self.0.now()
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

/// The time limit was reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit was reached")]
pub struct Elapsed;
