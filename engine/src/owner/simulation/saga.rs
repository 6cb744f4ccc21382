//! A saga of every shape: its input says what its body does.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{pending, ready};
use std::panic::resume_unwind;
use std::time::Duration;

use hansom_core::{
    Activity, ActivityError, Ctx, OnUnknown, ParentClose, SignalType, Step as Asked, StillOpen,
    UpdateType, WhenUnavailable, Workflow,
};
use rand::RngExt;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use super::contracts::{Act, Doubt, Far, Look, No, Note, Ping, Query, Unact, Unfar, policy};

/// What the body does next. Numbers are milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Step {
    /// Act, and fail with it.
    Do,
    /// Act, and go on whatever comes of it.
    Try,
    /// Two at once.
    Both,
    /// Act, but wait no longer than so long.
    Race(u64),
    /// Ask for an act without waiting for it, and perhaps fail at once.
    Ask(bool),
    /// Act, elsewhere.
    Far,
    /// One here and one elsewhere, at once.
    Mixed,
    /// Act elsewhere, but wait no longer than so long.
    RaceFar(u64),
    /// Act, with few attempts and somebody who can say whether it happened.
    Doubt(OnUnknown),
    /// Act, with few attempts and then a person.
    Park,
    /// Act, but do not wait for a service that is in trouble: and go on whatever comes of it, or
    /// with somebody who can say whether it happened.
    Impatient(bool),
    Sleep(u64),
    /// Wait for a signal, but no longer than so long; and say what was heard.
    Hear(u64),
    /// Wait for an update, but no longer than so long; and answer or refuse it.
    Answer(u64),
    /// Show a state, and set a label.
    Show,
    /// Look for a change that every run has.
    Patched,
    /// Panic, if bodies are clumsy now.
    Stumble,
    Child(Child),
    /// Go on in another run, with or without undos; refused, go on in this one.
    Continue(bool),
    /// Until somebody ends it.
    Wait,
    Fail,
    /// The point of no return, and the end.
    Pivot,
}

/// A child, and what its parent does about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Child {
    manner: Manner,
    close: ParentClose,
    /// One of the ids that others want as well, or one of its own.
    id: Option<u32>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Manner {
    /// Wait, and fail with it.
    Await,
    /// Wait no longer than so long, and go on whatever comes of it.
    Race(u64),
    /// Ask it to cancel after so long, and wait for that.
    Cancel(u64),
    /// Start it, and go on.
    Leave,
}

/// What the body says of a signal that it took.
#[derive(Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) heard: u64,
}

thread_local! {
    static CLUMSY: Cell<(bool, usize)> = const { Cell::new((false, 0)) };
}

/// Whether bodies panic from here on, where they may.
pub(super) fn be_clumsy(clumsy: bool) {
    let (_, times) = CLUMSY.get();
    CLUMSY.set((clumsy, times));
}

/// How often one did since that was last asked.
pub(super) fn stumbles() -> usize {
    let (clumsy, times) = CLUMSY.get();
    CLUMSY.set((clumsy, 0));
    times
}

fn stumble() {
    let (clumsy, times) = CLUMSY.get();
    if clumsy {
        CLUMSY.set((clumsy, times + 1));
        // As a panic, but nobody needs to read of it.
        resume_unwind(Box::new("it stumbled"));
    }
}

pub(super) struct Saga;

impl Workflow for Saga {
    const NAME: &'static str = "saga";
    const ACTIVITIES: &'static [&'static str] =
        &[Act::NAME, Unact::NAME, Note::NAME, Doubt::NAME, Look::NAME, Far::NAME, Unfar::NAME];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Ping>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Query>()];
    type Input = Vec<Step>;
    type Output = usize;
    type Error = No;

    async fn run(ctx: Ctx, steps: Vec<Step>) -> Result<usize, No> {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let n = steps.len();
            match step {
                Step::Pivot => {
                    let committed = ctx.pivot();
                    committed.run(Note(n)).await;
                    committed.sleep(Duration::from_millis(5)).await;
                    committed.run(Note(100 + n)).await;
                    return Ok(n);
                }
                Step::Continue(carry) => {
                    let rest = Vec::from(steps.clone());
                    // What comes back is why not.
                    let _: StillOpen = if carry {
                        ctx.continue_with_undos::<Self>(&rest).await
                    } else {
                        ctx.continue_as_new::<Self>(&rest).await
                    };
                }
                step => perform(&ctx, n, step).await?,
            }
        }
        Ok(0)
    }
}

