//! A script to rehearse a workflow with: no database, no clock, no threads.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use super::tell;
use crate::{
    Activity, Event, Fold, Ledger, Machine, Payload, Rang, Seq, Signal, StuckReason, Timestamp,
    View, ViewType, Workflow, WorkflowType,
};

/// A workflow on stage. Each cue is delivered live and appended to history;
/// [`Script::story`] then proves that every prefix of it replays.
///
/// Its clock is virtual: it stands still but for [`Script::advance`],
/// [`Script::fire`] and [`Script::wait`], and a story of weeks takes no time.
///
/// ```
/// # use hansom_core::{Ctx, Never, Workflow, testing::Script};
/// # use std::time::Duration;
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// struct Rent;
/// impl Workflow for Rent {
///     const NAME: &str = "rent";
///     const ACTIVITIES: &[&str] = &[];
///     type Input = u32;
///     type Output = u32;
///     type Error = Never;
///
///     async fn run(ctx: Ctx, days: u32) -> Result<u32, Never> {
///         for _ in 0..days {
///             ctx.sleep(DAY).await;
///         }
///         Ok(days)
///     }
/// }
///
/// let script = Script::<Rent>::start(&7).advance(6 * DAY);
/// assert!(script.ledger().outcome().is_none());
/// assert!(script.advance(DAY).ledger().outcome().is_some());
/// ```
///
/// # Panics
///
/// Every cue panics when it does not fit: nothing of that name is waiting for
/// an answer, or the body asks for an activity that it does not declare.
pub struct Script<W> {
    machine: Machine,
    history: Vec<(Timestamp, Vec<Event>)>,
    now: Timestamp,
    signals: u32,
    workflow: PhantomData<W>,
}

impl<W: Workflow> Script<W> {
    /// Starts the workflow.
    #[must_use]
    pub fn start(input: &W::Input) -> Self {
        Self::begin(Event::started(encode(input)))
    }

    pub(super) fn begin(started: Event) -> Self {
        let machine = Machine::new(Some(WorkflowType::of::<W>()), SEED);
        let now = Timestamp::default();
        Self { machine, history: Vec::new(), now, signals: 0, workflow: PhantomData }.cue(started)
    }

    /// The earliest unanswered `A` answers.
    #[must_use]
    pub fn complete<A: Activity>(self, output: &A::Output) -> Self {
        let seq = self.waiting(A::NAME);
        self.cue(Event::Done { seq, output: encode(output) })
    }

    /// The earliest unanswered `A` refuses.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`refuse::<A>(CardDeclined)` reads best")]
    pub fn refuse<A: Activity>(self, error: A::Error) -> Self {
        let seq = self.waiting(A::NAME);
        self.cue(Event::Refused { seq, error: encode(&error) })
    }

    /// The earliest unanswered `A` runs out of retries: nobody knows what happened.
    #[must_use]
    pub fn lose<A: Activity>(self) -> Self {
        let seq = self.waiting(A::NAME);
        self.cue(Event::Unknown { seq, attempts: 3, reason: "timeout".to_owned() })
    }

    /// Time passes until the earliest timer fires.
    #[must_use]
    pub fn fire(mut self) -> Self {
        let (seq, at) = self.next_timer().expect("a timer is set");
        self.now = self.now.max(at);
        match self.machine.ledger_mut().ring(seq) {
            Rang::Deadline => self.cue(Event::DeadlinePassed {}),
            Rang::Timer => self.cue(Event::Fired { seq }),
            // What was held back waits for its answer again.
            Rang::Retry | Rang::Nothing => self,
        }
    }

    /// This much time passes, and every timer that falls due fires at its time,
    /// the earliest first; also those that are only set on the way.
    #[must_use]
    pub fn advance(mut self, duration: Duration) -> Self {
        let until = self.now.after(duration);
        while self.next_timer().is_some_and(|(_, at)| at <= until) {
            self = self.fire();
        }
        self.now = until;
        self
    }

    /// Time passes, and nothing else happens: what falls due is late.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.now = self.now.after(duration);
        self
    }

    /// A signal arrives.
    #[must_use]
    pub fn signal<S: Signal>(mut self, signal: &S) -> Self {
        self.signals += 1;
        let id = format!("signal-{}", self.signals);
        self.cue(Event::Signalled { name: S::NAME.to_owned(), id, payload: encode(signal) })
    }

    /// A cancellation arrives.
    #[must_use]
    pub fn cancel(self) -> Self {
        self.cue(Event::CancelRequested { reason: None })
    }

    /// The whole story, one line per command, after replaying every prefix.
    ///
    /// # Panics
    ///
    /// When the replay of some prefix does not agree with what was recorded.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        for end in 0..=self.history.len() {
            let prefix = self.history[..end].iter().cloned();
            let machine = Machine::replay(Some(WorkflowType::of::<W>()), SEED, prefix);
            assert_eq!(machine.fault(), None, "every prefix replays");
        }
        tell(&self.history)
    }

    /// What the view `V` says of it so far; `None` when it could not begin.
    ///
    /// # Panics
    ///
    /// When the view does.
    pub fn row<V: View<Workflow = W>>(&self) -> Option<serde_json::Value> {
        let mut fold = Fold::new([ViewType::of::<V>()].into());
        let mut ledger = Ledger::default();
        for (at, events) in &self.history {
            let faults = fold.recall(&mut ledger, (*at, events));
            assert!(faults.is_empty(), "{}", faults[0]);
        }
        fold.rows().next().map(|row| row.fields.clone().into())
    }

    /// What the body could not go on from, as the operator would read it.
    pub fn stuck(&self) -> Option<&(StuckReason, String)> {
        self.machine.ledger().stuck()
    }

    /// What the story so far adds up to.
    pub fn ledger(&self) -> &Ledger {
        self.machine.ledger()
    }

    /// The story so far, as it would be stored.
    pub fn history(&self) -> &[(Timestamp, Vec<Event>)] {
        &self.history
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn cue(mut self, event: Event) -> Self {
        let mut events = vec![event.clone()];
        self.machine.deliver(event, self.now);
        events.extend(self.machine.take(self.now));
        for running in self.machine.ledger().running().values() {
            let name = running.call.activity.as_str();
            assert!(W::ACTIVITIES.contains(&name), "`{name}` is not among {}::ACTIVITIES", W::NAME);
        }
        self.history.push((self.now, events));
        self
    }

    fn next_timer(&self) -> Option<(Seq, Timestamp)> {
        let alarms = self.machine.ledger().alarms().iter();
        alarms.min_by_key(|(seq, at)| (**at, **seq)).map(|(seq, at)| (*seq, *at))
    }

    pub(super) fn waiting(&self, name: &str) -> Seq {
        let waiting = self.machine.ledger().running().iter();
        let mut named = waiting.filter(|(_, running)| running.call.activity == name);
        *named.next().unwrap_or_else(|| panic!("no `{name}` is waiting for an answer")).0
    }
}

/// Every rehearsal draws the same random numbers.
pub(super) const SEED: u128 = 7;

pub(super) fn encode(value: &impl Serialize) -> Payload {
    Payload::of(value).expect("test data has a JSON form")
}
