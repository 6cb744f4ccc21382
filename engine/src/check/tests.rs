//! Changes as they are made, planted one by one, against runs in every state.

use std::time::Duration;

use hansom_core::testing::Script;
use hansom_core::{
    Activity, ActivityContext, ActivityError, Ctx, Event, Failure, Handler, Handlers, Never,
    Signal, SignalType, Status, StuckReason, Timestamp, UndoStatus, Workflow, Workflows,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::judge::judge;
use super::report::{CheckReport, CheckedRun, Patched, Verdict};
use crate::Registry;
use crate::store::snapshot::{HistoryText, Letter, OpenRow, OpenRun};
use crate::store::to_time;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;

macro_rules! activity {
    ($name:ident { $($field:ident: $type:ty),* }, $wire:literal, $output:ty, $error:ty) => {
        #[derive(Serialize, Deserialize)]
        struct $name { $($field: $type),* }
        impl Activity for $name {
            const NAME: &'static str = $wire;
            type Output = $output;
            type Error = $error;
        }
    };
}

macro_rules! signal {
    ($name:ident { $($field:ident: $type:ty),* }, $wire:literal) => {
        #[derive(Serialize, Deserialize)]
        struct $name { $(#[allow(dead_code, reason = "only its shape counts")] $field: $type),* }
        impl Signal for $name {
            const NAME: &'static str = $wire;
        }
    };
}

macro_rules! trip {
    ($name:ident, [$($signal:ty),*], $input:ty, |$ctx:ident, $fare:ident| $body:block) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "trip";
            const ACTIVITIES: &'static [&'static str] = &[];
            const SIGNALS: &'static [SignalType] = &[$(SignalType::of::<$signal>()),*];
            type Input = $input;
            type Output = u32;
            type Error = ActivityError<No>;
            async fn run($ctx: Ctx, $fare: $input) -> Result<u32, ActivityError<No>> $body
        }
    };
}

activity!(Charge { fare: u32 }, "charge", u32, No);
activity!(Refund {}, "refund", (), Never);
activity!(Assign {}, "assign", u32, No);
activity!(Release {}, "release", (), Never);
activity!(Drive {}, "drive", u32, Never);
signal!(Arrived {}, "arrived");

/// Long enough for anything.
const PATIENCE: Duration = Duration::from_hours(1);

async fn trip(ctx: Ctx, fare: u32) -> Result<u32, ActivityError<No>> {
    let paid = ctx.run(Charge { fare }).undo(Refund {}).await?;
    let driver = ctx.run(Assign {}).undo(Release {}).await?;
    let arrivals = ctx.signals::<Arrived>();
    let waited = ctx.timeout(PATIENCE, arrivals.next()).await;
    waited.map_err(|_| ActivityError::Refused(No))?;
    Ok(paid + driver + ctx.pivot().run(Drive {}).await)
}

/// The one that the runs are of.
struct Trip;
impl Workflow for Trip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] =
        &[Charge::NAME, Refund::NAME, Assign::NAME, Release::NAME, Drive::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Arrived>()];
    type Input = u32;
    type Output = u32;
    type Error = ActivityError<No>;
    async fn run(ctx: Ctx, fare: u32) -> Result<u32, ActivityError<No>> {
        trip(ctx, fare).await
    }
}

// The same, and it does not say what it needs.
trip!(Careless, [Arrived], u32, |ctx, fare| { trip(ctx, fare).await });

/// Performs everything, and is never asked to.
struct Anybody;

impl<A: Activity> Handler<A> for Anybody {
    async fn handle(&self, _: A, _: ActivityContext) -> Result<A::Output, Failure<A::Error>> {
        Err(Failure::retry("a check calls nobody"))
    }
}

fn handlers() -> Handlers {
    Handlers::default()
        .with::<Charge>(Anybody)
        .with::<Refund>(Anybody)
        .with::<Assign>(Anybody)
        .with::<Release>(Anybody)
        .with::<Drive>(Anybody)
}

fn version<W: Workflow>() -> Registry {
    Registry::new(Workflows::default().with::<W>(), handlers()).unwrap()
}

/// A run of [`Trip`] as it is stored.
fn stored(script: &Script<Trip>) -> OpenRun {
    stored_with(script, &[])
}

/// The same, to which more has happened since.
fn stored_with(script: &Script<Trip>, since: &[Event]) -> OpenRun {
    let mut history = script.history().to_vec();
    history.extend(since.iter().map(|event| (Timestamp(9), vec![event.clone()])));
    let mut ledger = hansom_core::Ledger::default();
    let (mut event, mut rows) = (0, Vec::new());
    for (at, events) in history {
        for event in &events {
            ledger.apply(event, at);
        }
        let (text, at) = (serde_json::to_string(&events).unwrap(), to_time(at));
        rows.push(HistoryText { run: Uuid::nil(), event, at, events: text });
        event += i32::try_from(events.len()).unwrap();
    }
    let status = ledger.status();
    let row = OpenRow {
        part: 0,
        run: Uuid::nil(),
        workflow_id: "t1".to_owned(),
        workflow_type: "trip".to_owned(),
        status,
        undo: if status == Status::Running { UndoStatus::None } else { ledger.undo_status() },
    };
    OpenRun { row, history: rows, inbox: Vec::new() }
}

/// The verdict, the event, and what is said of it.
fn found(judged: &CheckedRun) -> (Verdict, Option<u32>, &str) {
    let first = judged.findings.first();
    first.map_or((judged.verdict, None, ""), |f| (f.verdict, f.event, f.detail.as_str()))
}

fn verdict_of<W: Workflow>(script: &Script<Trip>) -> Verdict {
    judge(&version::<W>(), &stored(script)).verdict
}

fn charging() -> Script<Trip> {
    Script::<Trip>::start(&5)
}
fn assigning() -> Script<Trip> {
    charging().complete::<Charge>(&5)
}
fn waiting() -> Script<Trip> {
    assigning().complete::<Assign>(&7)
}
fn compensating() -> Script<Trip> {
    waiting().cancel()
}
fn exhausted() -> Script<Trip> {
    compensating().lose::<Release>().lose::<Refund>()
}

mod bodies;
mod rows;
