//! A workflow of the tests that does what a trip does not: it has children, answers updates,
//! shows itself, and waits for a person when nobody knows what became of a step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Either, Failure, Fingerprint,
    Handler, Never, OnUnknown, Probe, RetryPolicy, Signal, SignalType, Update, UpdateType, Verdict,
    Workflow,
};
use serde::{Deserialize, Serialize};

use crate::rig::{Charge, Declined, Go, Refund, Ride, Trip};

/// A tip that is answered only after `go`.
pub(crate) const LATER: u64 = 50;

/// Books a guide, has its leg and its trips, and takes tips until `go`.
pub(crate) struct Tour;

#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Whether there is a way to find out if the guide is booked.
    #[serde(default)]
    probe: bool,
    /// The id of a child that ends by itself.
    leg: Option<String>,
    /// The ids of children that wait.
    #[serde(default)]
    trips: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    tips: u64,
}

impl Workflow for Tour {
    const NAME: &'static str = "tour";
    const ACTIVITIES: &'static [&'static str] = &[Book::NAME, WasBooked::NAME, Unbook::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Go>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Tip>()];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[b"tour"]));
    type Input = Plan;
    type Output = u64;
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, plan: Plan) -> Result<u64, Self::Error> {
        let (tips, go) = (ctx.updates::<Tip>(), ctx.signals::<Go>());
        ctx.run(Book { probe: plan.probe }).undo(Unbook).await?;
        if let Some(leg) = plan.leg {
            // However it ends: what it did is undone with this.
            let _ = ctx.child::<Leg>(&leg, &3).await;
        }
        for trip in plan.trips {
            let _open = ctx.child::<Trip>(&trip, &Ride { fare: 1 }).spawn();
        }
        let mut total = 0;
        loop {
            ctx.publish(&Shown { tips: total });
            let tip = match ctx.select(tips.next(), go.next()).await {
                Either::Left(tip) => tip,
                Either::Right(Go) => return Ok(total),
            };
            match tip.update.amount {
                0 => tip.refuse(&TooLittle { least: 1 }),
                amount => {
                    if amount == LATER {
                        go.next().await;
                    }
                    total += amount;
                    tip.answer(&total);
                }
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Tip {
    amount: u64,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("at least {least}")]
struct TooLittle {
    least: u64,
}

impl Update for Tip {
    const NAME: &'static str = "tip";
    type Output = u64;
    type Error = TooLittle;
}

impl Signal for Tip {
    const NAME: &'static str = "tip";
}

/// Charges, and has no point of no return: whoever started it can have it undone.
pub(crate) struct Leg;

impl Workflow for Leg {
    const NAME: &'static str = "leg";
    const ACTIVITIES: &'static [&'static str] = &[Charge::NAME, Refund::NAME];
    type Input = u64;
    type Output = ();
    type Error = ActivityError<Declined>;

    async fn run(ctx: Ctx, fare: u64) -> Result<(), Self::Error> {
        ctx.run(Charge { fare }).undo(Refund { fare }).await
    }
}

/// Tried once; then its probe is asked, if it has one, and then a person.
#[derive(Serialize, Deserialize)]
pub(crate) struct Book {
    probe: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct WasBooked;

#[derive(Serialize, Deserialize)]
pub(crate) struct Unbook;

impl Activity for Book {
    const NAME: &'static str = "book";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        let retry = RetryPolicy { maximum_attempts: 1, ..RetryPolicy::default() };
        ActivityOptions { retry, on_unknown: OnUnknown::Park, ..ActivityOptions::default() }
    }

    fn probe(&self) -> Option<Probe<Self>> {
        self.probe.then(|| Probe::ask(&WasBooked))
    }
}

impl Activity for WasBooked {
    const NAME: &'static str = "was_booked";
    type Output = Verdict<()>;
    type Error = Never;

    fn options() -> ActivityOptions {
        let retry = RetryPolicy {
            initial_interval: Duration::from_millis(20),
            maximum_interval: Duration::from_millis(50),
            ..RetryPolicy::default()
        };
        ActivityOptions { retry: retry.unlimited(), ..ActivityOptions::default() }
    }
}

impl Activity for Unbook {
    const NAME: &'static str = "unbook";
    type Output = ();
    type Error = Never;
}

/// Can be reached or not.
pub(crate) struct Guide {
    pub(crate) there: AtomicBool,
}

impl Default for Guide {
    fn default() -> Self {
        Self { there: AtomicBool::new(true) }
    }
}

impl Guide {
    fn answer<T>(&self, answer: T) -> Result<T, Failure<Never>> {
        if self.there.load(Ordering::SeqCst) {
            Ok(answer)
        } else {
            Err(Failure::retry("no answer"))
        }
    }
}

impl Handler<Book> for Guide {
    async fn handle(&self, _: Book, _: ActivityContext) -> Result<(), Failure<Never>> {
        self.answer(())
    }
}

impl Handler<WasBooked> for Guide {
    async fn handle(
        &self,
        _: WasBooked,
        _: ActivityContext,
    ) -> Result<Verdict<()>, Failure<Never>> {
        self.answer(Verdict::Done(()))
    }
}

impl Handler<Unbook> for Guide {
    async fn handle(&self, _: Unbook, _: ActivityContext) -> Result<(), Failure<Never>> {
        self.answer(())
    }
}
