//! What runs say to one another: a parent to its child, a child to its parent, a run to the
//! one that follows it.
//!
//! All of it is said in the commit that brings it about, so that nothing is said of what
//! did not take place, and nothing that took place goes unsaid: children are started and
//! messages left in inboxes by the very transaction that records why. A run learns of it as
//! of any message. What could interleave, and why it is safe:
//!
//! * *The child's id is taken.* Then the same transaction leaves the parent a message
//!   that says so; orders to a run that never was are consumed by nobody.
//! * *The child's id is in somebody's open transaction.* The child is left in a table instead,
//!   and tried until that has ended, or its parent orders it to end.
//! * *A message comes for a run that has gone on in another.* It is for that one: see `heirs`.
//! * *A child closes after its parent.* Its report is consumed and changes nothing.

use std::sync::Arc;

use hansom_core::{
    Child, ChildOutcome, Continued, Event, Ledger, Machine, Order, Origin, Owed, Parent, Payload,
    Seq, Status, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Message, first_row};
use crate::address::{Address, Part, descendant, part_of};

/// Where a run goes on, among the commands that bring runs about.
const HEIR: u32 = u32::MAX;

/// What the runs of one commit say to others.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    pub(crate) children: Vec<NewChild>,
    pub(crate) messages: Vec<Sent>,
    /// Runs that take over from those that went on in them.
    pub(crate) heirs: Vec<Heir>,
    /// Of all this, about.
    pub(crate) bytes: usize,
}

/// A child to start.
#[derive(Debug)]
pub(crate) struct NewChild {
    pub(crate) parent: Arc<Address>,
    pub(crate) address: Address,
    pub(crate) workflow_type: String,
    /// The JSON of its first history row.
    pub(crate) events: String,
    /// What the parent hears if the id is taken: its key and its payload.
    pub(crate) taken: (String, String),
}

/// A message, and the run that says it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) sender: Uuid,
    pub(crate) message: Message,
}

/// A run that takes over from the one before it, with its labels.
#[derive(Clone, Debug)]
pub(crate) struct Heir {
    pub(crate) before: Uuid,
    pub(crate) address: Arc<Address>,
    pub(crate) workflow_type: &'static str,
    /// Its first history row: its start, and what it has heard already.
    pub(crate) events: Arc<[Event]>,
    /// The JSON of that row.
    pub(crate) row: Arc<str>,
    pub(crate) deadline: Option<Timestamp>,
    /// When the one ended and the other began.
    pub(crate) at: Timestamp,
}

/// What a child says to its parent.
#[derive(Serialize, Deserialize)]
struct Report {
    workflow_id: String,
    outcome: ChildOutcome,
}

impl Kin {
    pub(crate) fn is_empty(&self) -> bool {
        self.children.is_empty() && self.messages.is_empty() && self.heirs.is_empty()
    }

    /// How many rows it adds.
    pub(crate) fn rows(&self) -> usize {
        self.children.len() + self.messages.len() + self.heirs.len()
    }

