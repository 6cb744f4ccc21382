//! The workflow types a binary knows.

use std::collections::BTreeMap;

use crate::{Workflow, WorkflowType};

/// Workflow types by name.
#[derive(Clone, Default)]
pub struct Workflows(BTreeMap<&'static str, WorkflowType>);

impl Workflows {
    /// Adds one; a second of the same name replaces the first.
    #[must_use]
    pub fn with<W: Workflow>(mut self) -> Self {
        self.0.insert(W::NAME, WorkflowType::of::<W>());
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The type called `name`.
    pub fn get(&self, name: &str) -> Option<WorkflowType> {
        self.0.get(name).copied()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &WorkflowType> {
        self.0.values()
    }
}
