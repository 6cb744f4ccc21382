//! Where a case is played, step by step.

use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Event, Payload, Timestamp};
use uuid::Uuid;

use super::super::database::Database;
use super::super::saga::Step;
use super::super::tally::Tally;
use super::super::worker::{Luck, Worker};
use super::super::{PARTITIONS, contracts};
use crate::Registry;
use crate::address::{Address, NAMESPACE, part_of};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const RUN: Uuid = Uuid::from_u128(7);

/// A database, and one run in it.
pub(super) struct Stage {
    pub(super) registry: Arc<Registry>,
    pub(super) database: Database,
    pub(super) address: Arc<Address>,
    names: u64,
}

impl Stage {
    pub(super) fn new(steps: &[Step]) -> Self {
        let input = Payload::of(&steps).unwrap();
        Self::begun(&[Event::started(input)])
    }

    pub(super) fn begun(events: &[Event]) -> Self {
        let (namespace, workflow_id) = (NAMESPACE.into(), "w".into());
        let part = part_of(NAMESPACE, "w", PARTITIONS);
        let address = Arc::new(Address { part, run: RUN, namespace, workflow_id, run_no: 1 });
        let mut database = Database::new(PARTITIONS);
        assert!(database.start(&address, events));
        Self { registry: Arc::new(contracts::registry()), database, address, names: 0 }
    }

    /// A worker that owns whatever is free and has looked at everything.
    pub(super) fn owner(&mut self) -> Worker {
        self.names += 1;
        let mut worker = Worker::join(self.names, &self.registry, &mut self.database);
        let gained = self.database.claim(worker.name, 9);
        assert!(gained.iter().any(|(part, _)| *part == self.address.part));
        worker.gain(&gained);
        self.look(&mut worker);
        worker
    }

    pub(super) fn look(&mut self, worker: &mut Worker) {
        for _ in 0..3 {
            worker.send_for_runs(&self.database, &mut Tally::default());
            worker.poll(&self.database);
            worker.scan(&self.database, self.now());
            while worker.errands() > 0 {
                worker.arrive(0, self.now());
            }
        }
        self.commit(worker);
    }

    pub(super) fn commit(&mut self, worker: &mut Worker) {
        worker.seal();
        worker.commit(Luck::Good, self.database.now(), &mut self.database, &mut Tally::default());
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.database.pass(duration);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.database.now()
    }

    pub(super) fn happened(&self, what: impl Fn(&Event) -> bool) -> usize {
        let rows = self.database.history(RUN).iter();
        rows.flat_map(|(_, events)| events).filter(|event| what(event)).count()
    }
}