    /// The partitions in whose inboxes it leaves something. Not those of heirs, which need none.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        let children = self.children.iter().map(|child| child.address.part);
        let messages = self.messages.iter().map(|sent| sent.message.address.part);
        children.chain(messages)
    }

    /// A child is started.
    pub(crate) fn start(
        &mut self,
        parent: &Arc<Address>,
        (seq, child): (Seq, Child),
        code: Option<String>,
        partitions: i32,
    ) {
        let start = child.start.clone();
        let first = Event::Started {
            input: start.input,
            code,
            deadline: None,
            parent: Some(Box::new(Parent {
                workflow_id: parent.workflow_id.to_string(),
                run: parent.run.to_string(),
                run_no: parent.run_no,
                seq,
            })),
            continued: None,
        };
        let report = Report { workflow_id: start.workflow_id, outcome: ChildOutcome::Taken {} };
        let events = json(&[first]);
        self.bytes += events.len();
        self.children.push(NewChild {
            parent: Arc::clone(parent),
            address: address_of(parent, seq, &child, partitions),
            workflow_type: start.workflow_type,
            events,
            taken: (key(seq), json(&report)),
        });
    }

    /// A parent tells a child what to do.
    pub(crate) fn order(
        &mut self,
        parent: &Arc<Address>,
        (seq, child, order): (Seq, Child, Order),
        partitions: i32,
    ) {
        let (key, reason) = match order {
            Order::Cancel => ("cancel", "its parent asks for it"),
            Order::Terminate => ("terminate", "its parent closed"),
        };
        let message = Message {
            address: Arc::new(address_of(parent, seq, &child, partitions)),
            key: key.to_owned(),
            name: None,
            payload: Some(reason.to_owned()),
        };
        self.messages.push(Sent { sender: parent.run, message });
    }

    /// A run has closed: its parent, if it has one, hears how.
    pub(crate) fn report(&mut self, child: &Address, ledger: &Ledger, partitions: i32) {
        let Some(parent) = ledger.parent() else { return };
        let Some(outcome) = ledger.report(|owed| left_by(child, owed)) else { return };
        let Ok(run) = parent.run.parse() else { return };
        let report = Report { workflow_id: child.workflow_id.to_string(), outcome };
        let report = json(&report);
        self.bytes += report.len();
        let message = Message {
            address: Arc::new(Address {
                part: part_of(&child.namespace, &parent.workflow_id, partitions),
                run,
                namespace: Arc::clone(&child.namespace),
                workflow_id: parent.workflow_id.as_str().into(),
                run_no: parent.run_no,
            }),
            key: key(parent.seq),
            name: None,
            payload: Some(report),
        };
        self.messages.push(Sent { sender: child.run, message });
    }

    /// A run that has closed at `at` may go on in another.
    pub(crate) fn go_on(&mut self, address: &Address, machine: &Machine, at: Timestamp) {
        let ledger = machine.ledger();
        let continued = ledger.status() == Status::Continued;
        let (Some(input), Some(kind)) = (ledger.next_input(), machine.kind()) else { return };
        if !continued {
            return;
        }
        let first = Event::Started {
            input: input.clone(),
            code: kind.code.map(|code| code.to_string()),
            deadline: ledger.deadline(),
            parent: ledger.parent().cloned().map(Box::new),
            continued: Some(Box::new(Continued {
                run: address.run.to_string(),
                owed: ledger.bequest(|owed| left_by(address, owed)),
                heard: ledger.heard(),
            })),
        };
        let mut events = vec![first];
        events.extend(machine.left_over());
        let row = first_row(&events);
        self.bytes += row.len();
        self.heirs.push(Heir {
            before: address.run,
            address: Arc::new(heir_of(address, at)),
            workflow_type: kind.name,
            events: events.into(),
            row: row.into(),
            deadline: ledger.deadline(),
            at,
        });
    }
}

/// The run that follows one which ended at `at`.
pub(super) fn heir_of(address: &Address, at: Timestamp) -> Address {
    Address {
        run: descendant(address.run, HEIR, at),
        run_no: address.run_no + 1,
        ..address.clone()
    }
}

/// The event that a report is to its parent.
pub(super) fn reported(key: &str, payload: Option<&str>, ledger: &Ledger) -> Option<Event> {
    let seq = Seq(key.strip_prefix("child:")?.parse().ok()?);
    let report: Report = serde_json::from_str(payload?).ok()?;
    let child = ledger.children().get(&seq)?;
    (child.start.workflow_id == report.workflow_id)
        .then_some(Event::ChildClosed { seq, outcome: report.outcome })
}

fn key(seq: Seq) -> String {
    format!("child:{}", seq.0)
}

fn address_of(parent: &Address, seq: Seq, child: &Child, partitions: i32) -> Address {
    let workflow_id = child.start.workflow_id.as_str();
    Address {
        part: part_of(&parent.namespace, workflow_id, partitions),
        run: descendant(parent.run, seq.0, child.since),
        namespace: Arc::clone(&parent.namespace),
        workflow_id: workflow_id.into(),
        run_no: 1,
    }
}

/// An undo of this run's own is another's from here on: the keys stay this run's.
fn left_by(address: &Address, owed: Owed) -> Owed {
    let origin = owed.origin.unwrap_or_else(|| Origin {
        workflow_id: address.workflow_id.to_string(),
        run: address.run.to_string(),
    });
    Owed { origin: Some(origin), ..owed }
}

/// Histories and reports as text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events are plain data")
}

/// Payloads of messages are JSON, or they are not heard.
pub(super) fn payload(text: Option<&str>) -> Option<Payload> {
    text.and_then(|text| Payload::parse(text.to_owned()).ok())
}
