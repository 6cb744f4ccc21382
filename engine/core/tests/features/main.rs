//! What a saga can meet beyond success and refusal, one story each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod failures;
mod held;
mod kin;
mod long;
mod poison;
mod versions;
mod views;

use std::time::Duration;

use hansom_core::testing::Script;
use hansom_core::{
    Activity, ActivityError, Ctx, Either, Never, OnUnknown, Probe, Verdict, Workflow,
};
use serde::{Deserialize, Serialize};

macro_rules! activity {
    ($name:ident, $text:literal, $output:ty, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name;
        impl Activity for $name {
            const NAME: &'static str = $text;
            type Output = $output;
            type Error = $error;
        }
    };
}

use activity;

activity!(Refund, "refund", (), Never);
activity!(Book, "book", (), Never);
activity!(Unbook, "unbook", (), Never);
activity!(Look, "look", Verdict<u64>, Never);

#[derive(Serialize, Deserialize)]
struct Charge;
impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Output = u64;
    type Error = Never;
    fn probe(&self) -> Option<Probe<Self>> {
        Some(Probe::ask(&Look))
    }
}

type Outcome = Result<u64, ActivityError<Never>>;
const HOUR: Duration = Duration::from_hours(1);

/// Books, charges, and is done.
struct Probed;
impl Workflow for Probed {
    const NAME: &'static str = "probed";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook", "charge", "refund", "look"];
    type Input = ();
    type Output = u64;
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Outcome {
        ctx.run(Book).undo(Unbook).await?;
        ctx.run(Charge).undo(Refund).on_unknown(OnUnknown::Park).await
    }
}

fn booked() -> Script<Probed> {
    Script::<Probed>::start(&()).complete::<Book>(&())
}
