//! A history as a story: what was asked, what came of it, and what it undoes.

use std::collections::BTreeMap;

use chrono::{DateTime, Local};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::show::{maps, short, text};
use crate::cli::CliError;
use crate::cli::output::table;

/// Events that are commands: numbered among themselves, as `seq` and `of` say.
const COMMANDS: [&str; 15] = [
    "run",
    "start_timer",
    "cancel_timer",
    "start_child",
    "cancel_child",
    "publish",
    "label",
    "answer",
    "patched",
    "continue_as_new",
    "pivot",
    "unwind",
    "undo",
    "complete",
    "close",
];

/// What the history told so far. Known only where the page starts at the beginning.
#[derive(Default)]
struct Story {
    known: bool,
    /// By `seq`: what was asked of whom, and what undoes it.
    asked: Vec<Asked>,
    /// The activities of undos that came from other runs, in order of arrival.
    inherited: Vec<String>,
    /// The names of updates, by their senders' ids.
    updates: BTreeMap<String, String>,
}

/// A command by its names: an activity or a child, and the activity that undoes it.
#[derive(Clone, Default)]
struct Asked {
    name: String,
    undo: String,
}

/// The details of an event that are not told yet.
type Details = Map<String, Value>;

/// Prints one page of a history.
pub(crate) fn events(items: &[&RawValue]) -> Result<(), CliError> {
    let items = maps(items);
    let known = items.first().is_some_and(|item| text(item, "event") == "0");
    let mut story = Story { known, ..Story::default() };
    let rows = items.iter().map(|item| {
        let what = item.iter().find(|(key, _)| *key != "event" && *key != "at");
        let (name, details) = what.map_or(("", &Value::Null), |(name, details)| (name, details));
        let (seq, what, details) = story.tell(name, details);
        vec![text(item, "event"), clock(&text(item, "at")), seq, what, short(&details)]
    });
    let rows = rows.collect();
    table(&["event", "at", "seq", "what", "details"], rows)
}

impl Story {
    /// The command it is or belongs to, what happened in words, and the rest.
    fn tell(&mut self, name: &str, details: &Value) -> (String, String, String) {
        let mut details = details.as_object().cloned().unwrap_or_default();
        let mut seq = details.remove("seq").and_then(|seq| seq.as_u64());
        self.inherit(name, &details);
        let what = if COMMANDS.contains(&name) {
            let (asked, what) = self.ask(name, &mut details);
            seq = self.known.then_some(self.asked.len() as u64);
            self.asked.push(asked);
            what
        } else {
            self.hear(name, seq, &mut details)
        };
        let seq = seq.map_or(String::new(), |seq| seq.to_string());
        (seq, what.trim_end().to_owned(), rest(&details))
    }

    /// A command: the names it goes by from here on, and what it asks for.
    fn ask(&self, name: &str, details: &mut Details) -> (Asked, String) {
        let mut asked = Asked::default();
        let what = match name {
            "run" => {
                asked.name = take(details, "activity");
                asked.undo = take_activity(details, "undo");
                let undo = after(", undo ", &asked.undo);
                let probe = after(", probe ", &take_activity(details, "probe"));
                format!("run {}{undo}{probe}", asked.name)
            }
            "undo" => {
                asked.name = self.undone_by(details);
                format!("undo {}", asked.name)
            }
            "start_child" => {
                asked.name = take(details, "workflow_id");
                format!("start_child {} {}", take(details, "type"), asked.name)
            }
            "cancel_child" => {
                let child = details.get("child").and_then(Value::as_u64);
                format!("cancel_child {}", self.named(child).name)
            }
            "label" => format!("label {}={}", take(details, "key"), take(details, "value")),
            "patched" => format!("patched {}", take(details, "id")),
            "answer" => self.answered(details),
            _ => name.to_owned(),
        };
        (asked, what)
    }

    /// Anything else: what came of a command, or what came from outside.
    fn hear(&mut self, name: &str, seq: Option<u64>, details: &mut Details) -> String {
        match name {
            "signalled" => format!("signalled {}", take(details, "name")),
            "update_requested" => {
                let update = take(details, "name");
                self.updates.insert(text(details, "id"), update.clone());
                format!("update_requested {update}")
            }
            "held_back" => {
                let again = details.get("retry_at").and_then(Value::as_i64).map(time_of_day);
                let reason = take(details, "reason");
                let why = format!("{reason}, again at {}", again.unwrap_or_default());
                *details = Details::from_iter([("reason".to_owned(), why.into())]);
                format!("{name} {}", self.named(seq).name)
            }
            "stuck" => format!("stuck {} {}", take(details, "reason"), self.named(seq).name),
            _ => format!("{name} {}", self.named(seq).name),
        }
    }

    /// Undos that another run leaves to this one are counted as they come.
    fn inherit(&mut self, name: &str, details: &Details) {
        let owed = match name {
            "started" => details.get("continued"),
            "child_closed" => details.get("outcome").and_then(|outcome| outcome.get("completed")),
            _ => None,
        };
        let owed = owed.and_then(|owed| owed.get("owed")).and_then(Value::as_array);
        let activity = |owed: &Value| Some(owed.get("undo")?.get("activity")?.as_str()?.to_owned());
        self.inherited.extend(owed.into_iter().flatten().map(|o| activity(o).unwrap_or_default()));
    }

    /// The activity of an undo: that of a command of this run, or one that came from another.
    fn undone_by(&self, details: &Details) -> String {
        match details.get("inherited").and_then(Value::as_u64) {
            Some(which) => {
                let name = usize::try_from(which).ok().and_then(|which| self.inherited.get(which));
                name.filter(|_| self.known).cloned().unwrap_or_default()
            }
            None => self.named(details.get("of").and_then(Value::as_u64)).undo,
        }
    }

    /// The answer to an update: which, and what was said.
    fn answered(&self, details: &mut Details) -> String {
        let update = text(details, "update");
        let update = self.updates.get(&update).cloned().unwrap_or(update);
        let Some(Value::Object(answer)) = details.remove("answer") else { return update };
        for (how, said) in answer {
            let said = said.as_object().cloned().unwrap_or_default();
            details.extend(said);
            if how == "refused" {
                return format!("refuse {update}");
            }
        }
        format!("answer {update}")
    }

    fn named(&self, seq: Option<u64>) -> Asked {
        let index = seq.and_then(|seq| usize::try_from(seq).ok());
        let asked = index.and_then(|index| self.asked.get(index));
        asked.filter(|_| self.known).cloned().unwrap_or_default()
    }
}

fn take(details: &mut Details, field: &str) -> String {
    let value = details.remove(field);
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn take_activity(details: &mut Details, field: &str) -> String {
    let call = details.remove(field);
    call.as_ref().and_then(Value::as_object).map_or(String::new(), |call| text(call, "activity"))
}

fn after(word: &str, name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{word}{name}") }
}

/// One field stands for itself; times are told as times.
fn rest(details: &Details) -> String {
    let told = details.iter().map(|(name, value)| match (value.as_i64(), value.as_str()) {
        (Some(micros), _) if name.ends_with("_at") || ["at", "deadline"].contains(&&**name) => {
            (name, time_of_day(micros))
        }
        (_, Some(text)) if ["reason", "detail"].contains(&&**name) => (name, text.to_owned()),
        _ => (name, value.to_string()),
    });
    let told: Vec<_> = told.collect();
    match &told[..] {
        [(_, only)] => only.clone(),
        many => {
            many.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
    }
}

fn time_of_day(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string()
}

fn clock(text: &str) -> String {
    DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |time| time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string(),
    )
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
