//! Several things at once. History delivers one event at a time, so order decides,
//! and no winner has to be recorded.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::{Committed, Ctx};

impl Ctx {
    /// Waits for the first of two; the other is dropped. A tie goes to the left.
    ///
    /// A timer that is dropped is cancelled. A step that is dropped goes on: what it does is
    /// undone with the rest, should the saga unwind.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Arrived;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct GaveUp;
    /// # impl Signal for Arrived { const NAME: &'static str = "arrived"; }
    /// # impl Signal for GaveUp { const NAME: &'static str = "gave_up"; }
    /// # async fn body(ctx: Ctx) {
    /// let (arrived, gave_up) = (ctx.signals::<Arrived>(), ctx.signals::<GaveUp>());
    /// let came = match ctx.select(arrived.next(), gave_up.next()).await {
    ///     Either::Left(Arrived) => true,
    ///     Either::Right(GaveUp) => false,
    /// };
    /// # let _ = came;
    /// # }
    /// ```
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
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Book { seat: u32 }
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Unbook { seat: u32 }
    /// # impl Activity for Book { const NAME: &'static str = "book"; type Output = (); type Error = Never; }
    /// # impl Activity for Unbook { const NAME: &'static str = "unbook"; type Output = (); type Error = Never; }
    /// # async fn body(ctx: Ctx) -> Result<(), ActivityError<Never>> {
    /// let book = |seat| ctx.run(Book { seat }).undo(Unbook { seat });
    /// let (left, right) = ctx.join(book(1), book(2)).await;
    /// left.and(right)?; // should one fail, what the other did is undone
    /// for seat in ctx.join_all((3..9).map(book)).await {
    ///     seat?;
    /// }
    /// # Ok(()) }
    /// ```
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

    /// Waits for all of them, side by side; their answers come in the order of `futures`.
    pub async fn join_all<T>(
        &self,
        futures: impl IntoIterator<Item = impl Future<Output = T>>,
    ) -> Vec<T> {
        let mut open: Vec<Result<T, Pin<Box<_>>>> =
            futures.into_iter().map(|future| Err(Box::pin(future))).collect();
        poll_fn(|cx| {
            let mut all = true;
            for slot in &mut open {
                if let Err(future) = slot {
                    match future.as_mut().poll(cx) {
                        Poll::Ready(value) => *slot = Ok(value),
                        Poll::Pending => all = false,
                    }
                }
            }
            if all { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        open.into_iter().filter_map(Result::ok).collect()
    }
}

impl Committed {
    /// Waits for the first of two, as [`Ctx::select`].
    pub async fn select<L, R>(
        &self,
        left: impl Future<Output = L>,
        right: impl Future<Output = R>,
    ) -> Either<L, R> {
        self.0.select(left, right).await
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
