//! Every story a saga can come to, told by the thousand.
//!
//! An author says how the services behave ([`Exhaust::perform`], a few lines
//! each, on a world that can be cloned) and what must hold of the world once
//! the saga is over ([`Exhaust::invariant`]). [`Exhaust::walk`] then tells the
//! saga's story with every twist it may take, one at a time and two at a time:
//!
//! * a request is lost, an answer is lost, a request arrives twice, or when
//!   the attempt after it has been made, or when all is over;
//! * a request is held back before it is sent, and its step waits, or ends at once;
//! * a service refuses; a step is never answered, whether it took place or not,
//!   and is verified, parked, tried on or undone as it says;
//! * an undo fails and then works, or never does, and stays owed until an
//!   operator comes;
//! * someone cancels, the worker is lost, the deadline passes, before and after
//!   every event;
//! * signals and updates come early, twice, or after the timer; answers change
//!   places; a child's id is taken;
//! * a handler is cut off between two of its effects;
//! * everything reaches its service twice.
//!
//! Children ([`Exhaust::with_child`]) and runs that go on in another are walked
//! along. Not walked: what an operator does but to let a stuck run try again, a
//! change of the body under an open run (golden histories are for that), and time
//! that is told wrongly.
//!
//! It drives the real [`crate::Machine`], live and in replay, under a virtual
//! clock and without threads: what breaks once, breaks again. Each story must
//! come to its end with undos in reverse order of completion, nothing owed,
//! keys that are the same on every attempt and different for everything else,
//! effects that were written down before they were asked for and do not happen
//! twice, replays that agree, and all that the author asks. What is told, when
//! something breaks, is the smallest story that shows it.
//!
//! ```
//! use hansom_core::testing::Exhaust;
//! use hansom_core::{Activity, ActivityError, Ctx, Never, Status, Workflow};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)] struct Charge { trip: u64 }
//! #[derive(Serialize, Deserialize)] struct Refund { trip: u64 }
//! #[derive(Debug, thiserror::Error, Serialize, Deserialize)] #[error("declined")] struct Declined;
//! impl Activity for Charge { const NAME: &str = "charge"; type Output = (); type Error = Declined; }
//! impl Activity for Refund { const NAME: &str = "refund"; type Output = (); type Error = Never; }
//! # #[derive(Serialize, Deserialize)] struct Ride { trip: u64 }
//! # #[derive(Debug, thiserror::Error, Serialize, Deserialize)] #[error("no")] struct No;
//! # impl Activity for Ride { const NAME: &str = "ride"; type Output = (); type Error = No; }
//! # #[derive(Serialize, Deserialize)] struct Stop { trip: u64 }
//! # impl Activity for Stop { const NAME: &str = "stop"; type Output = (); type Error = Never; }
//! # #[derive(Debug, thiserror::Error, Serialize, Deserialize)] #[error("no trip")]
//! # enum NoTrip { Charge(#[from] ActivityError<Declined>), Ride(#[from] ActivityError<No>) }
//!
//! struct Trip;
//! impl Workflow for Trip {
//! #   const NAME: &str = "trip";
//! #   const ACTIVITIES: &[&str] = &[Charge::NAME, Refund::NAME, Ride::NAME, Stop::NAME];
//! #   type Input = u64;
//! #   type Output = ();
//! #   type Error = NoTrip;
//!     // ...
//!     async fn run(ctx: Ctx, trip: u64) -> Result<(), Self::Error> {
//!         ctx.run(Charge { trip }).undo(Refund { trip }).await?;
//!         ctx.run(Ride { trip }).undo(Stop { trip }).await?;
//!         Ok(())
//!     }
//! }
//!
//! /// What the services remember.
//! #[derive(Clone, Debug, Default, PartialEq)]
//! struct World { charged: bool, void: bool, rode: bool, stopped: bool }
//!
//! let walked = Exhaust::<Trip, World>::start(&7, World::default())
//!     .does::<Charge>(|world, _, _| world.charged = !world.void)
//!     .may_refuse::<Charge>(Declined)
//!     // Void by key: a charge that comes late finds the tombstone.
//!     .does::<Refund>(|world, _, _| (world.charged, world.void) = (false, true))
//!     .does::<Ride>(|world, _, _| world.rode = !world.stopped)
//!     .may_refuse::<Ride>(No)
//!     .does::<Stop>(|world, _, _| (world.rode, world.stopped) = (false, true))
//!     .invariant("who pays rides, and who rides pays", |world, end| {
//!         let done = end.status == Status::Completed;
//!         (world.charged, world.rode) == (done, done)
//!     })
//!     .walk();
//! assert!(walked.performed("refund") > 0 && walked.twists("answer lost") > 0);
//! ```

