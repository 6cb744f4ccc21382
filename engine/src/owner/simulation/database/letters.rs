//! The inbox: what is left there is heard, once and in order, by whom it is for.

use std::sync::Arc;

use hansom_core::{Event, Ledger, Seq, Status};
use uuid::Uuid;

use super::super::super::{Message, remote};
use super::{Database, Row};
use crate::address::{Address, Part};

/// It waits for its owner, in order of arrival.
pub(super) struct Waiting {
    arrival: u64,
    address: Arc<Address>,
    name: Option<String>,
    payload: Option<String>,
}

impl Database {
    pub(in super::super) fn send(
        &mut self,
        address: &Arc<Address>,
        message: String,
        name: Option<String>,
        payload: Option<String>,
    ) {
        self.arrivals += 1;
        let (arrival, address) = (self.arrivals, Arc::clone(address));
        let id = (address.part, address.run, message);
        self.inbox.entry(id).or_insert(Waiting { arrival, address, name, payload });
    }

    /// In order of arrival, each with the run that it is for by now, where its own went on.
    pub(in super::super) fn read_inbox(
        &self,
        parts: &[Part],
        limit: usize,
    ) -> Vec<(Message, Option<Arc<Address>>)> {
        let mine = self.inbox.iter().filter(|((part, ..), _)| parts.contains(part));
        let mut waiting: Vec<_> = mine.map(|((.., key), waiting)| (key, waiting)).collect();
        waiting.sort_by_key(|(_, waiting)| waiting.arrival);
        let message = |(key, waiting): (&String, &Waiting)| {
            let address = Arc::clone(&waiting.address);
            let heir = self.row(address.run).map(|row| Arc::clone(&self.last_of(row).address));
            let (name, payload) = (waiting.name.clone(), waiting.payload.clone());
            let heir = heir.filter(|heir| heir.run != address.run);
            (Message { address, key: key.clone(), name, payload }, heir)
        };
        waiting.into_iter().take(limit).map(message).collect()
    }

    /// The run that a run has gone on in by now: the last of those that follow one another.
    fn last_of<'a>(&'a self, mut row: &'a Row) -> &'a Row {
        while row.cached.status == Status::Continued {
            row = self.execution(&row.address, row.address.run_no + 1).unwrap();
        }
        row
    }

    /// The run and those that it follows.
    fn with_those_before(&self, run: Uuid) -> Vec<Uuid> {
        let mut row = &self.workflows[&self.by_run[&run]];
        let mut runs = vec![run];
        while let Some(before) = self.execution(&row.address, row.address.run_no - 1)
            && before.cached.status == Status::Continued
        {
            runs.push(before.address.run);
            row = before;
        }
        runs
    }

    pub(in super::super) fn inbox_is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// What is heard was left here, and before whatever is heard later: of all runs that follow one
    /// another.
    pub(super) fn in_order(&mut self, (part, run): (Part, Uuid), events: &[Event]) {
        let runs = self.with_those_before(run);
        for event in events {
            let key = match event {
                Event::Signalled { id, .. } => format!("signal:{id}"),
                Event::UpdateRequested { id, .. } => format!("update:{id}"),
                _ => continue,
            };
            // Each may have been sent to any of them. What came with a start was never here.
            let left = runs.iter().filter_map(|run| self.inbox.get(&(part, *run, key.clone())));
            let Some(arrival) = left.map(|waiting| waiting.arrival).min() else { continue };
            let first = runs[runs.len() - 1];
            let last = self.heard.insert(first, arrival).unwrap_or_default();
            assert!(last < arrival, "{run} hears in order of arrival: {event:?}");
        }
    }

    /// A message that is not here any more has been heard, by this run or the one that it is for by
    /// now, or was too late.
    pub(super) fn has_been_heard(&self, (_, run, key): &(Part, Uuid, String)) {
        let Some(row) = self.row(*run) else { return };
        let last = self.last_of(row).address.run;
        let heard = is_known(&self.ledger(*run), key) || is_known(&self.ledger(last), key);
        assert!(
            heard,
            "{run}: {key} is lost\n{:#?}\n{:#?}",
            self.history(*run),
            self.history(last)
        );
    }
}

/// Whether a run has no use for a message any more.
fn is_known(ledger: &Ledger, key: &str) -> bool {
    let status = ledger.status();
    let (kind, id) = key.split_once(':').unwrap_or((key, ""));
    if status.is_closed() {
        return match kind {
            "signal" => status != Status::Continued || ledger.has_seen(id),
            "update" => status != Status::Continued || ledger.has_seen_update(id),
            "cancel" | "terminate" | "retry" => status != Status::Continued,
            _ => true,
        };
    }
    match kind {
        "signal" => ledger.has_seen(id),
        "update" => ledger.has_seen_update(id),
        "cancel" => ledger.pivoted() || ledger.cause().is_some(),
        "terminate" => false,
        "child" => !ledger.children().contains_key(&Seq(id.parse().unwrap())),
        "outcome" => {
            let (seq, attempt) = remote::outcome_of(key).unwrap();
            let running = ledger.running().get(&seq);
            running.is_none_or(|r| r.attempt != attempt || !r.is_under_way())
        }
        _ => true,
    }
}
