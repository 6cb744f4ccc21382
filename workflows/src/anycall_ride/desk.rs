//! Where a ride is asked things. What is not due is refused at once, whatever the ride is busy
//! with: nobody who is too early or too late waits for an answer.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use hansom_core::{Ctx, Update, Updates};

use super::{CustomerCancel, DriverAccept, Refusal, Review, RideEnd, RideStart, Stage};

/// The mailboxes of a ride.
pub(super) struct Desk {
    pub(super) cancels: Updates<CustomerCancel>,
    pub(super) accepts: Updates<DriverAccept>,
    pub(super) starts: Updates<RideStart>,
    pub(super) ends: Updates<RideEnd>,
    pub(super) reviews: Updates<Review>,
}

impl Desk {
    pub(super) fn new(ctx: &Ctx) -> Self {
        Self {
            cancels: ctx.updates(),
            accepts: ctx.updates(),
            starts: ctx.updates(),
            ends: ctx.updates(),
            reviews: ctx.updates(),
        }
    }

    /// Does `work`, and refuses meanwhile whatever is not due at `stage`. What is due is left
    /// to wait for the work to look for it.
    pub(super) async fn during<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let (mut work, mut doors) = (pin!(work), pin!(self.turn_away(stage)));
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() {
                let _: Poll<Infallible> = doors.as_mut().poll(cx);
            }
            done
        })
        .await
    }

    async fn turn_away(&self, stage: Stage) -> Infallible {
        let mut cancels = pin!(turn_away(&self.cancels, Stage::Unassigned, stage));
        let mut accepts = pin!(turn_away(&self.accepts, Stage::Unassigned, stage));
        let mut starts = pin!(turn_away(&self.starts, Stage::Assigned, stage));
        let mut ends = pin!(turn_away(&self.ends, Stage::InService, stage));
        let mut reviews = pin!(turn_away(&self.reviews, Stage::Ended, stage));
        poll_fn(|cx| {
            let _: Poll<Infallible> = cancels.as_mut().poll(cx);
            let _: Poll<Infallible> = accepts.as_mut().poll(cx);
            let _: Poll<Infallible> = starts.as_mut().poll(cx);
            let _: Poll<Infallible> = ends.as_mut().poll(cx);
            let _: Poll<Infallible> = reviews.as_mut().poll(cx);
            Poll::Pending
        })
        .await
    }
}

async fn turn_away<U>(asked: &Updates<U>, due: Stage, stage: Stage) -> Infallible
where
    U: Update<Error = Refusal>,
{
    if due == stage {
        return pending().await;
    }
    loop {
        asked.next().await.refuse(&Refusal::Stage(stage));
    }
}
