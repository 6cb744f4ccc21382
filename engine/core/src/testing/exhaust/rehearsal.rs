//! A story that broke, as the cues of a [`crate::testing::Script`].

use std::fmt::Write;

use super::Play;
use super::cast::Cast;
use super::engine::History;
use super::judge::commands;
use crate::{Command, Event, Seq};

/// The same history as the cues of a [`crate::testing::Script`].
pub(super) fn rehearsal<World>(play: &Play<World>, history: &History) -> String {
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
        Event::ChildClosed { .. } => "    // a child ended".to_owned(),
        Event::UpdateRequested { name, .. } => format!("    // an update: {name}"),
        Event::Retried { .. } => "    // an operator lets it try again".to_owned(),
        _ => return None,
    })
}

fn undo_of(history: &History, of: Seq) -> Option<&str> {
    match commands(history).nth(usize::try_from(of.0).ok()?)? {
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
