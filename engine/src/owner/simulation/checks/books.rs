//! One run as its events tell it: books that are kept from events alone, and not by the ledger.

use std::collections::{BTreeMap, BTreeSet};

use hansom_core::{
    ActivityOptions, Because, Call, Cause, ChildOutcome, Command, Continued, Event, Origin, Owed,
    Parent, ParentClose, Payload, Seq, StartChild, StuckReason, Timestamp, WhenUnavailable,
};

use super::super::saga::Heard;
use super::super::services::Key;
use crate::address::Address;

/// What a run has come to.
#[derive(Debug, Default)]
pub(in super::super) struct Books {
    workflow_id: String,
    pub(in super::super) run: String,
    pub(super) birth: Birth,
    commands: u32,
    /// What was asked for, and how it ended.
    pub(super) acts: BTreeMap<Seq, Act>,
    pub(super) undos: Undos,
    pub(super) children: BTreeMap<Seq, (StartChild, Option<ChildOutcome>)>,
    pub(super) cancelled: BTreeSet<Seq>,
    pub(super) mail: Mail,
    pub(super) pivoted: bool,
    pub(super) cause: Option<Cause>,
    timers: BTreeMap<Seq, Timestamp>,
    deadlines: u32,
    pub(super) stuck: Vec<StuckReason>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) seen: BTreeSet<&'static str>,
    pub(in super::super) end: Option<End>,
}

#[derive(Debug, Default)]
pub(super) struct Birth {
    pub(super) input: Option<Payload>,
    pub(super) parent: Option<Parent>,
    pub(super) continued: Option<Continued>,
    pub(super) deadline: Option<Timestamp>,
    /// Events that it was born with.
    pub(super) events: usize,
}

/// An action, its undo, and how it ended.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) undo: Option<Call>,
    pub(super) ended: Option<Ended>,
    /// It does not wait for a service that is known to be in trouble.
    impatient: bool,
    held: bool,
    /// An attempt of it came to nothing, or may have been made.
    tried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Unknown,
    /// Refused, or known not to have happened.
    Not,
}

#[derive(Debug, Default)]
pub(super) struct Undos {
    /// In order of completion.
    owed: Vec<Debt>,
    inherited: u32,
    /// The one under way, and which debt it is.
    under_way: Option<(Seq, (Seq, Option<u32>))>,
    /// Actions of whatever run, by who acted.
    pub(super) paid: Vec<Key>,
    pub(super) tried: Vec<Key>,
    /// What it left to its parent, or to the run after it.
    pub(super) left: Vec<Owed>,
}

#[derive(Debug)]
struct Debt {
    id: (Seq, Option<u32>),
    owed: Owed,
    exhausted: bool,
}

/// Ids of messages, in order.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) signals: Vec<String>,
    pub(super) updates: Vec<String>,
    /// Numbers of signals that the body took.
    pub(super) taken: Vec<u64>,
    pub(super) answered: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum End {
    Completed(Payload),
    Closed,
    Terminated,
    /// With what input the next one begins.
    Continued(Payload),
}

impl Books {
    pub(super) fn new(address: &Address) -> Self {
        let (workflow_id, run) = (address.workflow_id.to_string(), address.run.to_string());
        Self { workflow_id, run, ..Self::default() }
    }

    pub(super) fn see(&mut self, event: &Event, at: Timestamp) {
        assert!(self.end.is_none(), "it goes on after its end: {event:?}");
        match event {
            Event::Started { .. } => self.begin(event),
            Event::Asked(command) => self.ask(command),
            Event::Done { seq, .. } => self.finish(*seq, Ended::Done),
            Event::Unknown { seq, .. } => self.finish(*seq, Ended::Unknown),
            Event::Refused { seq, .. } => self.finish(*seq, Ended::Not),
            Event::NotDone { seq, attempts: 0, .. } => {
                self.never_sent(*seq);
                self.finish(*seq, Ended::Not);
            }
            Event::NotDone { seq, .. } => {
                self.seen.insert("a probe says not done");
                self.finish(*seq, Ended::Not);
            }
            Event::ChildClosed { seq, outcome } => self.child_closed(*seq, outcome),
            Event::Signalled { id, .. } => {
                assert!(!self.mail.signals.contains(id), "it hears {id} twice");
                self.mail.signals.push(id.clone());
            }
            Event::UpdateRequested { id, .. } => {
                assert!(!self.mail.updates.contains(id), "it hears {id} twice");
                self.mail.updates.push(id.clone());
            }
            Event::DeadlinePassed {} => self.deadline_passes(at),
            Event::Terminated { .. } => {
                self.abandon_acts();
                self.end = Some(End::Terminated);
            }
            Event::Retried { .. } => {
                self.seen.insert("retried");
                self.undos.owed.iter_mut().for_each(|debt| debt.exhausted = false);
            }
            Event::Stuck { reason, .. } => self.stuck.push(*reason),
            Event::Verifying { seq, .. } => {
                assert!(self.acts[seq].ended.is_none() && self.cause.is_none());
                self.seen.insert("a probe is asked");
            }
            Event::AttemptFailed { seq, .. }
            | Event::HeldBack { seq, .. }
            | Event::AttemptLost { seq, .. } => {
                self.tried(*seq, event);
                let undo = self.undos.under_way.is_some_and(|(undo, _)| undo == *seq);
                assert!(undo || self.cause.is_none(), "no action is tried again while unwinding");
            }
            Event::Fired { seq } => {
                let due = self.timers.remove(seq);
                assert!(due.is_some_and(|due| due <= at), "a timer rings once, and in time");
            }
            Event::CancelRequested { .. } => {
                assert!(!self.pivoted && self.cause.is_none(), "it is too late for that");
            }
        }
    }

