//! One run of a workflow: its body, its ledger, and the line between them.
//!
//! The same machine is used live and in replay. Live, [`Machine::deliver`] is
//! followed by [`Machine::take`], and both are committed together. In replay,
//! what history says was asked is compared with what the body asks now.
//!
//! Once history says `unwind`, the body is not consulted any more: what is left
//! to do follows from the ledger.

mod kind;
mod replay;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use kind::Body;
pub use kind::WorkflowType;

use crate::context::{Answer, Mail, State};
use crate::{
    Cause, Command, Ctx, Event, Ledger, Payload, Seq, Status, StillOpen, StuckReason, Timestamp,
};

/// A history that grows past this leaves its run stuck; it can still be cancelled.
const EVENTS_MAX: u32 = 50_000;
/// So many steps, timers or children of one run wait at a time.
const PENDING_MAX: usize = 2_000;
/// So many bytes that nobody has read go along when a run goes on in another: it is one row.
const LEFT_MAX: usize = 64 * 1024 * 1024;

/// One run of a workflow.
pub struct Machine {
    kind: Option<WorkflowType>,
    ctx: Ctx,
    body: Option<Body>,
    ledger: Ledger,
    /// Why it cannot go on; recorded by the next [`Machine::take`].
    fault: Option<(StuckReason, String)>,
    /// Its body is left alone: it does not return.
    shunned: bool,
}

/// What is being taken of a run.
struct Taken<'a> {
    at: Timestamp,
    events: Vec<Event>,
    watch: &'a mut dyn FnMut(&Ledger, &Event),
}

impl Machine {
    /// A run to which nothing has happened yet. Without its type (a body that
    /// this binary does not have) it can only be looked at and unwound. `seed` is what its
    /// random numbers follow from: the run's UUID.
    pub fn new(kind: Option<WorkflowType>, seed: u128) -> Self {
        let ctx = Ctx::default();
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        ctx.0.borrow_mut().random = half(seed >> 64).rotate_left(32) ^ half(seed);
        ctx.0.borrow_mut().workflow_type = kind.map_or("", |kind| kind.name);
        Self { kind, ctx, body: None, ledger: Ledger::default(), fault: None, shunned: false }
    }

    /// Tells the run what happened, and lets the body go on as far as it can.
    pub fn deliver(&mut self, event: Event, at: Timestamp) {
        self.ledger.apply(&event, at);
        self.hear(event, at);
        self.advance();
    }

    fn hear(&mut self, event: Event, at: Timestamp) {
        self.ctx.0.borrow_mut().now = at;
        match event {
            Event::Done { seq, output } => self.answer(seq, Answer::Done(output)),
            Event::Refused { seq, error } => self.answer(seq, Answer::Refused(error)),
            Event::Unknown { seq, attempts, reason } => {
                self.answer(seq, Answer::Unknown { attempts, reason });
            }
            Event::NotDone { seq, attempts, reason } => {
                self.answer(seq, Answer::NotDone { attempts, reason });
            }
            Event::Fired { seq } => self.answer(seq, Answer::Fired),
            Event::ChildClosed { seq, outcome } => self.answer(seq, Answer::Child(outcome)),
            Event::Signalled { name, id, payload } => {
                let mut state = self.ctx.0.borrow_mut();
                state.signals.entry(name).or_default().push_back((id, payload));
            }
            Event::UpdateRequested { name, id, payload } => {
                let mut state = self.ctx.0.borrow_mut();
                state.updates.entry(name).or_default().push_back((id, payload));
            }
            Event::Started { input, .. } => self.start(&input),
            Event::CancelRequested { .. } => self.cancel(Cause::Cancelled),
            Event::DeadlinePassed {} => self.cancel(Cause::DeadlinePassed),
            Event::Terminated { .. } => {
                self.drop_body();
                self.fault = None;
            }
            // History, not news, to a body.
            Event::Asked(_)
            | Event::AttemptFailed { .. }
            | Event::HeldBack { .. }
            | Event::AttemptLost { .. }
            | Event::Verifying { .. }
            | Event::Retried { .. }
            | Event::Stuck { .. } => {}
        }
    }

    fn answer(&mut self, seq: Seq, answer: Answer) {
        self.ctx.0.borrow_mut().outcomes.insert(seq, answer);
    }

