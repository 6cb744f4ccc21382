//! A history, told in short lines.

use crate::{Command, Direction, Event, Ledger, Timestamp};

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
        Event::Asked(Command::Undo { of }) => {
            let undoing = ledger.running().values();
            let mut named = undoing.filter(|r| r.direction == Direction::Undo && r.of == *of);
            format!("undo: {}", named.next()?.call.activity)
        }
        Event::Asked(Command::StartTimer { at: due }) => {
            format!("timer {}s", due.since(at).as_secs())
        }
        Event::Asked(Command::CancelTimer { .. }) => "timer off".to_owned(),
        Event::Asked(Command::Pivot {}) => "pivot".to_owned(),
        Event::Asked(Command::Unwind { .. }) => "unwind".to_owned(),
        Event::Asked(Command::Complete { .. }) => "completed".to_owned(),
        Event::Asked(Command::Close {}) => match ledger.status() {
            crate::Status::Cancelled => "cancelled".to_owned(),
            _ => "failed".to_owned(),
        },
        Event::Stuck { reason, .. } => format!("stuck: {}", reason.code()),
        _ => return None,
    })
}
