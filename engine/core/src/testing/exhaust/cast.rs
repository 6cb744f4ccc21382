//! Who plays the services: a model for each activity, with its types erased.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::plan::Plan;
use crate::{
    Activity, ActivityContext, ActivityOptions, Attempt, Direction, Failure, OnUnknown, Payload,
    Pulse, Running, WhenUnavailable,
};

type Perform<World> = dyn Fn(&mut World, &Payload, &Visit<'_>) -> Attempt;

/// How one activity is played.
pub(super) struct Model<World> {
    pub(super) options: ActivityOptions,
    options_as_undo: ActivityOptions,
    perform: Box<Perform<World>>,
    /// As it is called in Rust, to write a rehearsal with.
    pub(super) type_name: &'static str,
}

/// All models, and what their services may refuse whatever the model says.
pub(super) struct Cast<World> {
    models: BTreeMap<&'static str, Model<World>>,
    refusals: BTreeMap<&'static str, Vec<Payload>>,
}

impl<World> Default for Cast<World> {
    fn default() -> Self {
        Self { models: BTreeMap::new(), refusals: BTreeMap::new() }
    }
}

impl<World> Cast<World> {
    pub(super) fn add<A: Activity>(
        &mut self,
        play: impl Fn(&mut World, A, &Visit<'_>) -> Result<A::Output, Failure<A::Error>> + 'static,
    ) {
        let perform = move |world: &mut World, request: &Payload, visit: &Visit<'_>| -> Attempt {
            match request.decode::<A>() {
                Ok(ask) => erase::<A>(play(world, ask, visit)),
                Err(error) => Attempt::failed(format!("request of {}: {error}", A::NAME)),
            }
        };
        let model = Model {
            options: A::options(),
            options_as_undo: A::options_as_undo(),
            perform: Box::new(perform),
            type_name: std::any::type_name::<A>(),
        };
        self.models.insert(A::NAME, model);
    }

    pub(super) fn refuse<A: Activity>(&mut self, error: &A::Error) {
        let error = crate::testing::script::encode(error);
        self.refusals.entry(A::NAME).or_default().push(error);
    }

    pub(super) fn model(&self, activity: &str) -> Option<&Model<World>> {
        self.models.get(activity)
    }

    pub(super) fn refusals(&self, activity: &str) -> &[Payload] {
        self.refusals.get(activity).map_or(&[], Vec::as_slice)
    }

    /// The options in force, as a worker would have them.
    pub(super) fn options(&self, running: &Running, pivoted: bool) -> ActivityOptions {
        let declared = self.model(&running.call.activity).map(|model| match running.direction {
            Direction::Do | Direction::Verify => model.options,
            Direction::Undo => model.options_as_undo,
        });
        let mut options = running.options.as_deref().copied().or(declared).unwrap_or_default();
        let persists = pivoted || options.on_unknown == OnUnknown::Retry;
        if persists && running.direction == Direction::Do {
            options = options.unlimited();
        }
        let of_the_action = self.of_the_action(running);
        options.on_unknown = of_the_action.on_unknown;
        options.when_unavailable =
            if pivoted { WhenUnavailable::Wait } else { of_the_action.when_unavailable };
        options
    }

    /// A probe leaves it to the action what follows when it cannot tell, or cannot be sent.
    fn of_the_action(&self, running: &Running) -> ActivityOptions {
        let (activity, options) = match &running.probed {
            Some(action) => (&action.activity, &action.options),
            None => (&running.call.activity, &running.options),
        };
        let declared = || self.model(activity).map(|model| model.options);
        options.as_deref().copied().or_else(declared).unwrap_or_default()
    }
}

impl<World> Model<World> {
    pub(super) fn perform(&self, world: &mut World, ask: &Payload, visit: &Visit<'_>) -> Attempt {
        (self.perform)(world, ask, visit)
    }
}

fn erase<A: Activity>(answer: Result<A::Output, Failure<A::Error>>) -> Attempt {
    let encode = |encoded: Result<Payload, serde_json::Error>, attempt: fn(Payload) -> Attempt| {
        encoded.map_or_else(
            |error| Attempt::failed(format!("answer of {}: {error}", A::NAME)),
            attempt,
        )
    };
    match answer {
        Ok(output) => encode(Payload::of(&output), Attempt::Done),
        Err(Failure::Refused(error)) => encode(Payload::of(&error), Attempt::Refused),
        Err(Failure::Retry { reason, after }) => {
            Attempt::Failed { reason: reason.to_string(), retry_after: after }
        }
        Err(Failure::Unavailable { reason, after }) => {
            Attempt::Unavailable { reason: reason.to_string(), after }
        }
    }
}

/// One request on its visit to a modelled service: all that a handler knows of
/// its attempt, and what may come in between.
pub struct Visit<'a> {
    context: ActivityContext,
    plan: &'a RefCell<Plan>,
    /// What was said last in heartbeats.
    beat: Arc<Mutex<Option<Payload>>>,
    pub(super) cut: Cell<Option<Cut>>,
    pub(super) luck: RefCell<Vec<String>>,
}

/// How a visit was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The next attempt may get through.
    Once,
    /// No attempt gets through any more.
    ForGood,
}

impl<'a> Visit<'a> {
    /// `earlier` is what an earlier attempt said last.
    pub(super) fn new(
        context: ActivityContext,
        earlier: Option<Payload>,
        plan: &'a RefCell<Plan>,
    ) -> Self {
        let beat = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&beat);
        let pulse = Pulse::new(earlier, move |details| {
            *heard.lock().expect("nobody panics with it") = details;
        });
        let context = context.with_pulse(pulse);
        Self { context, plan, beat, cut: Cell::new(None), luck: RefCell::default() }
    }

    pub(super) fn last_beat(&self) -> Option<Payload> {
        self.beat.lock().expect("nobody panics with it").clone()
    }

    /// Whether something happens that lies with the service: false as things
    /// go by themselves, true in stories that turn here.
    ///
    /// For a refusal that the service writes down, so that an attempt still
    /// on its way is refused too; [`super::Exhaust::may_refuse`] knows no world.
    pub fn happens(&self, what: &str) -> bool {
        let happens = self.plan.borrow_mut().choose(2) == 1;
        if happens {
            self.luck.borrow_mut().push(what.to_owned());
        }
        happens
    }

    /// A place between two effects of one handler, where it may be cut off: what
    /// it did so far stays, the attempt fails, and the next begins from the top.
    ///
    /// # Errors
    ///
    /// In stories that turn here; to be passed on with `?`.
    pub fn may_be_cut_off(&self) -> Result<(), CutOff> {
        let cut = match self.plan.borrow_mut().choose(3) {
            0 => return Ok(()),
            1 => Cut::Once,
            _ => Cut::ForGood,
        };
        self.cut.set(Some(cut));
        Err(CutOff)
    }
}

impl Deref for Visit<'_> {
    type Target = ActivityContext;

    fn deref(&self) -> &ActivityContext {
        &self.context
    }
}

/// A handler was cut off between two of its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off between two effects")
    }
}

impl Error for CutOff {}