mod answers;
mod books;
mod cast;
mod engine;
mod judge;
mod outside;
mod plan;
mod promises;
mod rehearsal;
mod remarks;
mod story;
mod tell;
mod troupe;
mod turn;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::Duration;

pub use cast::{CutOff, Visit};
pub use walk::{Broken, Walked};

use self::cast::Cast;
use crate::{Activity, Failure, Outcome, Payload, Signal, Update, Workflow, WorkflowType};

/// A walk in the making. `World` is what the services remember: small, cheap to
/// clone, and equal to itself when nothing happened; no logs, no counters of calls.
#[must_use = "nothing is walked before `walk`"]
pub struct Exhaust<W, World> {
    play: Play<World>,
    workflow: PhantomData<fn() -> W>,
}

/// All that every story has in common.
struct Play<World> {
    saga: Saga,
    /// Workflows that it starts as children.
    children: Vec<WorkflowType>,
    world: World,
    cast: Cast<World>,
    cues: Vec<Cue<World>>,
    rules: Rules<World>,
    bounds: Bounds,
    /// What a mistaken engine would have written, for tests of the judge.
    tamper: Option<fn(&mut judge::Account)>,
}

/// What is walked.
struct Saga {
    kind: WorkflowType,
    type_name: &'static str,
    input: Payload,
    /// From its start.
    deadline: Option<Duration>,
}

/// When something comes in from outside.
struct Cue<World> {
    kind: Kind,
    name: &'static str,
    type_name: &'static str,
    given: Box<Given<World>>,
}

/// What comes in.
#[derive(Clone, Copy)]
enum Kind {
    Signal,
    Update,
}

type Given<World> = dyn Fn(&World) -> Option<Payload>;
type Invariant<World> = dyn Fn(&World, &Outcome) -> bool;
type Always<World> = dyn Fn(&World) -> bool;

