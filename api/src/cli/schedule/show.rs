//! Schedules as tables.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::CliError;
use super::super::output::{line, table};
use super::super::workflow::client::Answer;
use super::super::workflow::show::{Row, maps, pairs, second, short, text, time};

/// A list of schedules.
pub(crate) fn summaries(items: &[&RawValue]) -> Result<(), CliError> {
    let items = maps(items);
    let rows = items.iter().map(|item| {
        let mut row: Vec<_> =
            ["schedule_id", "type", "spec", "zone"].map(|field| text(item, field)).into();
        row.push(second(&text(item, "next_at")));
        row.push(standing(item));
        row
    });
    table(&["schedule", "type", "spec", "zone", "next", "paused"], rows.collect())
}

/// Whether it is paused, and why.
fn standing(item: &Row) -> String {
    let note = text(item, "note");
    match (item.get("paused").and_then(Value::as_bool), note.is_empty()) {
        (Some(true), true) => "paused".to_owned(),
        (Some(true), false) => format!("paused: {note}"),
        _ => note,
    }
}

/// A schedule as it stands now.
pub(crate) fn description(answer: &Answer) -> Result<(), CliError> {
    let item: Row = answer.decode()?;
    let of = |field: &str| text(&item, field);
    let when = |field: &str| match of(field) {
        none if none.is_empty() => none,
        some => time(&some),
    };
    let labels = item.get("labels").and_then(Value::as_object).map_or(String::new(), |labels| {
        let labels = labels.keys().map(|key| format!("{key}={}", text(labels, key)));
        labels.collect::<Vec<_>>().join(" ")
    });
    let unless = |field: &str, usual: &str| Some(of(field)).filter(|given| given != usual);
    let or_none = Option::unwrap_or_default;
    pairs(&[
        ("schedule", &of("schedule_id")),
        ("type", &of("type")),
        ("input", &short(&of("input"))),
        ("labels", &labels),
        ("spec", &of("spec")),
        ("zone", &of("zone")),
        ("jitter", &or_none(unless("jitter", "0s"))),
        ("start", &when("start_at")),
        ("end", &when("end_at")),
        ("overlap", &of("overlap")),
        ("catch-up", &of("catchup_window")),
        ("remaining", &of("remaining")),
        ("on failure", if of("pause_on_failure") == "true" { "pause" } else { "" }),
        ("state", &standing(&item)),
        ("buffered", &or_none(unless("buffered", "0"))),
        ("running", &texts(&item, "running").join(" ")),
        ("updated", &when("updated_at")),
    ])?;
    let next = texts(&item, "next");
    if !next.is_empty() {
        line("\nnext")?;
        line(&next.iter().map(|at| time(at)).collect::<Vec<_>>().join("\n"))?;
    }
    let fires = item.get("fires").and_then(Value::as_array).into_iter().flatten();
    let fires: Vec<_> = fires.filter_map(Value::as_object).cloned().collect();
    if fires.is_empty() {
        return Ok(());
    }
    line("\nfires")?;
    rows(&fires)
}

fn texts<'a>(item: &'a Row, field: &str) -> Vec<&'a str> {
    let list = item.get(field).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// What became of nominal times.
pub(crate) fn fires(items: &[&RawValue]) -> Result<(), CliError> {
    rows(&maps(items))
}

fn rows(fires: &[Row]) -> Result<(), CliError> {
    let rows = fires.iter().map(|fire| {
        let cause = text(fire, "cause");
        vec![
            second(&text(fire, "nominal")),
            text(fire, "outcome"),
            if cause == "schedule" { String::new() } else { cause },
            text(fire, "workflow_id"),
            short(&text(fire, "detail")),
        ]
    });
    table(&["nominal", "outcome", "by", "workflow", "detail"], rows.collect())
}
