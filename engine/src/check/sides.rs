//! What history has and what the code asks for, side by side.

use hansom_core::{Event, Payload};
use serde::Serialize;
use serde_json::{Map, Value};

/// No more of an event is shown, in bytes.
const SHOWN: usize = 16 * 1024;

/// An event as JSON; the beginning of it, as text, when it is very long.
pub(super) fn shown(event: &Event) -> Payload {
    let json = serde_json::to_string(event).unwrap_or_default();
    match json.char_indices().nth(SHOWN) {
        Some((end, _)) => Payload::of(&format!("{}…", &json[..end])),
        None => Payload::parse(json),
    }
    .expect("text has a JSON form")
}

/// An event in a word or two: `run charge_fare`, `start_timer`.
pub(super) fn name(event: &Event) -> String {
    let (tag, fields) = parts(event);
    match fields.get("activity").and_then(Value::as_str) {
        Some(activity) => format!("{tag} {activity}"),
        None => tag,
    }
}

/// What is different, in words.
pub(super) fn difference(history: &Event, code: Option<&Event>) -> String {
    let (recorded, asked) = (name(history), code.map_or("nothing".to_owned(), name));
    if recorded != asked {
        return format!("history has {recorded}, the code asks for {asked}");
    }
    let (old, new) = (parts(history).1, code.map(|code| parts(code).1).unwrap_or_default());
    let mut fields: Vec<_> = old.keys().chain(new.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.retain(|field| old.get(*field) != new.get(*field));
    let fields: Vec<_> = fields.into_iter().map(String::as_str).collect();
    format!("the code asks for {asked} with another {}", fields.join(" and "))
}

/// A unit of an enum, as in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn parts(event: &Event) -> (String, Map<String, Value>) {
    let Ok(Value::Object(event)) = serde_json::to_value(event) else { return Default::default() };
    let (tag, fields) = event.into_iter().next().unwrap_or_default();
    match fields {
        Value::Object(fields) => (tag, fields),
        _ => (tag, Map::new()),
    }
}