async fn perform(ctx: &Ctx, n: usize, step: Step) -> Result<(), No> {
    match step {
        Step::Do => act(ctx, n).await.or_no(),
        Step::Try => act(ctx, n).await.or_no().or(Ok(())),
        Step::Both => {
            let (left, right) = ctx.join(act(ctx, n), act(ctx, 100 + n)).await;
            left.and(right).or_no()
        }
        // In time or not, it goes on.
        Step::Race(ms) => within(ctx, ms, act(ctx, n)).await.map_or(Ok(()), |_| Ok(())),
        Step::Ask(fail) => {
            ctx.select(act(ctx, n), ready(())).await;
            if fail { Err(No) } else { Ok(()) }
        }
        Step::Far => far(ctx, n).await.or_no(),
        Step::Mixed => {
            let (here, there) = ctx.join(act(ctx, n), far(ctx, n)).await;
            here.and(there).or_no()
        }
        Step::RaceFar(ms) => {
            let far = far(ctx, n).schedule_to_close(Duration::from_secs(30));
            within(ctx, ms, far).await.map_or(Ok(()), |_| Ok(()))
        }
        Step::Doubt(then) => ctx.run(Doubt(n)).undo(Unact(n)).on_unknown(then).await.or_no(),
        Step::Park => act(ctx, n).retry(policy(2)).on_unknown(OnUnknown::Park).await.or_no(),
        Step::Impatient(doubt) => impatient(ctx, n, doubt).await,
        Step::Sleep(ms) => {
            ctx.sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
        Step::Hear(ms) => {
            let pings = ctx.signals::<Ping>();
            if let Some(Ping(heard)) = within(ctx, ms, pings.next()).await {
                ctx.publish(&Heard { heard });
            }
            Ok(())
        }
        Step::Answer(ms) => {
            let queries = ctx.updates::<Query>();
            match within(ctx, ms, queries.next()).await {
                Some(asked) if asked.update.0 % 3 == 0 => asked.refuse(&No),
                Some(asked) => {
                    let answer = asked.update.0;
                    asked.answer(&answer);
                }
                None => {}
            }
            Ok(())
        }
        Step::Show => {
            ctx.publish(&n);
            ctx.label("step", &n.to_string());
            Ok(())
        }
        Step::Patched => {
            if !ctx.patched("change") {
                ctx.label("branch", "old");
            }
            Ok(())
        }
        Step::Stumble => {
            stumble();
            Ok(())
        }
        Step::Child(child) => bear(ctx, child).await,
        Step::Wait => pending().await,
        Step::Fail => Err(No),
        Step::Continue(_) | Step::Pivot => unreachable!("the body itself sees to that"),
    }
}

async fn impatient(ctx: &Ctx, n: usize, doubt: bool) -> Result<(), No> {
    if doubt {
        let doubt = ctx.run(Doubt(n)).when_unavailable(WhenUnavailable::Fail);
        return doubt.undo(Unact(n)).await.or_no();
    }
    act(ctx, n).when_unavailable(WhenUnavailable::Fail).await.or_no().or(Ok(()))
}

fn act(ctx: &Ctx, n: usize) -> Asked<Act> {
    ctx.run(Act(n)).undo(Unact(n))
}

fn far(ctx: &Ctx, n: usize) -> Asked<Far> {
    ctx.run(Far(n)).undo(Unfar(n))
}

async fn within<T>(ctx: &Ctx, ms: u64, future: impl Future<Output = T>) -> Option<T> {
    ctx.timeout(Duration::from_millis(ms), future).await.ok()
}

trait OrNo {
    fn or_no(self) -> Result<(), No>;
}

impl OrNo for Result<(), ActivityError<No>> {
    fn or_no(self) -> Result<(), No> {
        self.map_err(|_| No)
    }
}

async fn bear(ctx: &Ctx, child: Child) -> Result<(), No> {
    let Child { manner, close, id, steps } = child;
    let id = id.map_or_else(|| format!("c-{}", ctx.uuid()), |id| format!("w{id}"));
    let born = ctx.child::<Saga>(&id, &steps).on_parent_close(close);
    match manner {
        Manner::Await => drop(born.await.map_err(|_| No)?),
        // In time or not, and whatever came of it.
        Manner::Race(ms) => {
            let _ = within(ctx, ms, born).await;
        }
        Manner::Cancel(ms) => {
            let born = born.spawn();
            ctx.sleep(Duration::from_millis(ms)).await;
            born.cancel();
            drop(born.await);
        }
        Manner::Leave => drop(born.spawn()),
    }
    Ok(())
}

/// What becomes of a run that waits for ever.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody sees to its end: a deadline, or its parent.
    Sometime,
    /// Nobody does, so that it must not.
    Never,
}