    /// An attempt came to nothing, or was none.
    fn tried(&mut self, seq: Seq, event: &Event) {
        let Some(act) = self.acts.get_mut(&seq) else { return };
        match event {
            Event::HeldBack { sent, .. } => {
                assert!(*sent || !act.tried, "what was tried counts as sent: {event:?}");
                self.seen.insert(match (act.tried, sent) {
                    (true, _) => "held back after an attempt",
                    (false, true) => "held back, and perhaps sent before",
                    (false, false) => "held back",
                });
                act.held = true;
                act.tried |= sent;
            }
            _ => act.tried = true,
        }
    }

    /// Nothing of it left the engine: the books of the services say so as well.
    fn never_sent(&mut self, seq: Seq) {
        let act = &self.acts[&seq];
        assert!(!act.tried, "it was tried before");
        self.seen.insert(match (&self.cause, act.held) {
            (None, _) if act.impatient => "does not wait, and is not sent",
            (None, _) => panic!("what waits is not given up"),
            (Some(_), true) => "held back until its run unwound",
            (Some(_), false) => "never attempted",
        });
    }

    fn begin(&mut self, event: &Event) {
        let Event::Started { input, deadline, parent, continued, .. } = event else { return };
        assert!(self.birth.input.is_none() && self.commands == 0, "it is started once");
        let continued = continued.as_deref().cloned();
        self.inherit(continued.as_ref().map(|c| c.owed.as_slice()).unwrap_or_default());
        let (input, parent) = (Some(input.clone()), parent.as_deref().cloned());
        self.birth = Birth { input, parent, continued, deadline: *deadline, events: 0 };
    }

    fn deadline_passes(&mut self, at: Timestamp) {
        self.deadlines += 1;
        assert_eq!(self.deadlines, 1, "a deadline passes once");
        assert!(self.birth.deadline.is_some_and(|due| due <= at), "and not too early");
        assert!(!self.pivoted && self.cause.is_none(), "nor when it is too late for that");
        self.seen.insert("a deadline passes");
        if self.birth.continued.is_some() {
            self.seen.insert("a deadline of the run before passes");
        }
    }

    fn ask(&mut self, command: &Command) {
        let seq = Seq(self.commands);
        self.commands += 1;
        match command {
            Command::Run { undo, options, .. } => {
                assert!(self.cause.is_none(), "no new action while unwinding");
                assert!(undo.is_some() || self.pivoted, "harmless is what follows the pivot");
                let fails =
                    |options: &ActivityOptions| options.when_unavailable == WhenUnavailable::Fail;
                let impatient = options.as_deref().is_some_and(fails);
                let (undo, ended) = (undo.clone(), None);
                let (held, tried) = (false, false);
                self.acts.insert(seq, Act { undo, ended, impatient, held, tried });
            }
            Command::Undo { of, inherited } => self.undo(seq, (*of, *inherited)),
            Command::StartChild(start) => {
                assert!(self.cause.is_none(), "no new child while unwinding");
                self.children.insert(seq, ((**start).clone(), None));
            }
            Command::CancelChild { child } => {
                self.cancelled.insert(*child);
                self.seen.insert("a child is asked to cancel");
            }
            Command::Publish { state } => {
                self.mail.taken.extend(state.decode::<Heard>().map(|Heard { heard }| heard));
            }
            Command::Label { key, value } => {
                assert_ne!(key, "branch", "every run has the change");
                self.labels.insert(key.clone(), value.clone());
            }
            Command::Answer { update, .. } => {
                assert!(self.mail.updates.contains(update), "an answer to nobody");
                assert!(!self.mail.answered.contains(update), "{update} is answered twice");
                self.mail.answered.push(update.clone());
            }
            Command::Patched { .. } => drop(self.seen.insert("a change is recorded")),
            Command::Pivot {} => self.pivoted = true,
            Command::Unwind { cause } => {
                assert!(!self.pivoted && self.cause.is_none(), "it unwinds once, before its pivot");
                self.timers.clear();
                self.cause = Some(cause.clone());
            }
            Command::Complete { output } => {
                self.abandon_acts();
                self.leave(self.birth.parent.is_some() && !self.pivoted);
                self.end = Some(End::Completed(output.clone()));
            }
            Command::ContinueAsNew { input, carry } => {
                assert!(self.acts.values().all(|act| act.ended.is_some()), "with nothing open");
                assert!(*carry || self.undos.owed.is_empty(), "with debts, or without any");
                self.leave(*carry);
                self.end = Some(End::Continued(input.clone()));
            }
            Command::Close {} => {
                assert!(self.undos.owed.is_empty(), "closed with debts");
                self.end = Some(End::Closed);
            }
            Command::StartTimer { at } => drop(self.timers.insert(seq, *at)),
            // It may have rung while the body was away.
            Command::CancelTimer { timer } => drop(self.timers.remove(timer)),
        }
        if matches!(command, Command::Complete { .. } | Command::ContinueAsNew { .. }) {
            assert!(self.cause.is_none() && self.undos.tried.is_empty(), "completed, and undone");
        }
    }

