//! A saga of every shape: its input says what its body does.

use std::time::Duration;

use hansom_core::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Ctx, Failure, Handler, Handlers,
    Harmless, Never, RetryPolicy, Signal, SignalType, Workflow, Workflows,
};
use rand::RngExt;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::Registry;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
pub(super) struct No;

#[derive(Serialize, Deserialize)]
pub(super) struct Act(usize);
impl Activity for Act {
    const NAME: &'static str = "act";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        // More than it takes to be poison.
        ActivityOptions { retry: policy(8), ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Unact(usize);
impl Activity for Unact {
    const NAME: &'static str = "unact";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        ActivityOptions { retry: policy(4), ..ActivityOptions::default() }
    }
}

/// The same, but elsewhere.
#[derive(Serialize, Deserialize)]
pub(super) struct Far(usize);
impl Activity for Far {
    const NAME: &'static str = "far";
    type Output = ();
    type Error = No;
    fn options() -> ActivityOptions {
        ActivityOptions { retry: policy(8), ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Unfar(usize);
impl Activity for Unfar {
    const NAME: &'static str = "unfar";
    type Output = ();
    type Error = Never;
    fn options_as_undo() -> ActivityOptions {
        ActivityOptions { retry: policy(4), ..ActivityOptions::default() }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Note(usize);
impl Activity for Note {
    const NAME: &'static str = "note";
    type Output = ();
    type Error = Never;
}
impl Harmless for Note {}

fn policy(maximum_attempts: u32) -> RetryPolicy {
    let initial_interval = Duration::from_millis(500);
    RetryPolicy { initial_interval, maximum_attempts, ..RetryPolicy::default() }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Ping;
impl Signal for Ping {
    const NAME: &'static str = "ping";
}

/// What the body does next.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Step {
    /// Act, and fail with it.
    Do,
    /// Act, and go on whatever comes of it.
    Try,
    /// Two at once.
    Both,
    /// Act elsewhere, and fail with it.
    Far,
    /// One here and one elsewhere, at once.
    Mixed,
    /// Act elsewhere, but wait no longer than so many milliseconds.
    RaceFar(u64),
    /// Act, but wait no longer than so many milliseconds.
    Race(u64),
    Sleep(u64),
    /// Wait for a signal, but no longer than so many milliseconds.
    Hear(u64),
    Fail,
    /// The point of no return, and the end.
    Pivot,
}

pub(super) struct Saga;

impl Workflow for Saga {
    const NAME: &'static str = "saga";
    const ACTIVITIES: &'static [&'static str] =
        &[Act::NAME, Unact::NAME, Note::NAME, Far::NAME, Unfar::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Ping>()];
    type Input = Vec<Step>;
    type Output = usize;
    type Error = ActivityError<No>;

    async fn run(ctx: Ctx, steps: Vec<Step>) -> Result<usize, Self::Error> {
        let count = steps.len();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Do => ctx.run(Act(n)).undo(Unact(n)).await?,
                Step::Try => drop(ctx.run(Act(n)).undo(Unact(n)).await),
                Step::Both => {
                    let left = ctx.run(Act(n)).undo(Unact(n));
                    let right = ctx.run(Act(100 + n)).undo(Unact(100 + n));
                    let (left, right) = ctx.join(left, right).await;
                    left.and(right)?;
                }
                Step::Far => ctx.run(Far(n)).undo(Unfar(n)).await?,
                Step::Mixed => {
                    let here = ctx.run(Act(n)).undo(Unact(n));
                    let there = ctx.run(Far(n)).undo(Unfar(n));
                    let (here, there) = ctx.join(here, there).await;
                    here.and(there)?;
                }
                Step::RaceFar(ms) => {
                    let far = ctx.run(Far(n)).undo(Unfar(n));
                    // In time or not, it goes on.
                    let _ = ctx.timeout(Duration::from_millis(ms), far).await;
                }
                Step::Race(ms) => {
                    let act = ctx.run(Act(n)).undo(Unact(n));
                    // In time or not, it goes on.
                    let _ = ctx.timeout(Duration::from_millis(ms), act).await;
                }
                Step::Sleep(ms) => ctx.sleep(Duration::from_millis(ms)).await,
                Step::Hear(ms) => {
                    let pings = ctx.signals::<Ping>();
                    // Heard or not, it goes on.
                    let _ = ctx.timeout(Duration::from_millis(ms), pings.next()).await;
                }
                Step::Fail => return Err(ActivityError::Refused(No)),
                Step::Pivot => {
                    let committed = ctx.pivot();
                    committed.run(Note(n)).await;
                    committed.sleep(Duration::from_millis(5)).await;
                    committed.run(Note(100 + n)).await;
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }
}

/// One to five steps.
pub(super) fn plan(random: &mut SmallRng) -> Vec<Step> {
    let mut step = || match random.random_range(0..22) {
        16..=18 => Step::Far,
        19..=20 => Step::Mixed,
        21 => Step::RaceFar(random.random_range(0..5_000)),
        0..=3 => Step::Do,
        4 => Step::Try,
        5..=6 => Step::Both,
        7 => Step::Race(random.random_range(0..5_000)),
        8 => Step::Sleep(0),
        9..=10 => Step::Sleep(random.random_range(0..200_000)),
        11..=12 => Step::Hear(random.random_range(1..200_000)),
        13 => Step::Fail,
        _ => Step::Pivot,
    };
    (0..5).map(|_| step()).collect()
}

/// Handlers are needed for their options only: the simulation answers for them.
struct Nobody;

impl<A: Activity> Handler<A> for Nobody {
    async fn handle(&self, _: A, _: ActivityContext) -> Result<A::Output, Failure<A::Error>> {
        Err(Failure::retry("nobody"))
    }
}

pub(super) fn registry() -> Registry {
    let handlers =
        Handlers::default().with::<Act>(Nobody).with::<Unact>(Nobody).with::<Note>(Nobody);
    let handlers = handlers.remote::<Far>().remote::<Unfar>();
    Registry::new(Workflows::default().with::<Saga>(), handlers).unwrap()
}
