//! One run of a workflow: its body, its ledger, and the line between them.
//!
//! The same machine is used live and in replay. Live, [`Machine::deliver`] is
//! followed by [`Machine::take`], and both are committed together. In replay,
//! what history says was asked is compared with what the body asks now.
//!
//! Once history says `unwind`, the body is not consulted any more: what is left
//! to do follows from the ledger.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::context::Answer;
use crate::{
    Cause, Command, Ctx, Event, Ledger, Payload, Seq, SignalType, Status, StuckReason, Timestamp,
    Workflow,
};

/// A history that grows past this leaves its run stuck; it can still be cancelled.
const EVENTS_MAX: u32 = 50_000;

type Body = Pin<Box<dyn Future<Output = Result<Payload, Payload>>>>;

/// A workflow type with its types erased.
#[derive(Clone, Copy)]
pub struct WorkflowType {
    /// [`Workflow::NAME`].
    pub name: &'static str,
    /// [`Workflow::ACTIVITIES`].
    pub activities: &'static [&'static str],
    /// [`Workflow::SIGNALS`].
    pub signals: &'static [SignalType],
    check_input: fn(&Payload) -> Result<(), serde_json::Error>,
    start: fn(Ctx, &Payload) -> Result<Body, serde_json::Error>,
}

impl WorkflowType {
    /// Erases the types of `W`.
    pub fn of<W: Workflow>() -> Self {
        Self {
            name: W::NAME,
            activities: W::ACTIVITIES,
            signals: W::SIGNALS,
            check_input: |input| input.decode::<W::Input>().map(drop),
            start: |ctx, input| {
                let input = input.decode::<W::Input>()?;
                Ok(Box::pin(async move {
                    let encode = |encoded: Result<Payload, serde_json::Error>| {
                        encoded.unwrap_or_else(|error| panic!("result of {}: {error}", W::NAME))
                    };
                    match W::run(ctx, input).await {
                        Ok(output) => Ok(encode(Payload::of(&output))),
                        Err(error) => Err(encode(Payload::of(&error))),
                    }
                }))
            },
        }
    }

    /// Whether `input` has the shape that this type is started with.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check_input(&self, input: &Payload) -> Result<(), serde_json::Error> {
        (self.check_input)(input)
    }
}

/// One run of a workflow.
pub struct Machine {
    kind: Option<WorkflowType>,
    ctx: Ctx,
    body: Option<Body>,
    ledger: Ledger,
    /// Why it cannot go on; recorded by the next [`Machine::take`].
    fault: Option<(StuckReason, String)>,
}

impl Machine {
    /// A run to which nothing has happened yet. Without its type (a body that
    /// this binary does not have) it can only be looked at and unwound.
    pub fn new(kind: Option<WorkflowType>) -> Self {
        Self { kind, ctx: Ctx::default(), body: None, ledger: Ledger::default(), fault: None }
    }

    /// Brings a run to where its history ends.
    ///
    /// Where the body asks for something else than it once did, the run is
    /// taken no further than its ledger; [`Machine::take`] then says so.
    pub fn replay(
        kind: Option<WorkflowType>,
        history: impl IntoIterator<Item = (Timestamp, Vec<Event>)>,
    ) -> Self {
        let mut machine = Self::new(kind);
        for (at, events) in history {
            for event in events {
                machine.recall(event, at);
            }
        }
        machine.ledger.take_news();
        machine
    }

