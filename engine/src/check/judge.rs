//! What would become of one run: pure, from what is stored of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hansom_core::{Event, Machine, Status, StuckReason, Timestamp, WorkflowType};
use uuid::Uuid;

use super::report::{CheckedRun, Finding, Verdict};
use super::sides;
use super::stored::{self, Stored};
use crate::Registry;
use crate::store::snapshot::OpenRun;

/// Judges one run, whatever its body does. It does not panic.
pub(super) fn judge(registry: &Registry, run: &OpenRun) -> CheckedRun {
    let judged = catch_unwind(AssertUnwindSafe(|| examine(registry, run)));
    judged.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic without a text");
        CheckedRun::of(&run.row, vec![Finding::of(Verdict::Panic, None, text)])
    })
}

fn examine(registry: &Registry, run: &OpenRun) -> CheckedRun {
    let history = match stored::decode(&run.history) {
        Ok(history) => history,
        Err(unreadable) => return CheckedRun::of(&run.row, vec![unreadable]),
    };
    let kind = registry.workflow(&run.row.workflow_type);
    let (mut machine, fault) = replay(kind, run.row.run, &history);
    let stuck = machine.ledger().stuck().cloned();
    let by_code = stuck.as_ref().is_some_and(|(reason, _)| is_of_the_code(*reason));

    let stored = Stored::new(registry, run, &history, machine.ledger());
    let mut findings = match (fault, machine.fault()) {
        (Some(number), Some((reason, detail))) => {
            vec![parting(kind, run.row.run, &history, (number, *reason, detail))]
        }
        _ => stored.of_the_body(kind),
    };
    if by_code && !findings.is_empty() {
        // It stands still over its code, and would again: nothing that this binary breaks.
        findings.truncate(1);
        findings[0].verdict = Verdict::Stuck;
    }
    findings.extend(stored.of_the_data());
    findings.sort_by_key(|finding| !finding.verdict.breaks());
    let patches = match machine.ledger().cause() {
        None => machine.patches(),
        Some(_) => BTreeMap::new(),
    };
    if findings.is_empty() {
        findings.extend(match stuck {
            Some((reason, detail)) => {
                let verdict = if by_code { Verdict::Freed } else { Verdict::Stuck };
                Some(Finding::of(verdict, None, format!("{}: {detail}", reason.code())))
            }
            None => more(&mut machine, &history),
        });
    }
    CheckedRun { patches, ..CheckedRun::of(&run.row, findings) }
}

/// Where the body could not follow.
fn parting(
    kind: Option<WorkflowType>,
    run: Uuid,
    history: &[(Timestamp, Event)],
    (number, reason, detail): (usize, StuckReason, &str),
) -> Finding {
    let (_, event) = &history[number];
    let mut finding = Finding::about(reason.into(), number, detail.to_owned(), event);
    if reason == StuckReason::Nondeterminism {
        let asked = asked(kind, run, history, number);
        finding.detail = sides::difference(event, asked.as_ref());
        finding.code = asked.as_ref().map(sides::shown);
    }
    finding
}

/// Brings the run to where its history ends; and the event from which on the
/// body could not follow.
fn replay(
    kind: Option<WorkflowType>,
    run: Uuid,
    history: &[(Timestamp, Event)],
) -> (Machine, Option<usize>) {
    let (mut number, mut first) = (0, None);
    let machine = Machine::replay_with(kind, run.as_u128(), one_by_one(history), |machine| {
        // An unwinding forgives what the body did before.
        first = machine.fault().and(first.or(Some(number)));
        number += 1;
    });
    (machine, first)
}

fn one_by_one(history: &[(Timestamp, Event)]) -> impl Iterator<Item = (Timestamp, Vec<Event>)> {
    history.iter().map(|(at, event)| (*at, vec![event.clone()]))
}

/// What the body asks for where history has event `number`.
fn asked(
    kind: Option<WorkflowType>,
    run: Uuid,
    history: &[(Timestamp, Event)],
    number: usize,
) -> Option<Event> {
    let (mut seen, mut asked) = (0, None);
    Machine::replay_with(kind, run.as_u128(), one_by_one(history), |machine| {
        seen += 1;
        if seen == number {
            asked = machine.asks().into_iter().next().map(Event::Asked);
        }
    });
    asked
}

/// What a body that agrees asks for beyond its history.
fn more(machine: &mut Machine, history: &[(Timestamp, Event)]) -> Option<Finding> {
    // One that has asked for nothing yet waits for its owner.
    let has_asked = history.iter().any(|(_, event)| matches!(event, Event::Asked(_)));
    if machine.ledger().status() != Status::Running || !has_asked {
        return None;
    }
    let (at, _) = history.last()?;
    let events = machine.take(*at);
    if let Some(Event::Stuck { reason, detail, .. }) = events.last() {
        return Some(Finding::of((*reason).into(), None, detail.as_str()));
    }
    let asked: Vec<_> = events.iter().map(sides::name).collect();
    (!asked.is_empty()).then(|| {
        let mut finding =
            Finding::of(Verdict::GoesOn, None, format!("asks for {}", asked.join(", ")));
        finding.code = events.first().map(sides::shown);
        finding
    })
}

/// Whether it is stuck for what its code does, so that other code may free it.
fn is_of_the_code(reason: StuckReason) -> bool {
    match reason {
        StuckReason::Nondeterminism
        | StuckReason::Panic
        | StuckReason::Payload
        | StuckReason::UnknownType
        | StuckReason::FailedAfterPivot
        | StuckReason::Limit => true,
        StuckReason::UndoExhausted
        | StuckReason::Poison
        | StuckReason::OutcomeUnknown
        | StuckReason::HistoryLimit => false,
    }
}
