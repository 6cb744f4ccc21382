//! The saga that is measured: three trivial steps, each with its undo recorded.

use hansom_core::{
    Activity, ActivityContext, ActivityError, Ctx, Failure, Handler, Handlers, Never, Workflow,
    Workflows,
};
use serde::{Deserialize, Serialize};

/// Three steps, one after the other.
pub(super) struct Bench;

/// About 150 bytes of JSON.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    order: u64,
    note: String,
}

impl Order {
    pub(super) fn new(order: u64) -> Self {
        Self { order, note: "n".repeat(120) }
    }
}

/// One step.
#[derive(Serialize, Deserialize)]
pub(super) struct Step {
    n: u8,
}

/// Its undo.
#[derive(Serialize, Deserialize)]
pub(super) struct Undo {
    n: u8,
}

/// About 100 bytes of JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Receipt {
    note: String,
}

impl Activity for Step {
    const NAME: &'static str = "step";
    type Output = Receipt;
    type Error = Never;
}

impl Activity for Undo {
    const NAME: &'static str = "undo";
    type Output = ();
    type Error = Never;
}

impl Workflow for Bench {
    const NAME: &'static str = "bench";
    const ACTIVITIES: &'static [&'static str] = &[Step::NAME, Undo::NAME];
    type Input = Order;
    type Output = Receipt;
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, _: Order) -> Result<Receipt, Self::Error> {
        ctx.run(Step { n: 1 }).undo(Undo { n: 1 }).await?;
        ctx.run(Step { n: 2 }).undo(Undo { n: 2 }).await?;
        ctx.run(Step { n: 3 }).undo(Undo { n: 3 }).await
    }
}

/// A saga that sleeps.
pub(super) struct Sleeper;

impl Workflow for Sleeper {
    const NAME: &'static str = "sleeper";
    const ACTIVITIES: &'static [&'static str] = &[];
    type Input = u64;
    type Output = ();
    type Error = Never;

    async fn run(ctx: Ctx, seconds: u64) -> Result<(), Never> {
        ctx.sleep(std::time::Duration::from_secs(seconds)).await;
        Ok(())
    }
}

struct Trivial;

impl Handler<Step> for Trivial {
    async fn handle(&self, _: Step, _: ActivityContext) -> Result<Receipt, Failure<Never>> {
        Ok(Receipt { note: "r".repeat(88) })
    }
}

impl Handler<Undo> for Trivial {
    async fn handle(&self, _: Undo, _: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(())
    }
}

pub(super) fn workflows() -> Workflows {
    Workflows::default().with::<Bench>().with::<Sleeper>()
}

pub(super) fn handlers() -> Handlers {
    Handlers::default().with::<Step>(Trivial).with::<Undo>(Trivial)
}