    /// Goes one event of history further, as [`Machine::replay`] does.
    pub fn recall(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::Asked(command) => {
                self.compare(&command);
                if matches!(command, Command::Unwind { .. }) {
                    self.drop_body();
                    self.fault = None;
                }
                self.ledger.apply(&Event::Asked(command), at);
            }
            event => self.deliver(event, at),
        }
    }

    fn compare(&mut self, recorded: &Command) {
        let from_data = self.ledger.status() == Status::Compensating;
        if from_data || self.fault.is_some() {
            return;
        }
        let issued = self.ctx.0.borrow_mut().issued.pop_front();
        if issued.as_ref() == Some(recorded) {
            return;
        }
        let asked = issued.map_or("nothing".to_owned(), |command| format!("{command:?}"));
        let detail = format!(
            "at command {}: history has {recorded:?}, the code asks for {asked}",
            self.ledger.commands()
        );
        self.fail(StuckReason::Nondeterminism, detail);
    }

    /// Tells the run what happened, and lets the body go on as far as it can.
    pub fn deliver(&mut self, event: Event, at: Timestamp) {
        self.ledger.apply(&event, at);
        self.hear(event, at);
        self.advance();
    }

    fn hear(&mut self, event: Event, at: Timestamp) {
        let mut state = self.ctx.0.borrow_mut();
        state.now = at;
        match event {
            Event::Done { seq, output } => drop(state.outcomes.insert(seq, Answer::Done(output))),
            Event::Refused { seq, error } => {
                state.outcomes.insert(seq, Answer::Refused(error));
            }
            Event::Unknown { seq, attempts, reason } => {
                state.outcomes.insert(seq, Answer::Unknown { attempts, reason });
            }
            Event::Fired { seq } => drop(state.outcomes.insert(seq, Answer::Fired)),
            Event::Signalled { name, payload, .. } => {
                state.mailboxes.entry(name).or_default().push_back(payload);
            }
            Event::Started { input } => {
                drop(state);
                self.start(&input);
            }
            Event::CancelRequested { .. } => {
                drop(state);
                self.cancel();
            }
            // History, not news, to a body.
            Event::Asked(_)
            | Event::AttemptFailed { .. }
            | Event::AttemptLost { .. }
            | Event::Stuck { .. } => {}
        }
    }

    fn start(&mut self, input: &Payload) {
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
    fn cancel(&mut self) {
        let open = matches!(self.ledger.status(), Status::Running | Status::Stuck);
        if open && !self.ledger.pivoted() && self.ledger.cause().is_none() {
            self.drop_body();
            self.fault = None;
            self.ctx.issue(Command::Unwind { cause: Cause::Cancelled });
        }
    }

    fn advance(&mut self) {
        let waiting = std::mem::take(&mut self.ctx.0.borrow_mut().waiting);
        waiting.into_iter().for_each(Waker::wake);
        let Some(body) = &mut self.body else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(&mut cx)));
        let fault = self.ctx.0.borrow_mut().fault.take();
        if let Some((reason, detail)) = fault {
            return self.fail(reason, detail);
        }
        match polled {
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
        let mut state = self.ctx.0.borrow_mut();
        state.muted = true;
        drop(state);
        self.body = None;
        self.ctx.0.borrow_mut().muted = false;
        self.ctx.issue(command);
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
        state.issued.clear();
        state.next = self.ledger.commands();
    }

    /// What follows from all that was delivered, to be committed with it.
    pub fn take(&mut self, at: Timestamp) -> Vec<Event> {
        let mut taken = Vec::new();
        if self.ledger.status() == Status::Stuck && !self.unwinds_next() {
            return taken;
        }
        if self.ledger.status() == Status::Running && self.ledger.events() > EVENTS_MAX {
            let detail = format!("{} events; the limit is {EVENTS_MAX}", self.ledger.events());
            self.fail(StuckReason::HistoryLimit, detail);
        }
        while let Some(command) = self.next_command() {
            self.record(Event::Asked(command), at, &mut taken);
        }
        if let Some((reason, detail)) = self.fault.take()
            && self.ledger.status() != Status::Stuck
        {
            self.record(Event::Stuck { reason, detail }, at, &mut taken);
        }
        while let Some(event) = self.ledger.unwind() {
            self.record(event, at, &mut taken);
        }
        taken
    }

    fn unwinds_next(&self) -> bool {
        let cancelled = Command::Unwind { cause: Cause::Cancelled };
        self.ctx.0.borrow().issued.front() == Some(&cancelled)
    }

    fn next_command(&mut self) -> Option<Command> {
        self.ctx.0.borrow_mut().issued.pop_front()
    }

    fn record(&mut self, event: Event, at: Timestamp, taken: &mut Vec<Event>) {
        self.ledger.apply(&event, at);
        taken.push(event);
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

    /// Whether an attempt of the activity at `seq` is awaited, and is number `attempt`.
    pub fn awaits(&self, seq: Seq, attempt: u32) -> bool {
        let running = self.ledger.running().get(&seq);
        running.is_some_and(|running| running.attempt == attempt && running.retry_at.is_none())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.drop_body();
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}
