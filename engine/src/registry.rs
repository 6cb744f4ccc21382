//! Names to workflows and handlers. Refuses gaps before anything is started.

use std::sync::Arc;

use hansom_core::{
    ActivityOptions, Direction, ErasedHandler, Handlers, OnUnknown, Running, WorkflowType,
    Workflows,
};

use crate::EngineError;

/// What this binary can run.
#[derive(Clone)]
pub struct Registry {
    workflows: Workflows,
    handlers: Handlers,
}

impl Registry {
    /// Puts workflows and handlers together.
    ///
    /// # Errors
    ///
    /// [`EngineError::MissingHandlers`], with every `activity (workflow)` that
    /// nobody performs; [`EngineError::Duplicates`], with every name that two
    /// handlers or two workflows have.
    pub fn new(workflows: Workflows, handlers: Handlers) -> Result<Self, EngineError> {
        let duplicates: Vec<_> = (handlers.twice().map(|name| format!("handler of {name}")))
            .chain(workflows.twice().map(|name| format!("workflow {name}")))
            .collect();
        if !duplicates.is_empty() {
            return Err(EngineError::Duplicates(duplicates));
        }
        let needs = workflows
            .iter()
            .flat_map(|kind| kind.activities.iter().map(|activity| (*activity, kind.name)));
        let missing: Vec<_> = needs
            .filter(|(activity, _)| handlers.get(activity).is_none())
            .map(|(activity, workflow)| format!("{activity} ({workflow})"))
            .collect();
        if missing.is_empty() {
            Ok(Self { workflows, handlers })
        } else {
            Err(EngineError::MissingHandlers(missing))
        }
    }

    pub(crate) fn workflow(&self, name: &str) -> Option<WorkflowType> {
        self.workflows.get(name)
    }

    pub(crate) fn workflows(&self) -> impl Iterator<Item = &WorkflowType> {
        self.workflows.iter()
    }

    pub(crate) fn handler(&self, activity: &str) -> Option<&ErasedHandler> {
        self.handlers.get(activity)
    }

    /// Every activity, and its queue when it is performed elsewhere.
    pub(crate) fn activities(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let queue = |name| self.queue(name).map(|queue| &**queue);
        self.handlers.names().map(move |name| (name, queue(name)))
    }

    /// The queue of an activity that is performed elsewhere.
    pub(crate) fn queue(&self, activity: &str) -> Option<&Arc<str>> {
        self.handlers.get(activity)?.queue()
    }

    /// What follows when nobody knows whether a step, or the action of a probe, happened.
    pub(crate) fn on_unknown(&self, running: &Running) -> OnUnknown {
        let (activity, options) = match &running.action {
            Some((activity, options)) => (activity, *options),
            None => (&running.call.activity, running.options),
        };
        let declared = || self.handlers.get(activity).map(|handler| handler.options);
        options.or_else(declared).unwrap_or_default().on_unknown
    }

    /// The options in force: the step's own, or else its activity type's; past
    /// the pivot an action is tried until it succeeds.
    pub(crate) fn options(&self, running: &Running, pivoted: bool) -> ActivityOptions {
        let declared =
            self.handlers.get(&running.call.activity).map(|handler| match running.direction {
                // A probe is an activity of its own, and a step like any other.
                Direction::Do | Direction::Verify => handler.options,
                Direction::Undo => handler.options_as_undo,
            });
        let mut options = running.options.or(declared).unwrap_or_default();
        let goes_on = pivoted || options.on_unknown == OnUnknown::Retry;
        if goes_on && running.direction == Direction::Do {
            options = options.unlimited();
        }
        options
    }
}
