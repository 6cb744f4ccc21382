//! What views say of a run: written down in the commit of the events that they follow from.
//!
//! A run in memory holds its rows whole, folded from its history when it came to memory, so that
//! what is written depends on nothing that is in the database. Runs begin in several places, and
//! all of them pass here: one that was started elsewhere (in SQL, by a schedule, as a child, as
//! the heir of another) comes from a history to which its body has added nothing yet, and its rows
//! are written with the first commit of its owner.

use std::sync::Arc;

use hansom_core::{Event, Fold, Ledger, Timestamp, ViewFault, ViewRow, ViewType};
use serde::Serialize;
use uuid::Uuid;

use super::{Resident, Scene};
use crate::address::Address;
use crate::store::to_time;

/// A row, as `hansom.write_views` reads it.
#[derive(Serialize)]
struct Record<'a> {
    part: i32,
    namespace: &'a str,
    workflow_id: &'a str,
    run_no: i32,
    run: Uuid,
    view: &'a str,
    key: i64,
    fields: &'a serde_json::Map<String, serde_json::Value>,
    events: u32,
    at: chrono::DateTime<chrono::Utc>,
}

/// The rows of a run with this history, when its type has views.
pub(crate) fn fold(
    views: Option<&Arc<[ViewType]>>,
    address: &Address,
    history: &[(Timestamp, Vec<Event>)],
) -> Option<Box<Fold>> {
    let (mut fold, mut ledger) = (Fold::new(Arc::clone(views?)), Ledger::default());
    for (at, events) in history {
        complain(address, fold.recall(&mut ledger, (*at, events)));
    }
    if ledger.commands() > 0 {
        // Whoever wrote that wrote the rows as well.
        fold.settle();
    }
    Some(Box::new(fold))
}

impl Resident {
    /// Its rows, up to where its history ends.
    pub(crate) fn with_views(self, fold: Option<Box<Fold>>) -> Self {
        Self { fold, ..self }
    }

    /// Something happened to it.
    pub(super) fn hear(&mut self, event: Event, scene: &mut Scene<'_>) {
        let at = self.write(&event, scene);
        if let Some(fold) = &mut self.fold {
            complain(&self.address, fold.see(self.machine.ledger(), &event, at));
        }
        self.machine.deliver(event, at);
    }

    /// What follows from all that happened to it.
    pub(super) fn take(&mut self, at: Timestamp) -> Vec<Event> {
        let Self { fold, machine, address, .. } = self;
        let Some(fold) = fold else { return machine.take(at) };
        machine.take_with(at, |ledger, event| complain(address, fold.see(ledger, event, at)))
    }

    /// Writes down the rows that have changed.
    pub(super) fn show(&mut self, scene: &mut Scene<'_>) {
        let Some(mut fold) = self.fold.take() else { return };
        for (place, row) in fold.take_changed() {
            self.open_slots(scene.batch);
            let slots = &mut self.slots.views;
            slots.resize(slots.len().max(place + 1), None);
            let row = record(&self.address, row);
            slots[place] = Some(scene.batch.view(row, slots[place]));
        }
        self.fold = Some(fold);
    }
}

fn record(address: &Address, row: &ViewRow) -> String {
    let Address { part, namespace, workflow_id, run_no, run } = address;
    let record = Record {
        part: *part,
        namespace,
        workflow_id,
        run_no: *run_no,
        run: *run,
        view: row.view,
        key: row.key,
        fields: &row.fields,
        events: row.position,
        at: to_time(row.at),
    };
    serde_json::to_string(&record).expect("rows are plain data")
}

fn complain(address: &Address, faults: Vec<ViewFault>) {
    for fault in faults {
        let (id, run) = (&address.workflow_id, address.run);
        tracing::error!(workflow_id = %id, %run, %fault, "view_failed");
    }
}
