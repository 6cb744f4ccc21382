//! A history, told in short lines.

use crate::{Command, Direction, Event, Ledger, Timestamp, UpdateAnswer};

/// A history as a story: one line per command.
pub fn tell(history: &[(Timestamp, Vec<Event>)]) -> Vec<String> {
    let mut ledger = Ledger::default();
    let mut story = Vec::new();
    for (at, events) in history {
        for event in events {
            ledger.apply(event, *at);
            story.extend(line(event, &ledger, *at));
        }
    }
    story
}

fn line(event: &Event, ledger: &Ledger, at: Timestamp) -> Option<String> {
    Some(match event {
        Event::Asked(Command::Run { activity, .. }) => activity.clone(),
        Event::Asked(Command::Undo { .. }) => {
            let undoing = ledger.running().values();
            let mut undoing = undoing.filter(|running| running.direction == Direction::Undo);
            format!("undo: {}", undoing.next_back()?.call.activity)
        }
        Event::Asked(Command::StartTimer { at: due }) => {
            format!("timer {}s", due.since(at).as_secs())
        }
        Event::Asked(Command::CancelTimer { .. }) => "timer off".to_owned(),
        Event::Asked(Command::StartChild(start)) => format!("child: {}", start.workflow_id),
        Event::Asked(Command::CancelChild { .. }) => "cancel child".to_owned(),
        Event::Asked(Command::Answer { answer: UpdateAnswer::Done { .. }, .. }) => {
            "answer".to_owned()
        }
        Event::Asked(Command::Answer { answer: UpdateAnswer::Refused { .. }, .. }) => {
            "refuse".to_owned()
        }
        Event::Asked(Command::Patched { id }) => format!("patched: {id}"),
        Event::Asked(Command::ContinueAsNew { .. }) => "continued".to_owned(),
        Event::Asked(Command::Pivot {}) => "pivot".to_owned(),
        Event::Asked(Command::Unwind { .. }) => "unwind".to_owned(),
        Event::Asked(Command::Complete { .. }) => "completed".to_owned(),
        Event::Asked(Command::Close {}) => match ledger.status() {
            crate::Status::Cancelled => "cancelled".to_owned(),
            _ => "failed".to_owned(),
        },
        Event::Verifying { seq, .. } => {
            format!("verify: {}", ledger.running().get(seq)?.call.activity)
        }
        Event::Terminated { .. } => "terminated".to_owned(),
        Event::Retried { .. } => "retried".to_owned(),
        Event::Stuck { reason, .. } => format!("stuck: {}", reason.code()),
        _ => return None,
    })
}
