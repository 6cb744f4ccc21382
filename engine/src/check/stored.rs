//! What is stored of a run, held against the types and handlers of this binary.

use hansom_core::{
    Call, Command, Direction, Event, Ledger, Payload, Seq, Status, Timestamp, UndoStatus,
    WorkflowType,
};

use super::report::{Finding, Verdict};
use super::sides;
use crate::Registry;
use crate::owner::remote::{Outcome, outcome_of};
use crate::store::from_time;
use crate::store::snapshot::{HistoryText, Letter, OpenRun};

/// A run, and what its history adds up to.
pub(super) struct Stored<'a> {
    registry: &'a Registry,
    run: &'a OpenRun,
    history: &'a [(Timestamp, Event)],
    ledger: &'a Ledger,
    /// The events that are commands.
    commands: Vec<usize>,
}

/// The events of a history, if all of it is there and can be read.
pub(super) fn decode(rows: &[HistoryText]) -> Result<Vec<(Timestamp, Event)>, Finding> {
    let mut history = Vec::new();
    for row in rows {
        let number = usize::try_from(row.event).ok();
        if number != Some(history.len()) {
            let detail = format!("event {} follows, where {} should", row.event, history.len());
            return Err(Finding::of(Verdict::Unreadable, Some(history.len()), detail));
        }
        let events: Vec<Event> = serde_json::from_str(&row.events)
            .map_err(|error| Finding::of(Verdict::Unreadable, number, error.to_string()))?;
        history.extend(events.into_iter().map(|event| (from_time(row.at), event)));
    }
    match history.first() {
        Some((_, Event::Started { .. })) => Ok(history),
        _ => Err(Finding::of(Verdict::Unreadable, None, "it does not begin with its start")),
    }
}

