//! A story that broke, in words and as a rehearsal.

use std::fmt::{Debug, Write};

use super::Play;
use super::cast::Cast;
use super::outside::{Made, step};
use super::remarks::remarks;
use super::story::{Line, Told};
use crate::{Attempt, Command, Event, Seq, Timestamp};

/// The whole report of a broken story.
pub(super) fn report<World: Debug>(play: &Play<World>, told: &Told<World>) -> String {
    let mut text = String::new();
    let mut from = 0;
    for line in &told.log {
        match line {
            Line::Twist(_, what) => say(&mut text, None, &format!("** {what}")),
            Line::Made(n) => told.account.made.get(*n).into_iter().for_each(|made| {
                say(&mut text, None, &format!("   {}", visit(made)));
            }),
            Line::Rows(to) => {
                let to = (*to).min(told.account.history.len());
                for (at, events) in &told.account.history[from.min(to)..to] {
                    for event in events {
                        say(&mut text, Some(*at), &happened(event));
                    }
                }
                from = to;
            }
        }
    }
    let _ = write!(text, "\n  the world then: {}\n", indent(&format!("{:#?}", told.world)));
    for remark in remarks(&told.account) {
        let _ = write!(text, "\n  look at this: {remark}\n");
    }
    let _ = write!(text, "\n  as a rehearsal:\n\n{}", rehearsal(play, &told.account.history));
    text
}

fn say(text: &mut String, at: Option<Timestamp>, what: &str) {
    let clock = match at {
        Some(at) => format!("{:>8.2}s", at.since(Timestamp::default()).as_secs_f64()),
        None => " ".repeat(9),
    };
    let _ = writeln!(text, "  {clock}  {what}");
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

/// The same history as the cues of a [`crate::testing::Script`].
fn rehearsal<World>(play: &Play<World>, history: &[(Timestamp, Vec<Event>)]) -> String {
    let mut script = String::new();
    let mut names: Vec<Option<(&str, bool)>> = Vec::new();
    for event in history.iter().flat_map(|(_, events)| events) {
        if let Event::Asked(command) = event {
            let name = match command {
                Command::Run { activity, .. } => Some((activity.as_str(), false)),
                Command::Undo { of, .. } => undo_of(history, *of).map(|activity| (activity, true)),
                _ => None,
            };
            names.push(name);
            continue;
        }
        let of = |seq: &Seq| {
            let at = usize::try_from(seq.0).ok().and_then(|at| names.get(at).copied().flatten());
            rust_name(&play.cast, at.map_or("?", |(name, _)| name))
        };
        if let Some(cue) = cue(play, event, of) {
            let _ = writeln!(script, "  {cue}");
        }
    }
    script
}

fn cue<World>(play: &Play<World>, event: &Event, of: impl Fn(&Seq) -> String) -> Option<String> {
    Some(match event {
        Event::Started { input, .. } => {
            format!("Script::<{}>::start(&{})", short(play.saga.type_name), json(input.get()))
        }
        Event::Done { seq, output } => {
            format!("    .complete::<{}>(&{})", of(seq), json(output.get()))
        }
        Event::Refused { seq, error } => {
            format!("    .refuse::<{}>(json(r#\"{}\"#))", of(seq), error.get())
        }
        Event::Unknown { seq, .. } => format!("    .lose::<{}>()", of(seq)),
        Event::Fired { .. } => "    .fire()".to_owned(),
        Event::Signalled { name, payload, .. } => {
            format!("    .signal::<{}>(&{})", rust_signal(play, name), json(payload.get()))
        }
        Event::CancelRequested { .. } => "    .cancel()".to_owned(),
        Event::NotDone { seq, .. } => format!("    // `{}` is not done", of(seq)),
        Event::DeadlinePassed {} => "    // the deadline passes".to_owned(),
        Event::UpdateRequested { name, .. } => format!("    // an update: {name}"),
        Event::Retried { .. } => "    // an operator lets it try again".to_owned(),
        _ => return None,
    })
}

fn undo_of(history: &[(Timestamp, Vec<Event>)], of: Seq) -> Option<&str> {
    let events = history.iter().flat_map(|(_, events)| events);
    let mut commands = events.filter_map(|event| match event {
        Event::Asked(command) => Some(command),
        _ => None,
    });
    match commands.nth(usize::try_from(of.0).ok()?)? {
        Command::Run { undo, .. } => undo.as_ref().map(|undo| undo.activity.as_str()),
        _ => None,
    }
}

fn json(text: &str) -> String {
    match text {
        "null" => "()".to_owned(),
        number if number.parse::<i64>().is_ok() => format!("json(\"{number}\")"),
        text => format!("json(r#\"{text}\"#)"),
    }
}

fn rust_name<World>(cast: &Cast<World>, activity: &str) -> String {
    cast.model(activity)
        .map_or_else(|| activity.to_owned(), |model| short(model.type_name).to_owned())
}

fn rust_signal<World>(play: &Play<World>, name: &str) -> String {
    let known = play.cues.iter().find(|cue| cue.name == name);
    known.map_or_else(|| name.to_owned(), |cue| short(cue.type_name).to_owned())
}

/// The last part of a path.
fn short(type_name: &str) -> &str {
    type_name.rsplit("::").next().unwrap_or(type_name)
}