/// What the author says must hold.
struct Rules<World> {
    at_the_end: Vec<(&'static str, Box<Invariant<World>>)>,
    always: Vec<(&'static str, Box<Always<World>>)>,
}

struct Bounds {
    twists: usize,
    stories: usize,
}

impl<W: Workflow, World: Clone + PartialEq + Debug + 'static> Exhaust<W, World> {
    /// Walks are of one input, in one world as it was before.
    pub fn start(input: &W::Input, world: World) -> Self {
        let saga = Saga {
            kind: WorkflowType::of::<W>(),
            type_name: std::any::type_name::<W>(),
            input: super::script::encode(input),
            deadline: None,
        };
        let play = Play {
            saga,
            children: Vec::new(),
            world,
            cast: Cast::default(),
            cues: Vec::new(),
            rules: Rules { at_the_end: Vec::new(), always: Vec::new() },
            bounds: Bounds { twists: 2, stories: 50_000 },
            tamper: None,
        };
        Self { play, workflow: PhantomData }
    }

    /// How a service performs `A`, as an action and as an undo: what its handler
    /// would do, on the world. It must be deterministic, and knows its attempt
    /// and its idempotency key from the [`Visit`].
    pub fn perform<A: Activity>(
        mut self,
        service: impl Fn(&mut World, A, &Visit<'_>) -> Result<A::Output, Failure<A::Error>> + 'static,
    ) -> Self {
        self.play.cast.add::<A>(service);
        self
    }

    /// The same, for a service that always does what it is asked for.
    pub fn does<A: Activity>(
        self,
        service: impl Fn(&mut World, A, &Visit<'_>) -> A::Output + 'static,
    ) -> Self {
        self.perform::<A>(move |world, ask, visit| Ok(service(world, ask, visit)))
    }

    /// A business refusal of `A` that has nothing to do with the world: in some
    /// stories its service answers this, and nothing has happened. One that the
    /// service writes down belongs in its model; see [`Visit::happens`].
    #[expect(clippy::needless_pass_by_value, reason = "`may_refuse::<A>(CardDeclined)` reads best")]
    pub fn may_refuse<A: Activity>(mut self, error: A::Error) -> Self {
        self.play.cast.refuse::<A>(&error);
        self
    }

    /// A signal that comes in once, when the world is such that `cue` gives it:
    /// as soon as nothing else is under way, and earlier or later in stories
    /// that turn there.
    pub fn signal_when<S: Signal>(mut self, cue: impl Fn(&World) -> Option<S> + 'static) -> Self {
        let given = move |world: &World| Some(super::script::encode(&cue(world)?));
        let (kind, name, type_name) = (Kind::Signal, S::NAME, std::any::type_name::<S>());
        self.play.cues.push(Cue { kind, name, type_name, given: Box::new(given) });
        self
    }

    /// An update that comes in once, as [`Exhaust::signal_when`].
    pub fn update_when<U: Update>(mut self, cue: impl Fn(&World) -> Option<U> + 'static) -> Self {
        let given = move |world: &World| Some(super::script::encode(&cue(world)?));
        let (kind, name, type_name) = (Kind::Update, U::NAME, std::any::type_name::<U>());
        self.play.cues.push(Cue { kind, name, type_name, given: Box::new(given) });
        self
    }

    /// A workflow that the saga starts as a child: it is walked along, as a run of its own.
    pub fn with_child<C: Workflow>(mut self) -> Self {
        self.play.children.push(WorkflowType::of::<C>());
        self
    }

    /// What must hold of the world once the saga is closed, however it ended,
    /// and once more when all that was late has arrived.
    pub fn invariant(
        mut self,
        name: &'static str,
        holds: impl Fn(&World, &Outcome) -> bool + 'static,
    ) -> Self {
        self.play.rules.at_the_end.push((name, Box::new(holds)));
        self
    }

    /// What must hold of the world after every visit to a service.
    pub fn always(mut self, name: &'static str, holds: impl Fn(&World) -> bool + 'static) -> Self {
        self.play.rules.always.push((name, Box::new(holds)));
        self
    }

    /// The saga is started with a deadline, this long from its start; in some stories it
    /// passes, wherever the saga is by then.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.play.saga.deadline = Some(after);
        self
    }

    /// No story has more twists than this. Default 2: pairs. One more multiplies
    /// the stories of a small saga by about a hundred.
    pub fn twists(mut self, twists: usize) -> Self {
        self.play.bounds.twists = twists;
        self
    }

    /// No more stories than this are told; what is left out is left out evenly,
    /// and [`Walked`] says so. Default 50 000.
    pub fn stories_max(mut self, stories: usize) -> Self {
        self.play.bounds.stories = stories;
        self
    }

    /// Walks, and says on stderr how far.
    ///
    /// # Panics
    ///
    /// With the smallest story that breaks a promise, as [`Broken`] tells it;
    /// when an activity of the workflow has no model; and when no story was
    /// told: a walk of none proves nothing.
    pub fn walk(self) -> Walked {
        match self.try_walk() {
            Ok(walked) => {
                eprintln!("{walked}");
                walked
            }
            Err(broken) => panic!("{broken}"),
        }
    }

    /// As [`Exhaust::walk`], but hands back what broke.
    ///
    /// # Errors
    ///
    /// [`Broken`], with the smallest story that breaks a promise.
    ///
    /// # Panics
    ///
    /// When there is nothing to walk, as [`Exhaust::walk`].
    pub fn try_walk(self) -> Result<Walked, Broken> {
        let play = &self.play;
        let missing: Vec<_> =
            play.activities().filter(|name| play.cast.model(name).is_none()).collect();
        assert!(missing.is_empty(), "nobody plays {}: `perform` says how", missing.join(", "));
        assert!(play.bounds.stories > 0, "a walk of 0 stories proves nothing");
        walk::walk(play)
    }

    #[cfg(test)]
    fn tamper(mut self, tamper: fn(&mut judge::Account)) -> Self {
        self.play.tamper = Some(tamper);
        self
    }
}

impl<World> Play<World> {
    /// All that the saga and its children ask for.
    fn activities(&self) -> impl Iterator<Item = &'static str> {
        let kinds = std::iter::once(&self.saga.kind).chain(&self.children);
        kinds.flat_map(|kind| kind.activities).copied()
    }
}

impl<World> Rules<World> {
    fn broken_by(&self, world: &World, outcome: &Outcome) -> Option<&'static str> {
        let mut rules = self.at_the_end.iter();
        rules.find(|(_, holds)| !holds(world, outcome)).map(|(name, _)| *name)
    }

    fn broken_always(&self, world: &World) -> Option<String> {
        let broken = self.always.iter().find(|(_, holds)| !holds(world));
        broken.map(|(name, _)| format!("the invariant «{name}» does not hold at all times"))
    }
}
