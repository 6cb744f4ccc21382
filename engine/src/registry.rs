//! Names to workflows and handlers. Refuses gaps before anything is started.

use std::sync::Arc;

use hansom_core::{
    ActivityOptions, Answers, Direction, ErasedHandler, Handlers, OnUnknown, Running, ViewType,
    WhenUnavailable, WorkflowType, Workflows,
};

use crate::EngineError;
use crate::transaction::{ErasedTransaction, TransactionHandlers};

/// What this binary can run.
#[derive(Clone)]
pub struct Registry {
    workflows: Workflows,
    handlers: Handlers,
    transactions: TransactionHandlers,
}

impl Registry {
    /// Puts workflows and handlers together.
    ///
    /// # Errors
    ///
    /// [`EngineError::MissingHandlers`], with every `activity (workflow)` that
    /// nobody performs; [`EngineError::Duplicates`], with every name that two
    /// handlers, two workflows or two views have.
    pub fn new(workflows: Workflows, handlers: Handlers) -> Result<Self, EngineError> {
        Self::with_transactions(workflows, handlers, TransactionHandlers::default())
    }

    /// As [`Registry::new`], with handlers whose effect is in the engine's own database
    /// beside the others. One activity has one handler, of either kind.
    ///
    /// # Errors
    ///
    /// As [`Registry::new`].
    pub fn with_transactions(
        workflows: Workflows,
        handlers: Handlers,
        transactions: TransactionHandlers,
    ) -> Result<Self, EngineError> {
        let of_both_kinds = transactions.names().filter(|name| handlers.get(name).is_some());
        let handlers_twice = handlers.twice().chain(transactions.twice()).chain(of_both_kinds);
        let duplicates: Vec<_> = (handlers_twice.map(|name| format!("handler of {name}")))
            .chain(workflows.twice().map(|name| format!("workflow {name}")))
            .chain(workflows.views_twice().map(|name| format!("view {name}")))
            .collect();
        if !duplicates.is_empty() {
            return Err(EngineError::Duplicates(duplicates));
        }
        let registry = Self { workflows, handlers, transactions };
        let needs = registry
            .workflows()
            .flat_map(|kind| kind.activities.iter().map(|activity| (*activity, kind.name)));
        let missing: Vec<_> = needs
            .filter(|(activity, _)| !registry.performs(activity))
            .map(|(activity, workflow)| format!("{activity} ({workflow})"))
            .collect();
        if missing.is_empty() { Ok(registry) } else { Err(EngineError::MissingHandlers(missing)) }
    }

    fn performs(&self, activity: &str) -> bool {
        self.handlers.get(activity).is_some() || self.transactions.get(activity).is_some()
    }

    pub(crate) fn workflow(&self, name: &str) -> Option<WorkflowType> {
        self.workflows.get(name)
    }

    /// The views of the runs of one type, when there are any.
    pub(crate) fn views_of(&self, workflow: &str) -> Option<&Arc<[ViewType]>> {
        self.workflows.views_of(workflow)
    }

    /// All views.
    pub(crate) fn views(&self) -> impl Iterator<Item = &ViewType> {
        self.workflows.views()
    }

    /// The view called `name`.
    pub(crate) fn view(&self, name: &str) -> Option<&ViewType> {
        self.workflows.find_view(name)
    }

    pub(crate) fn workflows(&self) -> impl Iterator<Item = &WorkflowType> {
        self.workflows.iter()
    }

    pub(crate) fn handler(&self, activity: &str) -> Option<&ErasedHandler> {
        self.handlers.get(activity)
    }

    /// What an activity may be asked, and what it may answer.
    pub(crate) fn answers(&self, activity: &str) -> Option<&Answers> {
        let plain = self.handlers.get(activity).map(|handler| &handler.answers);
        plain.or_else(|| Some(&self.transactions.get(activity)?.answers))
    }

    /// Every activity, and its queue when it is performed elsewhere.
    pub(crate) fn activities(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let queue = |name| self.queue(name).map(|queue| &**queue);
        let names = self.handlers.names().chain(self.transactions.names());
        names.map(move |name| (name, queue(name)))
    }

    /// The queue of an activity that is performed elsewhere.
    pub(crate) fn queue(&self, activity: &str) -> Option<&Arc<str>> {
        self.handlers.get(activity)?.queue()
    }

    /// What follows when nobody knows whether a step, or the action of a probe, happened.
    pub(crate) fn on_unknown(&self, running: &Running) -> OnUnknown {
        self.of_the_action(running).on_unknown
    }

    /// What follows when an attempt of a step, or of its probe, cannot be sent.
    pub(crate) fn when_unavailable(&self, running: &Running) -> WhenUnavailable {
        self.of_the_action(running).when_unavailable
    }

    fn of_the_action(&self, running: &Running) -> ActivityOptions {
        let (activity, options) = match &running.probed {
            Some(action) => (&action.activity, &action.options),
            None => (&running.call.activity, &running.options),
        };
        let declared = || self.declared(activity).map(|[options, _]| options);
        options.as_deref().copied().or_else(declared).unwrap_or_default()
    }

    pub(crate) fn transaction(&self, activity: &str) -> Option<&ErasedTransaction> {
        self.transactions.get(activity)
    }

    /// The options in force: the step's own, or else its activity type's; past
    /// the pivot an action is tried until it succeeds.
    pub(crate) fn options(&self, running: &Running, pivoted: bool) -> ActivityOptions {
        let declared = self.declared(&running.call.activity);
        let declared = declared.map(|[options, as_undo]| match running.direction {
            // A probe is an activity of its own, and a step like any other.
            Direction::Do | Direction::Verify => options,
            Direction::Undo => as_undo,
        });
        let mut options = running.options.as_deref().copied().or(declared).unwrap_or_default();
        let goes_on = pivoted || options.on_unknown == OnUnknown::Retry;
        if goes_on && running.direction == Direction::Do {
            options = options.unlimited();
        }
        options
    }

    /// What the contract of an activity declares: as a step, and as an undo.
    fn declared(&self, activity: &str) -> Option<[ActivityOptions; 2]> {
        let plain = self.handlers.get(activity);
        plain.map(|handler| [handler.options, handler.options_as_undo]).or_else(|| {
            let transaction = self.transactions.get(activity)?;
            Some([transaction.options, transaction.options_as_undo])
        })
    }
}
