//! The rarer things that happen to a workflow on stage.

use std::time::Duration;

use super::Script;
use super::script::encode;
use crate::{
    Activity, ChildOutcome, Command, Event, Owed, Seq, StuckReason, Timestamp, Update,
    UpdateAnswer, Workflow,
};

impl<W: Workflow> Script<W> {
    /// Starts the workflow with a deadline so much later; [`Script::advance`] past it, and it is
    /// cancelled.
    #[must_use]
    pub fn start_with_deadline(input: &W::Input, after: Duration) -> Self {
        Self::begin(Event::Started {
            input: encode(input),
            code: None,
            deadline: Some(Timestamp::default().after(after)),
            parent: None,
            continued: None,
        })
    }

    /// Attempts of the earliest unanswered `A` run out, and its probe is asked, which then waits
    /// for an answer under its own name.
    #[must_use]
    pub fn exhaust<A: Activity>(self) -> Self {
        let (seq, reason) = (self.waiting(A::NAME), "timeout".to_owned());
        self.cue(Event::Verifying { seq, attempts: 3, reason })
    }

    /// The earliest unanswered probe `P` finds that it happened, with this answer.
    #[must_use]
    pub fn find_done<P: Activity>(self, output: &impl serde::Serialize) -> Self {
        let seq = self.waiting(P::NAME);
        self.cue(Event::Done { seq, output: encode(output) })
    }

    /// The earliest unanswered probe `P` finds that it did not happen, and will not.
    #[must_use]
    pub fn find_not_done<P: Activity>(self) -> Self {
        let (seq, reason) = (self.waiting(P::NAME), "timeout".to_owned());
        self.cue(Event::NotDone { seq, attempts: 3, reason })
    }

    /// The earliest unanswered `A` cannot be sent, and is held back: nobody hears of that, but
    /// while it waits a cancellation ends it as not done.
    #[must_use]
    pub fn hold_back<A: Activity>(self) -> Self {
        let seq = self.waiting(A::NAME);
        let (attempt, reason) = (self.ledger().running()[&seq].attempt, "held back".to_owned());
        let retry_at = self.now().after(Duration::from_secs(5));
        self.cue(Event::HeldBack { seq, attempt, reason, retry_at, sent: false })
    }

    /// The earliest unanswered `A` cannot be sent, and does not wait until it can:
    /// [`crate::WhenUnavailable::Fail`].
    #[must_use]
    pub fn fail_unsent<A: Activity>(self) -> Self {
        let (seq, reason) = (self.waiting(A::NAME), "held back".to_owned());
        self.cue(Event::NotDone { seq, attempts: 0, reason })
    }

    /// Nobody knows whether the earliest unanswered `A` happened, and it asks for a person then.
    #[must_use]
    pub fn park<A: Activity>(self) -> Self {
        let (seq, detail) = (self.waiting(A::NAME), "timeout".to_owned());
        self.cue(Event::Stuck { reason: StuckReason::OutcomeUnknown, detail, seq: Some(seq) })
    }

    /// An operator lets a stuck workflow try again.
    #[must_use]
    pub fn retry(self) -> Self {
        self.cue(Event::Retried { reason: None })
    }

    /// An operator closes it where it is.
    #[must_use]
    pub fn terminate(self) -> Self {
        self.cue(Event::Terminated { reason: "rehearsed".to_owned() })
    }

    /// An update arrives under this id; [`Script::answer`] has what the body says.
    #[must_use]
    pub fn update<U: Update>(self, id: &str, update: &U) -> Self {
        let (name, id) = (U::NAME.to_owned(), id.to_owned());
        self.cue(Event::UpdateRequested { name, id, payload: encode(update) })
    }

    /// What the body answered to the update of this id.
    ///
    /// # Panics
    ///
    /// When the answer does not have the shape that `U` declares.
    pub fn answer<U: Update>(&self, id: &str) -> Option<Result<U::Output, U::Error>> {
        let mut events = self.history().iter().flat_map(|(_, events)| events);
        events.find_map(|event| match event {
            Event::Asked(Command::Answer { update, answer }) if update == id => {
                Some(match answer {
                    UpdateAnswer::Done { output } => Ok(output.decode().expect("its output")),
                    UpdateAnswer::Refused { error } => Err(error.decode().expect("its refusal")),
                })
            }
            _ => None,
        })
    }

    /// The child of this id completes, and leaves these undos.
    #[must_use]
    pub fn complete_child<C: Workflow>(
        self,
        workflow_id: &str,
        output: &C::Output,
        owed: Vec<Owed>,
    ) -> Self {
        let outcome = ChildOutcome::Completed { output: encode(output), owed };
        self.close_child(workflow_id, outcome)
    }

    /// The child of this id closes.
    #[must_use]
    pub fn close_child(self, workflow_id: &str, outcome: ChildOutcome) -> Self {
        let seq = self.child(workflow_id);
        self.cue(Event::ChildClosed { seq, outcome })
    }

    fn child(&self, workflow_id: &str) -> Seq {
        let mut children = self.ledger().children().iter();
        let child = children.find(|(_, child)| child.start.workflow_id == workflow_id);
        *child.unwrap_or_else(|| panic!("no child `{workflow_id}` is open")).0
    }
}