/// Five steps; of a child three.
pub(super) fn plan(random: &mut SmallRng, depth: u32, ended: Ended) -> Vec<Step> {
    let length = if depth == 0 { 5 } else { 3 };
    (0..length).map(|_| step(random, depth, ended)).collect()
}

fn step(random: &mut SmallRng, depth: u32, ended: Ended) -> Step {
    match random.random_range(0..39) {
        0 => Step::Try,
        1..=2 => Step::Both,
        3 => Step::Race(random.random_range(0..5_000)),
        4..=5 => Step::Far,
        6..=7 => Step::Mixed,
        8 => Step::RaceFar(random.random_range(0..5_000)),
        9..=11 => Step::Doubt(OnUnknown::Verify),
        12 => Step::Doubt([OnUnknown::Park, OnUnknown::Retry][random.random_range(0..2)]),
        13 => Step::Park,
        14 => Step::Sleep(0),
        15 => Step::Sleep(random.random_range(0..200_000)),
        16..=17 => Step::Hear(random.random_range(1..200_000)),
        18 => Step::Answer(random.random_range(1..200_000)),
        19 => Step::Show,
        20 => Step::Patched,
        21 => Step::Stumble,
        22..=25 if depth < 2 => Step::Child(child(random, depth + 1)),
        26..=27 => Step::Continue(random.random_range(0..3) > 0),
        28 if ended == Ended::Sometime => Step::Wait,
        29 => Step::Fail,
        30..=31 => Step::Pivot,
        32 => Step::Ask(random.random_range(0..2) == 0),
        33..=35 => Step::Impatient(random.random_range(0..3) == 0),
        _ => Step::Do,
    }
}

fn child(random: &mut SmallRng, depth: u32) -> Child {
    let manner = match random.random_range(0..6) {
        0..=2 => Manner::Await,
        3 => Manner::Race(random.random_range(0..20_000)),
        4 => Manner::Cancel(random.random_range(0..20_000)),
        _ => Manner::Leave,
    };
    let close = match random.random_range(0..4) {
        0..=1 => ParentClose::Cancel,
        2 => ParentClose::Terminate,
        _ => ParentClose::Abandon,
    };
    let ended = match (manner, close) {
        (Manner::Await, _) | (_, ParentClose::Abandon) => Ended::Never,
        _ => Ended::Sometime,
    };
    let id = (random.random_range(0..4) == 0).then(|| random.random_range(0..super::IDS));
    Child { manner, close, id, steps: plan(random, depth, ended) }
}