    fn undo(&mut self, seq: Seq, id: (Seq, Option<u32>)) {
        assert!(self.cause.is_some() && !self.pivoted, "nothing is undone but while unwinding");
        assert_eq!(self.undos.under_way, None, "one undo at a time");
        assert!(self.acts.values().all(|a| a.ended.is_some()), "an action in flight is waited for");
        for (start, outcome) in self.children.values() {
            let alone = start.on_parent_close == ParentClose::Abandon;
            assert!(alone || outcome.is_some(), "a child is waited for");
        }
        let next = self.undos.owed.iter().rev().find(|debt| !debt.exhausted);
        let next = next.expect("an undo of nothing");
        assert_eq!(next.id, id, "the last completed is undone first");
        let (key, kind) = (key(&next.owed), next.id.1.is_some());
        if kind {
            self.seen.insert(match (&self.birth.continued, self.children.is_empty()) {
                (Some(_), true) => "what the run before did is undone",
                _ => "what a child did is undone",
            });
        }
        self.undos.tried.push(key);
        self.undos.under_way = Some((seq, id));
    }

    fn finish(&mut self, seq: Seq, ended: Ended) {
        if let Some((_, id)) = self.undos.under_way.take_if(|(undo, _)| *undo == seq) {
            let at = self.undos.owed.iter().position(|debt| debt.id == id).unwrap();
            match ended {
                Ended::Done => self.undos.paid.push(key(&self.undos.owed.remove(at).owed)),
                Ended::Unknown => self.undos.owed[at].exhausted = true,
                Ended::Not => panic!("an undo cannot be refused"),
            }
            return;
        }
        let act = self.acts.get_mut(&seq).expect("an answer to nothing");
        assert_eq!(act.ended.replace(ended), None, "an action ends once");
        let because = match ended {
            Ended::Done => Because::Done,
            Ended::Unknown => Because::Unknown,
            Ended::Not => return,
        };
        if let Some(undo) = act.undo.clone() {
            self.owe(seq, undo, because);
        }
    }

    fn owe(&mut self, of: Seq, undo: Call, because: Because) {
        let origin = Origin { workflow_id: self.workflow_id.clone(), run: self.run.clone() };
        let owed = Owed { of, origin: Some(origin), undo, because };
        self.undos.owed.push(Debt { id: (of, None), owed, exhausted: false });
    }

    fn inherit(&mut self, all: &[Owed]) {
        for owed in all {
            let id = (owed.of, Some(self.undos.inherited));
            self.undos.inherited += 1;
            self.undos.owed.push(Debt { id, owed: owed.clone(), exhausted: false });
        }
    }

    fn child_closed(&mut self, seq: Seq, outcome: &ChildOutcome) {
        let (_, closed) = self.children.get_mut(&seq).expect("a child of nobody");
        assert_eq!(closed.replace(outcome.clone()), None, "a child closes once");
        if let ChildOutcome::Completed { owed, .. } = outcome {
            self.inherit(owed);
        }
    }

    /// Nobody waits any more for what has not answered.
    fn abandon_acts(&mut self) {
        let open = self.acts.iter().filter(|(_, act)| act.ended.is_none());
        let open = open.filter_map(|(seq, act)| Some((*seq, act.undo.clone()?)));
        for (seq, undo) in open.collect::<Vec<_>>() {
            self.owe(seq, undo, Because::InFlight);
        }
    }

    fn leave(&mut self, carry: bool) {
        let owed = self.undos.owed.drain(..).map(|debt| debt.owed);
        self.undos.left = owed.filter(|_| carry).collect();
    }
}

/// The action that an undo undoes.
pub(super) fn key(owed: &Owed) -> Key {
    let origin = owed.origin.as_ref().expect("it is said who acted");
    (origin.run.clone(), owed.of)
}
