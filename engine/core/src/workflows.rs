//! The workflow types a binary knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Workflow, WorkflowType};

/// Workflow types by name. Two of one name are one too many: a worker refuses to start
/// with them, and says which.
#[derive(Clone, Default)]
pub struct Workflows {
    by_name: BTreeMap<&'static str, WorkflowType>,
    twice: BTreeSet<&'static str>,
}

impl Workflows {
    /// Adds one.
    #[must_use]
    pub fn with<W: Workflow>(mut self) -> Self {
        self.add(WorkflowType::of::<W>());
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.by_name.into_values().for_each(|kind| self.add(kind));
        self.twice.extend(others.twice);
        self
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

    /// The names that were given more than once.
    pub fn twice(&self) -> impl Iterator<Item = &'static str> {
        self.twice.iter().copied()
    }
}
