//! All runs of one story: the saga, its children, and the runs that follow them;
//! and what they say to one another.

use std::cell::RefCell;

use super::Play;
use super::engine::{Clock, Engine, Flight};
use super::plan::Plan;
use crate::{Child, ChildOutcome, Continued, Event, Order, Owed, Parent, Payload, Seq, Status};

/// The workflow id of the saga that is walked.
const LEAD: &str = "walk";

/// Something that one run says to another, and that is on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    to: usize,
    event: Event,
}

/// All runs.
pub(super) struct Troupe {
    pub(super) runs: Vec<Engine>,
    /// In the order in which they were written.
    pub(super) letters: Vec<Letter>,
    /// Which run was started by which command of which run.
    children: Vec<(usize, Seq, usize)>,
    /// Which run goes on in which.
    heirs: Vec<(usize, usize)>,
    pub(super) clock: Clock,
    /// What cannot be walked.
    pub(super) unknown: Option<String>,
    /// Children whose id another workflow had.
    pub(super) taken: Vec<String>,
    /// Attempts of runs that closed without waiting for them.
    pub(super) abandoned: Vec<Flight>,
}

impl Troupe {
    pub(super) fn start<World>(play: &Play<World>, plan: &RefCell<Plan>) -> Self {
        let clock = Clock::default();
        let mut lead = Engine::new(0, LEAD, play.saga.kind, &clock);
        let deadline = play.saga.deadline.map(|after| clock.now().after(after));
        let input = play.saga.input.clone();
        lead.tell(Event::Started { input, code: None, deadline, parent: None, continued: None });
        let mut troupe = Self {
            runs: vec![lead],
            letters: Vec::new(),
            children: Vec::new(),
            heirs: Vec::new(),
            clock,
            unknown: None,
            taken: Vec::new(),
            abandoned: Vec::new(),
        };
        troupe.settle(play, plan);
        troupe
    }

    /// The run of the saga that is walked; of several that follow one another the last.
    pub(super) fn lead(&self) -> &Engine {
        &self.runs[self.last_of(0)]
    }

    pub(super) fn lead_mut(&mut self) -> &mut Engine {
        let lead = self.last_of(0);
        &mut self.runs[lead]
    }

    fn last_of(&self, run: usize) -> usize {
        let heir = self.heirs.iter().find(|(before, _)| *before == run);
        heir.map_or(run, |(_, heir)| self.last_of(*heir))
    }

    pub(super) fn all_closed(&self) -> bool {
        self.runs.iter().all(|run| run.ledger().status().is_closed())
    }

    /// What is out for an answer, in the order in which it was handed out.
    pub(super) fn flights(&self) -> Vec<&Flight> {
        let mut flights: Vec<_> = self.runs.iter().flat_map(|run| &run.flights).collect();
        flights.sort_by_key(|flight| flight.number);
        flights
    }

    /// Takes out the attempt of that number.
    pub(super) fn land(&mut self, number: u64) -> Flight {
        let mut runs = self.runs.iter_mut();
        let landed = runs.find_map(|run| {
            let at = run.flights.iter().position(|flight| flight.number == number)?;
            Some(run.flights.remove(at))
        });
        landed.expect("what happens next was found under way")
    }

    /// The first run that listens to a signal or an update; the saga itself before others.
    pub(super) fn listener(&self, name: &str) -> Option<usize> {
        let lead = self.last_of(0);
        let mut runs = std::iter::once(lead).chain(0..self.runs.len());
        runs.find(|run| {
            let run = &self.runs[*run];
            let signals = run.kind.signals.iter().any(|kind| kind.name == name);
            let listens = signals || run.kind.updates.iter().any(|kind| kind.name == name);
            listens && run.ledger().status() == Status::Running
        })
    }

    /// Starts the children that were asked for, and sends what is to be said.
    /// What begins by that may ask for more, or be over at once.
    pub(super) fn settle<World>(&mut self, play: &Play<World>, plan: &RefCell<Plan>) {
        let mut number = 0;
        while number < self.runs.len() {
            let outbox = std::mem::take(&mut self.runs[number].outbox);
            for (seq, child) in outbox.children {
                self.start_child(play, plan, number, seq, &child);
            }
            for (seq, order) in outbox.orders {
                let event = match order {
                    Order::Cancel => Event::CancelRequested { reason: None },
                    Order::Terminate => {
                        Event::Terminated { reason: "its parent closed".to_owned() }
                    }
                };
                let child = self.children.iter().rfind(|(p, s, _)| (*p, *s) == (number, seq));
                self.letters.extend(child.map(|(.., to)| Letter { to: *to, event }));
            }
            let run = &mut self.runs[number];
            if run.ledger().status().is_closed() && !run.reported {
                run.reported = true;
                self.abandoned.append(&mut run.flights);
                self.closed(number);
            }
            number += 1;
        }
    }

