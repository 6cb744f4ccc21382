//! A history as a story: what was asked, what came of it, and what it undoes.

use chrono::{DateTime, Local};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::show::{maps, short, text};
use crate::cli::CliError;
use crate::cli::output::table;

/// Events that are commands: numbered among themselves, as `seq` and `of` say.
const COMMANDS: [&str; 8] =
    ["run", "start_timer", "cancel_timer", "pivot", "unwind", "undo", "complete", "close"];

/// What the commands so far were. Known only where the page starts at the beginning.
struct Story {
    known: bool,
    /// By `seq`: the activity, and the one that undoes it.
    asked: Vec<(String, String)>,
}

/// Prints one page of a history.
pub(crate) fn events(items: &[&RawValue]) -> Result<(), CliError> {
    let items = maps(items);
    let known = items.first().is_some_and(|item| text(item, "event") == "0");
    let mut story = Story { known, asked: Vec::new() };
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
        let mut what = name.to_owned();
        let mut seq = details.remove("seq").and_then(|seq| seq.as_u64());
        let mut names = (String::new(), String::new());
        if name == "run" {
            names.0 = take_text(&mut details, "activity");
            let undo = details.remove("undo");
            let undo = undo.as_ref().and_then(Value::as_object);
            names.1 = undo.map_or(String::new(), |undo| text(undo, "activity"));
            what = format!("run {}", names.0);
            if !names.1.is_empty() {
                what = format!("{what}, undo {}", names.1);
            }
        } else if let Some(of) = details.get("of").and_then(Value::as_u64) {
            names.0 = self.named(of).map_or(String::new(), |(_, undo)| undo.clone());
            what = format!("undo {}", names.0);
        } else if let Some((activity, _)) = seq.and_then(|seq| self.named(seq)) {
            what = format!("{name} {activity}");
        }
        if COMMANDS.contains(&name) {
            seq = self.known.then_some(self.asked.len() as u64);
            self.asked.push(names);
        }
        let seq = seq.map_or(String::new(), |seq| seq.to_string());
        (seq, what.trim_end().to_owned(), rest(&details))
    }

    fn named(&self, seq: u64) -> Option<&(String, String)> {
        let index = usize::try_from(seq).ok()?;
        self.asked.get(index).filter(|_| self.known)
    }
}

fn take_text(details: &mut Map<String, Value>, field: &str) -> String {
    let value = details.remove(field);
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One field stands for itself; times are told as times.
fn rest(details: &Map<String, Value>) -> String {
    let told = details.iter().map(|(name, value)| match value.as_i64() {
        Some(micros) if name.ends_with("_at") || name == "at" => {
            let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
            (name, time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string())
        }
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

fn clock(text: &str) -> String {
    DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |time| time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_command_names_the_command() {
        let mut story = Story { known: true, asked: Vec::new() };
        let mut tell = |name, details| {
            let (seq, what, rest) = story.tell(name, &details);
            format!("{seq}|{what}|{rest}")
        };
        let run = serde_json::json!({
            "activity": "charge", "request": {"fare": 1}, "undo": {"activity": "refund"}
        });
        assert_eq!(tell("run", run), r#"0|run charge, undo refund|{"fare":1}"#);
        assert_eq!(tell("done", serde_json::json!({"seq": 0, "output": 7})), "0|done charge|7");
        assert_eq!(
            tell("unwind", serde_json::json!({"cause": "cancelled"})),
            r#"1|unwind|"cancelled""#
        );
        assert_eq!(tell("undo", serde_json::json!({"of": 0})), "2|undo refund|0");
        assert_eq!(
            tell("done", serde_json::json!({"seq": 2, "output": null})),
            "2|done refund|null"
        );
        assert_eq!(tell("close", serde_json::json!({})), "3|close|");
    }
}