    fn start(&mut self, input: &Payload) {
        if self.shunned {
            return;
        }
        let Some(kind) = self.kind else {
            let detail = "this binary has no workflow of that type".to_owned();
            return self.fail(StuckReason::UnknownType, detail);
        };
        // Decoding is the author's code as well.
        let started = catch_unwind(AssertUnwindSafe(|| (kind.start)(self.ctx.share(), input)));
        match started {
            Ok(Ok(body)) => self.body = Some(body),
            Ok(Err(error)) => self.fail(StuckReason::Payload, format!("input: {error}")),
            Err(panic) => self.fail(StuckReason::Panic, panic_text(&*panic)),
        }
    }

    /// Dropping the body is the cancellation.
    fn cancel(&mut self, cause: Cause) {
        let open = matches!(self.ledger.status(), Status::Running | Status::Stuck);
        if open && !self.ledger.pivoted() && self.ledger.cause().is_none() {
            self.drop_body();
            self.fault = None;
            self.ctx.issue(Command::Unwind { cause });
        }
    }

    fn advance(&mut self) {
        let waiting = std::mem::take(&mut self.ctx.0.borrow_mut().waiting);
        waiting.into_iter().for_each(Waker::wake);
        let Some(body) = &mut self.body else { return };
        let mut open = StillOpen {
            owed: self.ledger.debts(),
            unanswered: self.ledger.running().len() + self.ledger.children().len(),
        };
        // Asked for, told more, and asked again: nobody has taken what was asked first.
        self.ctx.0.borrow().issued.iter().for_each(|command| open.count(command));
        self.ctx.0.borrow_mut().open = open;
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(&mut cx)));
        let fault = self.ctx.0.borrow_mut().fault.take();
        if let Some((reason, detail)) = fault {
            return self.fail(reason, detail);
        }
        match polled {
            // Whatever else that poll came to: what the body did first stands.
            Ok(_) if self.ctx.0.borrow().continued => self.end_body(),
            Ok(_) if self.ctx.0.borrow().cancelled => {
                self.finish(Command::Unwind { cause: Cause::Cancelled });
            }
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(Ok(output))) => self.finish(Command::Complete { output }),
            Ok(Poll::Ready(Err(error))) => self.give_up(error),
            Err(panic) => self.fail(StuckReason::Panic, panic_text(&*panic)),
        }
    }

    fn give_up(&mut self, error: Payload) {
        let pivoting = self.ctx.0.borrow().issued.contains(&Command::Pivot {});
        if self.ledger.pivoted() || pivoting {
            let detail = format!("past its point of no return the body failed: {error:?}");
            return self.fail(StuckReason::FailedAfterPivot, detail);
        }
        self.finish(Command::Unwind { cause: Cause::Failed { error } });
    }

    fn finish(&mut self, command: Command) {
        self.end_body();
        self.ctx.0.borrow_mut().cancelled = false;
        self.ctx.issue(command);
    }

    /// The body is over; what it asked for stands.
    fn end_body(&mut self) {
        self.ctx.0.borrow_mut().muted = true;
        self.body = None;
        self.ctx.0.borrow_mut().muted = false;
    }

    fn fail(&mut self, reason: StuckReason, detail: String) {
        self.drop_body();
        self.fault = Some((reason, detail));
    }

    /// Drops the body with all it asked for and history does not know.
    fn drop_body(&mut self) {
        self.ctx.0.borrow_mut().muted = true;
        // A drop of the author's own may panic as well; the run goes on without it.
        drop(catch_unwind(AssertUnwindSafe(|| self.body = None)));
        self.body = None;
        let mut state = self.ctx.0.borrow_mut();
        state.muted = false;
        // It may have been about to go on in another run, or to be cancelled.
        (state.continued, state.cancelled) = (false, false);
        state.issued.clear();
        state.next = self.ledger.commands();
    }

    /// What follows from all that was delivered, to be committed with it.
    pub fn take(&mut self, at: Timestamp) -> Vec<Event> {
        self.take_with(at, |_, _| {})
    }

    /// As [`Machine::take`]; `watch` sees every event, and the ledger before it.
    pub fn take_with(
        &mut self,
        at: Timestamp,
        mut watch: impl FnMut(&Ledger, &Event),
    ) -> Vec<Event> {
        let mut taken = Taken { at, events: Vec::new(), watch: &mut watch };
        if self.ledger.status() != Status::Stuck || self.unwinds_next() {
            self.take_all(&mut taken);
        }
        taken.events
    }

    fn take_all(&mut self, taken: &mut Taken<'_>) {
        let running = self.ledger.status() == Status::Running;
        if running && self.ledger.events() > EVENTS_MAX && !self.is_ending() {
            let detail = format!("{} events; the limit is {EVENTS_MAX}", self.ledger.events());
            self.fail(StuckReason::HistoryLimit, detail);
        }
        let mut asked = Vec::new();
        while let Some(command) = self.next_command() {
            if let Some(detail) = self.too_much(&command) {
                self.fail(StuckReason::Limit, detail);
                break;
            }
            if matches!(command, Command::Run { .. }) {
                asked.push(Seq(self.ledger.commands()));
            }
            self.record(Event::Asked(command), taken);
        }
        if self.ledger.status() == Status::Compensating {
            // Before anybody could attempt them the body gave up: there is nothing to undo.
            for seq in asked {
                let reason = "the workflow unwound before it was attempted".to_owned();
                self.record(Event::NotDone { seq, attempts: 0, reason }, taken);
            }
        }
        if let Some((reason, detail)) = self.fault.take()
            && self.ledger.status() != Status::Stuck
        {
            self.record(Event::Stuck { reason, detail, seq: None }, taken);
        }
        while let Some(event) = self.ledger.unwind() {
            self.record(event, taken);
        }
    }

    fn unwinds_next(&self) -> bool {
        matches!(self.ctx.0.borrow().issued.front(), Some(Command::Unwind { .. }))
    }

    /// Whether the last that it asks for takes it off this history, or back: no limit is in
    /// the way of that.
    fn is_ending(&self) -> bool {
        use Command::{Complete, ContinueAsNew, Unwind};
        let last =
            |command| matches!(command, &Unwind { .. } | &Complete { .. } | &ContinueAsNew { .. });
        self.ctx.0.borrow().issued.back().is_some_and(last)
    }

    /// The limit that this command would pass.
    fn too_much(&self, command: &Command) -> Option<String> {
        let (what, waiting) = match command {
            Command::Run { .. } => ("steps", self.ledger.running().len()),
            Command::StartChild(_) => ("children", self.ledger.children().len()),
            Command::StartTimer { .. } => ("timers", self.ledger.alarms().len()),
            Command::ContinueAsNew { .. } => return self.left_too_much(),
            _ => return None,
        };
        (waiting >= PENDING_MAX)
            .then(|| format!("{waiting} {what} wait already; the limit is {PENDING_MAX}"))
    }

    fn left_too_much(&self) -> Option<String> {
        let state: &State = &self.ctx.0.borrow();
        let unread = state.signals.values().chain(state.updates.values()).flatten();
        let bytes: usize = unread.map(|(_, payload)| payload.get().len()).sum();
        let rule = format!("the limit for a run that goes on in another is {LEFT_MAX}");
        (bytes > LEFT_MAX).then(|| format!("{bytes} bytes of messages are unread; {rule}"))
    }

    fn next_command(&mut self) -> Option<Command> {
        self.ctx.0.borrow_mut().issued.pop_front()
    }

    fn record(&mut self, event: Event, taken: &mut Taken<'_>) {
        (taken.watch)(&self.ledger, &event);
        self.ledger.apply(&event, taken.at);
        taken.events.push(event);
    }

    /// Its type, when this binary has it.
    pub fn kind(&self) -> Option<&WorkflowType> {
        self.kind.as_ref()
    }

    /// What its history adds up to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same, to take its news or to ring an alarm.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Why it can go no further than its ledger, before that is recorded.
    pub fn fault(&self) -> Option<&(StuckReason, String)> {
        self.fault.as_ref()
    }

    /// Whether its body is gone although there is more for it to do: then only a replay
    /// takes it further.
    pub fn needs_replay(&self) -> bool {
        self.ledger.status() == Status::Running && self.body.is_none()
    }

    /// What nobody took before this run went on in another: the events that follow the start
    /// of the next.
    pub fn left_over(&self) -> Vec<Event> {
        let state: &State = &self.ctx.0.borrow();
        let told = |mail: &Mail, event: fn(String, String, Payload) -> Event| {
            let mail = mail.iter().flat_map(|(name, mail)| mail.iter().map(move |m| (name, m)));
            mail.map(|(name, (id, payload))| event(name.clone(), id.clone(), payload.clone()))
                .collect::<Vec<_>>()
        };
        let mut events =
            told(&state.signals, |name, id, payload| Event::Signalled { name, id, payload });
        events.extend(told(&state.updates, |name, id, payload| Event::UpdateRequested {
            name,
            id,
            payload,
        }));
        events
    }

    /// Whether an attempt of the activity at `seq` is awaited, and is number `attempt`.
    pub fn awaits(&self, seq: Seq, attempt: u32) -> bool {
        let running = self.ledger.running().get(&seq);
        running.is_some_and(|running| running.attempt == attempt && running.is_under_way())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.drop_body();
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}