    fn start_child<World>(
        &mut self,
        play: &Play<World>,
        plan: &RefCell<Plan>,
        parent: usize,
        seq: Seq,
        child: &Child,
    ) {
        let start = &child.start;
        let Some(kind) = play.children.iter().find(|kind| kind.name == start.workflow_type) else {
            let name = &start.workflow_type;
            self.unknown = Some(format!("`{name}` is started as a child: `with_child` walks it"));
            return;
        };
        if plan.borrow_mut().choose(2) == 1 {
            self.taken.push(start.workflow_id.clone());
            let event = Event::ChildClosed { seq, outcome: ChildOutcome::Taken {} };
            return self.letters.push(Letter { to: parent, event });
        }
        let mut run = Engine::new(self.runs.len(), &start.workflow_id, *kind, &self.clock);
        let Engine { who, .. } = &self.runs[parent];
        let (workflow_id, name) = (who.workflow_id.clone(), who.run.clone());
        run.tell(Event::Started {
            input: start.input.clone(),
            code: None,
            deadline: None,
            parent: Some(Box::new(Parent { workflow_id, run: name, run_no: 1, seq })),
            continued: None,
        });
        self.children.push((parent, seq, self.runs.len()));
        self.runs.push(run);
    }

    /// A run has closed: whoever waits for it hears of it, or it goes on in another.
    fn closed(&mut self, number: usize) {
        let run = &self.runs[number];
        if let Some(input) = run.ledger().next_input() {
            let (input, who) = (input.clone(), run.who.clone());
            return self.go_on(number, input, &who.workflow_id);
        }
        let leave = |owed: Owed| left_by(run, owed);
        let Some(outcome) = run.ledger().report(leave) else { return };
        let first = self.first_of(number);
        let parent = self.children.iter().find(|(.., child)| *child == first);
        let event = |seq: Seq| Event::ChildClosed { seq, outcome };
        let letter = parent.map(|(parent, seq, _)| Letter { to: *parent, event: event(*seq) });
        self.letters.extend(letter);
    }

    fn first_of(&self, run: usize) -> usize {
        let before = self.heirs.iter().find(|(_, heir)| *heir == run);
        before.map_or(run, |(before, _)| self.first_of(*before))
    }

    fn go_on(&mut self, number: usize, input: Payload, workflow_id: &str) {
        let before = &self.runs[number];
        let ledger = before.ledger();
        let first = Event::Started {
            input,
            code: None,
            deadline: ledger.deadline(),
            parent: ledger.parent().cloned().map(Box::new),
            continued: Some(Box::new(Continued {
                run: before.who.run.clone(),
                owed: ledger.bequest(|owed| left_by(before, owed)),
                heard: ledger.heard(),
            })),
        };
        let mut events = vec![first];
        events.extend(before.machine.left_over());
        let mut run = Engine::new(self.runs.len(), workflow_id, before.kind, &self.clock);
        run.tell_all(events);
        self.heirs.push((number, self.runs.len()));
        self.runs.push(run);
    }

    /// A letter arrives, unless it comes too late.
    pub(super) fn deliver(&mut self, letter: usize) {
        let Letter { to, event } = self.letters.remove(letter);
        let to = self.last_of(to);
        let run = &mut self.runs[to];
        let ledger = run.ledger();
        let status = ledger.status();
        let hears = match &event {
            Event::CancelRequested { .. } => may_be_cancelled(run),
            Event::ChildClosed { seq, .. } => ledger.children().contains_key(seq),
            _ => true,
        };
        if hears && !status.is_closed() {
            run.tell(event);
        }
    }

    /// What a letter says, and to whom.
    pub(super) fn describe(&self, letter: usize) -> String {
        let Letter { to, event } = &self.letters[letter];
        let to = &self.runs[*to].who.workflow_id;
        let what = match event {
            Event::CancelRequested { .. } => "its parent's cancellation",
            Event::ChildClosed { .. } => "how its child ended",
            _ => "that it is terminated",
        };
        format!("`{to}` hears {what}")
    }
}

/// Whether a cancellation would be heard.
pub(super) fn may_be_cancelled(run: &Engine) -> bool {
    let ledger = run.ledger();
    let open = matches!(ledger.status(), Status::Running | Status::Stuck);
    open && !ledger.pivoted() && ledger.cause().is_none()
}

/// An undo of this run's own is another's from here on: the keys stay this run's.
fn left_by(run: &Engine, owed: Owed) -> Owed {
    let origin = owed.origin.clone().unwrap_or_else(|| (*run.who).clone());
    Owed { origin: Some(origin), ..owed }
}
