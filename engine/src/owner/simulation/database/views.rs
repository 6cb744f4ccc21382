//! What views say, as `hansom.write_views` and a rebuild write it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hansom_core::{Timestamp, ViewRow};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::views::folded;
use super::{Database, WorkerId};
use crate::address::{Address, Part};

/// The table.
#[derive(Default)]
pub(in super::super) struct Views {
    rows: BTreeMap<(Part, Arc<str>, String), Shown>,
    /// How often an owner went on with a row of another's …
    pub(in super::super) handed_on: usize,
    /// … and another run took one over.
    pub(in super::super) begun_anew: usize,
}

/// What a view says of a workflow.
struct Shown {
    run_no: i32,
    run: Uuid,
    key: i64,
    fields: Map<String, Value>,
    events: u32,
    at: Timestamp,
    /// Who wrote it, unless it was made anew.
    by: Option<WorkerId>,
}

/// As it goes over the wire.
#[derive(Deserialize)]
struct Record {
    part: Part,
    namespace: String,
    workflow_id: Arc<str>,
    view: String,
    run_no: i32,
    run: Uuid,
    key: i64,
    fields: Map<String, Value>,
    events: u32,
    at: chrono::DateTime<chrono::Utc>,
}

impl Database {
    pub(super) fn write_view(&mut self, worker: WorkerId, json: &str, lost: &[Uuid]) {
        let record: Record = serde_json::from_str(json).unwrap();
        let Record { part, namespace, workflow_id, view, run_no, run, key, .. } = record;
        if lost.contains(&run) {
            return;
        }
        assert!(self.by_run.contains_key(&run), "a row of a run that does not exist: {json}");
        assert_eq!(self.partitions[&part].owner, Some(worker), "written by another: {json}");
        assert_eq!(namespace, crate::address::NAMESPACE);
        let (fields, events, by) = (record.fields, record.events, Some(worker));
        let at = crate::store::from_time(record.at);
        let shown = Shown { run_no, run, key, fields, events, at, by };
        let before = self.views.rows.insert((part, workflow_id, view), shown);
        if let Some(before) = before {
            assert!(before.run_no <= run_no, "an older run comes back: {json}");
            let same = before.run == run;
            assert!(!same || before.events <= events, "it is less than it was: {json}");
            self.views.handed_on += usize::from(same && before.by.is_some_and(|by| by != worker));
            self.views.begun_anew += usize::from(!same);
        }
    }

    /// A rebuild writes a row that follows from the first `read` events; false when the one
    /// that is there follows from more.
    pub(in super::super) fn put_row(&mut self, address: &Address, row: ViewRow, read: u32) -> bool {
        let place = (address.part, Arc::clone(&address.workflow_id), row.view.to_owned());
        let before = self.views.rows.get(&place);
        if before.is_some_and(|before| (before.run_no, before.events) > (address.run_no, read)) {
            return false;
        }
        let ViewRow { key, fields, position: events, at, .. } = row;
        let (run_no, run) = (address.run_no, address.run);
        self.views.rows.insert(place, Shown { run_no, run, key, fields, events, at, by: None });
        true
    }

    /// What views say of a run is what its history adds up to, in every commit.
    pub(in super::super) fn is_shown(&self, address: &Address) {
        let (rows, _) = folded(self.history(address.run));
        for expected in rows {
            let shown = self.view(address, expected.view);
            let shown = shown.unwrap_or_else(|| panic!("no row of {}", expected.view));
            assert_eq!(shown.run, address.run, "the newest run has it: {}", expected.view);
            assert_eq!(shown.key, expected.key);
            assert_eq!(shown.fields, expected.fields, "{} is its history", expected.view);
            assert_eq!((shown.events, shown.at), (expected.position, expected.at));
        }
    }

    fn view(&self, address: &Address, view: &str) -> Option<&Shown> {
        let id = Arc::clone(&address.workflow_id);
        self.views.rows.get(&(address.part, id, view.to_owned()))
    }
}