impl<'a> Stored<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        run: &'a OpenRun,
        history: &'a [(Timestamp, Event)],
        ledger: &'a Ledger,
    ) -> Self {
        let numbered = history.iter().enumerate();
        let commands = numbered.filter(|(_, (_, event))| matches!(event, Event::Asked(_)));
        let commands = commands.map(|(number, _)| number).collect();
        Self { registry, run, history, ledger, commands }
    }

    /// What a body has still to read: it would stop at what it cannot decode.
    pub(super) fn of_the_body(&self, kind: Option<WorkflowType>) -> Vec<Finding> {
        let Some(kind) = kind.filter(|_| self.ledger.cause().is_none()) else { return Vec::new() };
        let mut findings = Vec::new();
        for (number, (_, event)) in self.history.iter().enumerate() {
            let number = Some(number);
            findings.extend(match event {
                Event::Signalled { name, payload, .. } => {
                    message(kind, ("signal", name), payload, number)
                }
                Event::UpdateRequested { name, payload, .. } => {
                    message(kind, ("update", name), payload, number)
                }
                Event::Done { seq, output } => self.answer(*seq, Ok(output), number),
                Event::Refused { seq, error } => self.answer(*seq, Err(error), number),
                _ => None,
            });
        }
        findings.extend(self.run.inbox.iter().filter_map(|letter| self.letter(kind, letter)));
        findings
    }

    /// What waits in the inbox is read as it will be when it is history.
    fn letter(&self, kind: WorkflowType, letter: &Letter) -> Option<Finding> {
        let payload = letter.payload.as_deref()?;
        let unreadable =
            |error: serde_json::Error| Finding::of(Verdict::Payload, None, error.to_string());
        if let Some((seq, _)) = outcome_of(&letter.key) {
            return match serde_json::from_str(payload) {
                Ok(Outcome::Done(output)) => self.answer(seq, Ok(&output), None),
                Ok(Outcome::Refused(error)) => self.answer(seq, Err(&error), None),
                Ok(Outcome::Failed { .. }) => None,
                Err(error) => Some(unreadable(error)),
            };
        }
        let (what @ ("signal" | "update"), _) = letter.key.split_once(':')? else { return None };
        match Payload::parse(payload.to_owned()) {
            Ok(payload) => message(kind, (what, letter.name.as_deref()?), &payload, None),
            Err(error) => Some(unreadable(error)),
        }
    }

    fn answer(
        &self,
        seq: Seq,
        answer: Result<&Payload, &Payload>,
        number: Option<usize>,
    ) -> Option<Finding> {
        let (_, Event::Asked(Command::Run { activity, .. })) = &self.history[self.command(seq)?]
        else {
            return None;
        };
        let answers = self.registry.answers(activity)?;
        let (what, error) = match answer {
            Ok(output) => ("output", answers.check_output(output).err()?),
            Err(refusal) => ("refusal", answers.check_refusal(refusal).err()?),
        };
        let mut finding =
            Finding::of(Verdict::Payload, number, format!("{what} of {activity}: {error}"));
        finding.history = answer.ok().or(answer.err()).cloned();
        Some(finding)
    }

    /// What can be said without the body: what is under way and what is owed has
    /// to be performed, and the row has to say what the history does.
    pub(super) fn of_the_data(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (seq, running) in self.ledger.running() {
            let (what, at) = match running.direction {
                Direction::Do => ("request", Some(*seq)),
                Direction::Verify => ("probe", Some(*seq)),
                // It is owed, and looked at as such.
                Direction::Undo => continue,
            };
            findings.extend(self.call(what, &running.call, at));
            findings.extend(running.probe.iter().filter_map(|probe| self.call("probe", probe, at)));
        }
        for undo in self.ledger.undo_plan() {
            let own = undo.inherited.is_none().then_some(undo.of);
            let call = Call { activity: undo.activity, request: undo.request };
            findings.extend(self.call("undo", &call, own));
        }
        findings.extend(self.drift().map(|detail| Finding::of(Verdict::Drift, None, detail)));
        findings
    }

    fn call(&self, what: &str, call: &Call, at: Option<Seq>) -> Option<Finding> {
        let Call { activity, request } = call;
        let (verdict, detail) = match self.registry.answers(activity) {
            None => (Verdict::NoHandler, format!("{what} {activity}")),
            Some(answers) => {
                let error = answers.check_request(request).err()?;
                (Verdict::Payload, format!("{what} {activity}: {error}"))
            }
        };
        Some(match at.and_then(|seq| self.command(seq)) {
            Some(number) => Finding::about(verdict, number, detail, &self.history[number].1),
            None => Finding::of(verdict, None, detail),
        })
    }

    fn drift(&self) -> Option<String> {
        let (row, ledger) = (&self.run.row, self.ledger);
        let (status, undo) = (ledger.status(), ledger.undo_status());
        let kept = status != Status::Running;
        let expected = if kept { undo } else { UndoStatus::None };
        if row.status != status {
            let (row, history) = (sides::word(&row.status), sides::word(&status));
            return Some(format!("its row says {row}, its history {history}"));
        }
        if row.undo != expected {
            let (row, history) = (sides::word(&row.undo), sides::word(&expected));
            return Some(format!("its row says that its undos are {row}, its history {history}"));
        }
        None
    }

    /// The event that is the command at `seq`.
    fn command(&self, seq: Seq) -> Option<usize> {
        self.commands.get(usize::try_from(seq.0).ok()?).copied()
    }
}

/// A message that nobody would listen to, or that nobody would understand.
fn message(
    kind: WorkflowType,
    (what, name): (&str, &str),
    payload: &Payload,
    number: Option<usize>,
) -> Option<Finding> {
    let checked = match what {
        "signal" => kind.signals.iter().find(|kind| kind.name == name).map(|s| s.check(payload)),
        _ => kind.updates.iter().find(|kind| kind.name == name).map(|u| u.check(payload)),
    };
    let detail = match checked {
        None => format!("{what} {name}: nobody listens to it"),
        Some(checked) => format!("{what} {name}: {}", checked.err()?),
    };
    let mut finding = Finding::of(Verdict::Payload, number, detail);
    finding.history = Some(payload.clone());
    Some(finding)
}
