//! The rows of one run, kept up to date event by event.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Fact, Patch, ViewType};
use crate::machine::panic_text;
use crate::{Event, Ledger, Timestamp};

/// The rows of one run: one for each view of its type.
///
/// What is folded is every event of the run in order, each before the run's ledger has applied it.
#[derive(Clone)]
pub struct Fold {
    views: Arc<[ViewType]>,
    rows: Vec<Option<ViewRow>>,
}

/// What one view says of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewRow {
    /// [`super::View::NAME`].
    pub view: &'static str,
    /// [`super::View::key`].
    pub key: i64,
    /// Its fields.
    pub fields: Map<String, Value>,
    /// How many events had happened, with the last that changed it.
    pub position: u32,
    /// When that happened.
    pub at: Timestamp,
    /// Whether it has changed since [`Fold::take_changed`].
    changed: bool,
}

/// A view could not say what an event changes; it changes nothing of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("view {view} at event {event}: {detail}")]
pub struct ViewFault {
    /// [`super::View::NAME`].
    pub view: &'static str,
    /// The event, counted from 0.
    pub event: u32,
    /// What it came to.
    pub detail: String,
}

impl Fold {
    /// One to which nothing has happened yet.
    pub fn new(views: Arc<[ViewType]>) -> Self {
        Self { rows: vec![None; views.len()], views }
    }

    /// Adds an event that is committed at `at`, before `ledger` applies it. Answers what the
    /// views made of it that they cannot mean.
    pub fn see(&mut self, ledger: &Ledger, event: &Event, at: Timestamp) -> Vec<ViewFault> {
        // What happens between two attempts is nothing that a view is told.
        if let Event::AttemptFailed { .. } | Event::HeldBack { .. } | Event::AttemptLost { .. } =
            event
        {
            return Vec::new();
        }
        let number = ledger.events();
        let rows = self.views.iter().zip(&mut self.rows);
        let faults = rows.filter_map(|(view, row)| {
            let detail = fold(view, row, (ledger, event, at)).err()?;
            Some(ViewFault { view: view.name, event: number, detail })
        });
        faults.collect()
    }

    /// Adds the events of a history, or the next part of one, and applies them to `ledger`.
    pub fn recall(
        &mut self,
        ledger: &mut Ledger,
        (at, events): (Timestamp, &[Event]),
    ) -> Vec<ViewFault> {
        let mut faults = Vec::new();
        for event in events {
            faults.extend(self.see(ledger, event, at));
            ledger.apply(event, at);
        }
        // Nobody acts on what happened long ago.
        ledger.take_news();
        faults
    }

    /// Its rows are written as they are now.
    pub fn settle(&mut self) {
        self.rows.iter_mut().flatten().for_each(|row| row.changed = false);
    }

    /// Its rows. There is none for a view that could not begin.
    pub fn rows(&self) -> impl Iterator<Item = &ViewRow> {
        self.rows.iter().flatten()
    }

    /// The rows that have changed since this was last asked, each with its place among the views.
    pub fn take_changed(&mut self) -> impl Iterator<Item = (usize, &ViewRow)> {
        let rows = self.rows.iter_mut().enumerate();
        rows.filter_map(|(place, row)| {
            let row = row.as_mut()?;
            std::mem::take(&mut row.changed).then_some((place, &*row))
        })
    }
}

fn fold(
    view: &ViewType,
    row: &mut Option<ViewRow>,
    (ledger, event, at): (&Ledger, &Event, Timestamp),
) -> Result<(), String> {
    let position = ledger.events() + 1;
    let guarded = |detail: Box<dyn std::any::Any + Send>| panic_text(&*detail);
    if let Event::Started { input, .. } = event {
        let started = catch_unwind(AssertUnwindSafe(|| (view.start)(input))).map_err(guarded)?;
        let (key, Patch(fields)) = started.map_err(|error| format!("input: {error}"))?;
        *row = Some(ViewRow { view: view.name, key, fields, position, at, changed: true });
        return Ok(());
    }
    let Some(row) = row else { return Ok(()) };
    let fact = Fact { event, ledger, at, row: &row.fields, unread: Cell::default() };
    let patch = catch_unwind(AssertUnwindSafe(|| (view.on)(&fact))).map_err(guarded)?;
    let unread = fact.unread.take();
    if let Some(Patch(fields)) = patch {
        row.fields.extend(fields);
        (row.position, row.at, row.changed) = (position, at, true);
    }
    unread.map_or(Ok(()), Err)
}
