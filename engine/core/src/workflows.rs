//! The workflow types a binary knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::view::ByWorkflow;
use crate::{View, ViewType, Workflow, WorkflowType};

/// Workflow types by name, and the views of their runs. Two of one name are one too many: a
/// worker refuses to start with them, and says which.
#[derive(Clone, Default)]
pub struct Workflows {
    by_name: BTreeMap<&'static str, WorkflowType>,
    twice: BTreeSet<&'static str>,
    views: ByWorkflow,
    views_twice: BTreeSet<&'static str>,
}

impl Workflows {
    /// Adds one.
    #[must_use]
    pub fn with<W: Workflow>(mut self) -> Self {
        self.add(WorkflowType::of::<W>());
        self
    }

    /// Adds a view of the runs of one type.
    #[must_use]
    pub fn view<V: View>(mut self) -> Self {
        self.add_view(ViewType::of::<V>());
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.by_name.into_values().for_each(|kind| self.add(kind));
        self.twice.extend(others.twice);
        others.views.values().flat_map(|views| views.iter()).for_each(|view| self.add_view(*view));
        self.views_twice.extend(others.views_twice);
        self
    }

    fn add_view(&mut self, view: ViewType) {
        if self.find_view(view.name).is_some() {
            self.views_twice.insert(view.name);
        }
        let views = self.views.entry(view.workflow).or_default();
        let mut more: Vec<_> = views.iter().copied().collect();
        more.push(view);
        *views = more.into();
    }

    fn add(&mut self, kind: WorkflowType) {
        if self.by_name.insert(kind.name, kind).is_some() {
            self.twice.insert(kind.name);
        }
    }

    /// The type called `name`.
    pub fn get(&self, name: &str) -> Option<WorkflowType> {
        self.by_name.get(name).copied()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &WorkflowType> {
        self.by_name.values()
    }

    /// The views of the runs of one type, when there are any.
    pub fn views_of(&self, workflow: &str) -> Option<&Arc<[ViewType]>> {
        self.views.get(workflow)
    }

    /// All views.
    pub fn views(&self) -> impl Iterator<Item = &ViewType> {
        self.views.values().flat_map(|views| views.iter())
    }

    /// The view called `name`.
    pub fn find_view(&self, name: &str) -> Option<&ViewType> {
        self.views().find(|view| view.name == name)
    }

    /// The names of views that were given more than once.
    pub fn views_twice(&self) -> impl Iterator<Item = &'static str> {
        self.views_twice.iter().copied()
    }

    /// The names that were given more than once.
    pub fn twice(&self) -> impl Iterator<Item = &'static str> {
        self.twice.iter().copied()
    }
}
