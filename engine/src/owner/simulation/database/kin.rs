//! Runs that are started by a transaction: of whoever is elsewhere, of a parent, of the run
//! before.

use std::sync::Arc;

use hansom_core::{Event, Seq, Timestamp};
use uuid::Uuid;

use super::super::super::{Kin, Message, Sent};
use super::{Database, Labels};
use crate::address::Address;

impl Database {
    /// A start from elsewhere; false when the id is taken.
    pub(in super::super) fn start(&mut self, address: &Arc<Address>, events: &[Event]) -> bool {
        self.begin(address, "saga", &serde_json::to_string(events).unwrap())
    }

    /// What runs say to one another, but for those that never were.
    pub(super) fn tell_kin(&mut self, kin: &Kin, lost: &[Uuid]) {
        for child in kin.children.iter().filter(|child| !lost.contains(&child.parent.run)) {
            let address = Arc::new(child.address.clone());
            if !self.begin(&address, &child.workflow_type, &child.events) {
                let (key, payload) = child.taken.clone();
                self.send(&child.parent, key, None, Some(payload));
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
        for Sent { message, .. } in kin.messages.iter().filter(|s| !lost.contains(&s.sender)) {
            let Message { address, key, name, payload } = message;
            self.send(address, key.clone(), name.clone(), payload.clone());
        }
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
