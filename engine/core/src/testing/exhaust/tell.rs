//! A story that broke, in words.

use std::fmt::{Debug, Write};

use super::Play;
use super::outside::{Made, step};
use super::rehearsal::rehearsal;
use super::remarks::remarks;
use super::story::{Line, Told};
use crate::{Attempt, Command, Event, Timestamp};

/// A story that is longer than this is told without its middle.
const LINES_MAX: usize = 120;

/// The whole report of a broken story.
pub(super) fn report<World: Debug>(play: &Play<World>, told: &Told<World>) -> String {
    let mut text = String::new();
    let lines = lines(told);
    let left_out = lines.len().saturating_sub(LINES_MAX);
    for (n, line) in lines.iter().enumerate() {
        match n.checked_sub(LINES_MAX / 2) {
            Some(0) if left_out > 0 => {
                let _ = writeln!(text, "  … {left_out} lines …");
            }
            Some(past) if past < left_out => {}
            _ => {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    let _ = write!(text, "\n  the world then: {}\n", indent(&format!("{:#?}", told.world)));
    for remark in remarks(&told.account) {
        let _ = write!(text, "\n  look at this: {remark}\n");
    }
    let script = rehearsal(play, &told.account.runs[0].history);
    let _ = write!(text, "\n  as a rehearsal:\n\n{script}");
    text
}

fn lines<World>(told: &Told<World>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut from = vec![0; told.account.runs.len()];
    for line in &told.log {
        match line {
            Line::Twist(_, what) => lines.push(say(None, &format!("** {what}"))),
            Line::Made(n) => {
                let made = told.account.made.get(*n).into_iter();
                lines.extend(made.map(|made| say(None, &format!("   {}", visit(made)))));
            }
            Line::Rows(written) => {
                for (number, (run, to)) in told.account.runs.iter().zip(written).enumerate() {
                    let (to, from) = (*to.min(&run.history.len()), &mut from[number]);
                    for (at, events) in &run.history[(*from).min(to)..to] {
                        lines.extend(events.iter().map(|event| {
                            let who = if number == 0 { "" } else { &run.who.workflow_id };
                            let bracket = if number == 0 { "" } else { ": " };
                            say(Some(*at), &format!("{who}{bracket}{}", happened(event)))
                        }));
                    }
                    *from = to;
                }
            }
        }
    }
    lines
}

fn say(at: Option<Timestamp>, what: &str) -> String {
    match at {
        Some(at) => format!("{:>8.2}s  {what}", at.since(Timestamp::default()).as_secs_f64()),
        None => format!("{:9}  {what}", ""),
    }
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn visit(made: &Made) -> String {
    let step = step(&made.flight);
    let answer = match &made.answer {
        Attempt::Done(output) => format!("answers {}", output.get()),
        Attempt::Refused(error) => format!("refuses: {}", error.get()),
        Attempt::Failed { reason, .. } => format!("fails: {reason}"),
        Attempt::Unavailable { reason, .. } => format!("is not asked: {reason}"),
    };
    let changed = if made.changed { "" } else { ", and changes nothing" };
    format!("{step}, attempt {}, reaches its service, which {answer}{changed}", made.flight.attempt)
}

fn happened(event: &Event) -> String {
    match event {
        Event::Started { input, .. } => format!("started with {}", input.get()),
        Event::Done { seq, output } => format!("command {} is done: {}", seq.0, output.get()),
        Event::Refused { seq, error } => format!("command {} is refused: {}", seq.0, error.get()),
        Event::Unknown { seq, attempts, reason } => {
            format!(
                "command {} is given up after attempt {attempts}, outcome unknown: {reason}",
                seq.0
            )
        }
        Event::AttemptFailed { seq, attempt, reason, .. } => {
            format!("command {}, attempt {attempt} fails: {reason}", seq.0)
        }
        Event::HeldBack { seq, attempt, reason, .. } => {
            format!("command {}, attempt {attempt} is held back: {reason}", seq.0)
        }
        Event::AttemptLost { seq, attempt } => {
            format!("command {}, attempt {attempt} is lost with its worker", seq.0)
        }
        Event::Fired { seq } => format!("the timer of command {} fires", seq.0),
        Event::Signalled { name, payload, .. } => format!("signal {name}: {}", payload.get()),
        Event::CancelRequested { .. } => "someone cancels".to_owned(),
        Event::Stuck { reason, detail, .. } => format!("stuck ({}): {detail}", reason.code()),
        Event::Verifying { seq, attempts, reason } => {
            format!(
                "command {} is given up after attempt {attempts}, its probe is asked: {reason}",
                seq.0
            )
        }
        Event::NotDone { seq, attempts: 0, reason } => format!("command {}: {reason}", seq.0),
        Event::NotDone { seq, .. } => format!("command {} is not done, says its probe", seq.0),
        Event::ChildClosed { seq, outcome } => {
            format!("the child of command {}: {outcome:?}", seq.0)
        }
        Event::UpdateRequested { name, id, payload } => {
            format!("update {name} {id}: {}", payload.get())
        }
        Event::DeadlinePassed {} => "the deadline passes".to_owned(),
        Event::Terminated { .. } => "an operator terminates it".to_owned(),
        Event::Retried { .. } => "an operator lets it try again".to_owned(),
        Event::Asked(command) => format!("    asks: {}", asked(command)),
    }
}

fn asked(command: &Command) -> String {
    match command {
        Command::Run { activity, request, undo, .. } => {
            let undo = match undo {
                Some(undo) => format!("; its undo is {} {}", undo.activity, undo.request.get()),
                None => String::new(),
            };
            format!("{activity} {}{undo}", request.get())
        }
        Command::Undo { of, .. } => format!("the undo of command {}", of.0),
        Command::StartTimer { at } => {
            format!("a timer, for {:.2}s", at.since(Timestamp::default()).as_secs_f64())
        }
        Command::CancelTimer { timer } => format!("the timer of command {} off", timer.0),
        Command::Pivot {} => "the point of no return".to_owned(),
        Command::Unwind { .. } => "to unwind".to_owned(),
        Command::Complete { output } => format!("to complete with {}", output.get()),
        Command::Close {} => "to close".to_owned(),
        Command::Publish { state } => format!("to show {}", state.get()),
        Command::Label { key, value } => format!("a label, {key} = {value}"),
        Command::Answer { update, answer } => format!("to answer {update} with {answer:?}"),
        Command::Patched { id } => format!("to note the change {id}"),
        Command::StartChild(child) => format!("a child, {}", child.workflow_id),
        Command::CancelChild { child } => format!("to cancel the child of command {}", child.0),
        Command::ContinueAsNew { input, .. } => format!("to go on anew with {}", input.get()),
    }
}
