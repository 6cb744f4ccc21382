//! Runs that are started by a transaction: of whoever is elsewhere, of a parent, of the run
//! before.

use std::rc::Rc;
use std::sync::Arc;

use hansom_core::{Event, Seq, Timestamp};
use uuid::Uuid;

use super::super::super::{Kin, Message, NewChild, Sent};
use super::{Database, Labels};
use crate::address::Address;

/// A child whose id was in somebody's open transaction: whose of one commit, and which.
pub(super) type Late = (Rc<Kin>, usize);

impl Database {
    /// A start from elsewhere; false when the id is taken.
    pub(in super::super) fn start(&mut self, address: &Arc<Address>, events: &[Event]) -> bool {
        self.begin(address, "saga", &serde_json::to_string(events).unwrap())
    }

    /// What runs say to one another, but for those that never were.
    pub(super) fn tell_kin(&mut self, kin: &Rc<Kin>, lost: &[Uuid]) {
        for (n, child) in kin.children.iter().enumerate() {
            if lost.contains(&child.parent.run) {
                continue;
            }
            if self.crowded {
                self.late.push((Rc::clone(kin), n));
            } else {
                self.start_child(child);
            }
        }
        for heir in kin.heirs.iter().filter(|heir| !lost.contains(&heir.before)) {
            let before = self.execution(&heir.address, heir.address.run_no - 1).unwrap();
            assert_eq!(before.address.run, heir.before, "it follows the run before");
            let (labels, began) = (before.labels.clone(), (heir.at, heir.events.to_vec()));
            assert_eq!(before.cached.closed_at, Some(heir.at), "one begins when the other ends");
            let inserted = self.insert(&heir.address, heir.workflow_type, labels);
            assert!(inserted, "nobody else is the next run");
            self.set_deadline(&heir.address, heir.deadline);
            self.history.insert(heir.address.run, vec![began]);
        }
        let orders = kin.messages.iter().filter(|sent| !lost.contains(&sent.sender));
        let orders = orders.filter(|sent| ["cancel", "terminate"].contains(&&*sent.message.key));
        for order in orders.map(|sent| sent.message.address.run) {
            // One that is told to end before it began never does.
            let ends = |(kin, n): &mut Late| kin.children[*n].address.run == order;
            for (kin, n) in self.late.extract_if(.., ends).collect::<Vec<_>>() {
                self.tell_taken(&kin.children[n]);
            }
        }
        for Sent { message, .. } in kin.messages.iter().filter(|s| !lost.contains(&s.sender)) {
            let Message { address, key, name, payload } = message;
            self.send(address, key.clone(), name.clone(), payload.clone());
        }
    }

    fn start_child(&mut self, child: &NewChild) {
        let address = Arc::new(child.address.clone());
        if !self.begin(&address, &child.workflow_type, &child.events) {
            self.tell_taken(child);
        }
    }

    fn tell_taken(&mut self, child: &NewChild) {
        let (key, payload) = child.taken.clone();
        self.send(&child.parent, key, None, Some(payload));
    }

    /// Whoever was in the way is gone; answers how many children begin now, or never.
    pub(in super::super) fn start_late(&mut self) -> usize {
        let late = std::mem::take(&mut self.late);
        for (kin, n) in &late {
            self.start_child(&kin.children[*n]);
        }
        late.len()
    }

    fn begin(&mut self, address: &Arc<Address>, workflow_type: &str, events: &str) -> bool {
        let events: Vec<Event> = serde_json::from_str(events).unwrap();
        let deadline = events.iter().find_map(|event| match event {
            Event::Started { deadline, .. } => *deadline,
            _ => None,
        });
        if !self.insert(address, workflow_type, Labels::new()) {
            return false;
        }
        self.set_deadline(address, deadline);
        self.history.insert(address.run, vec![(self.now, events)]);
        self.send(address, "start".to_owned(), None, None);
        true
    }

    fn set_deadline(&mut self, address: &Arc<Address>, deadline: Option<Timestamp>) {
        if let Some(due) = deadline {
            let alarm = (address.part, due, address.run, Seq::DEADLINE);
            self.alarms.insert(alarm, Arc::clone(address));
        }
    }
}
