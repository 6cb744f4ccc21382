//! Definitions, as they are sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hansom_engine::schedule::{Action, Definition, Overlap, Policy, When, parse_duration};

use crate::http::body::Document;
use crate::http::kinds;
use crate::http::problem::{Problem, did_you_mean, echo};
use crate::http::query::{check_id, time_of};

/// The longest note, in bytes.
const MAX_NOTE: usize = 1000;

/// What a schedule is defined by.
const DEFINITION: [&str; 13] = [
    "type",
    "input",
    "labels",
    "workflow_id_prefix",
    "spec",
    "zone",
    "jitter",
    "start_at",
    "end_at",
    "overlap",
    "catchup_window",
    "limited_actions",
    "pause_on_failure",
];

/// An id, what is kept under it, and its note if it begins paused.
pub(super) fn create(body: &Document) -> Result<(String, Definition, Option<String>), Problem> {
    let known: Vec<_> = ["id"].into_iter().chain(DEFINITION).chain(["paused", "note"]).collect();
    body.only(&known)?;
    let id = body.required_text("id")?;
    check_id("/id", &id)?;
    let paused = body.flag("paused")?.unwrap_or_default();
    let note = note_of(body)?;
    if note.is_some() && !paused {
        let detail = "`note` says why it is paused; set `paused` as well";
        return Err(Problem::new(kinds::FIELD_VALUE, detail).field("/note"));
    }
    Ok((id.clone(), definition(body, &id)?, paused.then(|| note.unwrap_or_default())))
}

/// What is kept under an id from now on.
pub(super) fn define(body: &Document, id: &str) -> Result<Definition, Problem> {
    body.only(&DEFINITION)?;
    definition(body, id)
}

fn definition(body: &Document, id: &str) -> Result<Definition, Problem> {
    let defaults = Policy::default();
    let action = Action {
        workflow_type: body.required_text("type")?,
        workflow_id_prefix: body.text("workflow_id_prefix")?.unwrap_or_else(|| id.to_owned()),
        input: body.payload("input").ok_or_else(|| body.required("input"))?,
        labels: body.texts("labels")?,
    };
    let spec = body.required_text("spec")?;
    let zone = body.text("zone")?.unwrap_or_else(|| "UTC".to_owned());
    let when = When {
        jitter: duration(body, "jitter")?.unwrap_or_default(),
        start_at: time(body, "start_at")?,
        end_at: time(body, "end_at")?,
        ..When::new(&spec, &zone)
    };
    let policy = Policy {
        overlap: overlap(body)?.unwrap_or_default(),
        catchup_window: duration(body, "catchup_window")?.unwrap_or(defaults.catchup_window),
        limited_actions: limited(body)?,
        pause_on_failure: body.flag("pause_on_failure")?.unwrap_or_default(),
    };
    Ok(Definition { action, when, policy })
}

/// A policy by its name.
pub(super) fn overlap(body: &Document) -> Result<Option<Overlap>, Problem> {
    let Some(given) = body.text("overlap")? else { return Ok(None) };
    if let Some((_, overlap)) = Overlap::ALL.iter().find(|(name, _)| *name == given) {
        return Ok(Some(*overlap));
    }
    let names = Overlap::ALL.map(|(name, _)| name);
    let near = did_you_mean(&given, names);
    let detail = format!("`overlap` is {}{near} (allowed: {})", echo(&given), names.join(", "));
    Err(Problem::new(kinds::FIELD_VALUE, detail).field("/overlap"))
}

/// The note of a body that has nothing else.
pub(super) fn note(body: Option<&Document>) -> Result<Option<String>, Problem> {
    let Some(body) = body else { return Ok(None) };
    body.only(&["note"])?;
    note_of(body)
}

fn note_of(body: &Document) -> Result<Option<String>, Problem> {
    let note = body.text("note")?;
    match &note {
        Some(text) if !(1..=MAX_NOTE).contains(&text.len()) => {
            let detail = format!("`note` has {} bytes; it has 1 to {MAX_NOTE}", text.len());
            let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/note");
            Err(problem.limit(MAX_NOTE as u64))
        }
        _ => Ok(note),
    }
}

fn duration(body: &Document, name: &str) -> Result<Option<Duration>, Problem> {
    let Some(given) = body.text(name)? else { return Ok(None) };
    parse_duration(&given).map(Some).ok_or_else(|| {
        let detail = format!(
            "`{name}` is {}; a duration is written as 90s, 15m, 1h30m or 7d, to the second",
            echo(&given)
        );
        Problem::new(kinds::DURATION_SYNTAX, detail).field(body.pointer(name))
    })
}

fn time(body: &Document, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    let given = body.text(name)?;
    given.map(|given| time_of(name, &body.pointer(name), &given)).transpose()
}

fn limited(body: &Document) -> Result<Option<u32>, Problem> {
    let Some(given) = body.number("limited_actions")? else { return Ok(None) };
    u32::try_from(given).map(Some).map_err(|_| {
        let detail = format!("`limited_actions` is {given}; it is 1 to {}", u32::MAX);
        let problem = Problem::new(kinds::NUMBER_RANGE, detail).field("/limited_actions");
        problem.limit(u64::from(u32::MAX))
    })
}
