//! Answers as tables.

use chrono::{DateTime, Local, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::CliError;
use super::super::output::{line, plain, table};
use super::client::Answer;

/// An object of an answer.
pub(in crate::cli) type Row = Map<String, Value>;

/// How much of a payload fits a cell.
const CELL: usize = 60;

/// Answer to a start.
#[derive(Deserialize)]
pub(crate) struct Started {
    pub(crate) workflow_id: String,
    run: String,
    existing: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// How a workflow ended, or that it did not yet.
#[derive(Deserialize)]
pub(crate) struct Outcome {
    pub(crate) status: String,
    output: Option<Value>,
    error: Option<Value>,
}

/// What a workflow shows of itself.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    state: Option<&'a RawValue>,
}

impl Started {
    pub(crate) fn print(&self) -> Result<(), CliError> {
        let how = if self.existing { "was there" } else { "started" };
        pairs(&[("workflow", &self.workflow_id), ("run", &self.run), ("", how)])?;
        self.outcome.as_ref().map_or(Ok(()), Outcome::print)
    }
}

impl Outcome {
    pub(crate) fn print(&self) -> Result<(), CliError> {
        let (output, error) = (pretty(self.output.as_ref()), pretty(self.error.as_ref()));
        pairs(&[("status", &self.status), ("output", &output), ("error", &error)])
    }
}

fn pretty(value: Option<&Value>) -> String {
    value.map_or(String::new(), Value::to_string)
}

/// Lines of a name and a value; those without a value are left out.
pub(in crate::cli) fn pairs(pairs: &[(&str, &str)]) -> Result<(), CliError> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:width$}  {}", plain(value)))
        .collect();
    line(&lines.join("\n"))
}

/// A field of an item as text, whatever its type.
pub(crate) fn text_of(item: &RawValue, field: &str) -> String {
    let item: Row = serde_json::from_str(item.get()).unwrap_or_default();
    text(&item, field)
}

pub(in crate::cli) fn text(item: &Row, field: &str) -> String {
    match item.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(in crate::cli) fn maps(items: &[&RawValue]) -> Vec<Row> {
    items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
}

/// The local time to the second, and how long ago that is.
pub(in crate::cli) fn time(text: &str) -> String {
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return text.to_owned() };
    format!(
        "{} ({})",
        time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S"),
        relative(time.to_utc())
    )
}

pub(in crate::cli) fn second(text: &str) -> String {
    DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

fn ago(text: &str) -> String {
    DateTime::parse_from_rfc3339(text)
        .map_or_else(|_| text.to_owned(), |time| relative(time.to_utc()))
}

fn relative(time: DateTime<Utc>) -> String {
    let seconds = (Utc::now() - time).num_seconds();
    let (value, unit) = match seconds.abs() {
        s @ ..60 => (s, "s"),
        s @ 60..3_600 => (s / 60, "m"),
        s @ 3_600..86_400 => (s / 3_600, "h"),
        s => (s / 86_400, "d"),
    };
    if seconds < 0 { format!("in {value}{unit}") } else { format!("{value}{unit} ago") }
}

pub(in crate::cli) fn short(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A list of workflows.
pub(crate) fn summaries(items: &[&RawValue]) -> Result<(), CliError> {
    let rows = maps(items)
        .iter()
        .map(|item| {
            let mut row: Vec<_> =
                ["workflow_id", "type", "status", "undo"].map(|field| text(item, field)).into();
            row.push(item.get("started_at").and_then(Value::as_str).map_or(String::new(), second));
            row.push(item.get("closed_at").and_then(Value::as_str).map_or(String::new(), ago));
            row
        })
        .collect();
    table(&["workflow", "type", "status", "undo", "started", "closed"], rows)
}

/// A workflow as it stands now.
pub(crate) fn description(answer: &Answer) -> Result<(), CliError> {
    let item: Row = answer.decode()?;
    let of = |field: &str| text(&item, field);
    let stuck = item.get("stuck").and_then(Value::as_object);
    let stuck = stuck.map_or(String::new(), |stuck| {
        format!("{}: {}", text(stuck, "reason"), text(stuck, "detail"))
    });
    let labels = item.get("labels").and_then(Value::as_object).map_or(String::new(), |labels| {
        labels
            .keys()
            .map(|key| format!("{key}={}", text(labels, key)))
            .collect::<Vec<_>>()
            .join(" ")
    });
    let closed = item.get("closed_at").and_then(Value::as_str).map_or(String::new(), time);
    let deadline = item.get("deadline").and_then(Value::as_str).map_or(String::new(), time);
    pairs(&[
        ("workflow", &of("workflow_id")),
        ("run", &of("run")),
        ("type", &of("type")),
        ("code", &of("code")),
        ("status", &of("status")),
        ("stuck", &stuck),
        ("undo", &of("undo")),
        ("pivoted", &of("pivoted")),
        ("started", &time(&of("started_at"))),
        ("deadline", &deadline),
        ("closed", &closed),
        ("labels", &labels),
        ("state", &short(&of("state"))),
        ("events", &of("events")),
    ])?;
    let activities = rows(&item, "activities", ("how", how_activity));
    let fields = ["seq", "activity", "how", "attempt", "retry_at", "last_failure"];
    section("activities", &activities, &fields)?;
    section("timers", &rows(&item, "timers", ("how", |_| String::new())), &["seq", "fires_at"])?;
    let children = rows(&item, "children", ("how", |row| said(row, "cancelling")));
    section("children", &children, &["seq", "workflow_id", "type", "how", "started_at"])?;
    undos("owed undos", &rows(&item, "owed_undos", ("from", from)))
}

/// What is being done with an activity, when it is not simply tried.
fn how_activity(activity: &Row) -> String {
    let undo = activity.get("undo_of").and_then(Value::as_u64);
    let undo = undo.map_or(String::new(), |of| format!("undo of {of}"));
    let held = said(activity, "held_back").replace('_', " ");
    let how = [held, said(activity, "verifying"), said(activity, "parked"), undo];
    how.into_iter().filter(|how| !how.is_empty()).collect::<Vec<_>>().join(", ")
}

fn said(row: &Row, field: &str) -> String {
    if row.get(field) == Some(&Value::Bool(true)) { field.to_owned() } else { String::new() }
}

/// The workflow that acted, when it is another run that undoes it.
fn from(undo: &Row) -> String {
    undo.get("origin").and_then(Value::as_object).map_or(String::new(), |o| text(o, "workflow_id"))
}

/// Undos in order; where they come from other runs, with those.
fn undos(title: &str, rows: &[Row]) -> Result<(), CliError> {
    let inherited = rows.iter().any(|row| !text(row, "from").is_empty());
    let mut fields = vec!["of", "activity", "because", "exhausted", "request"];
    if inherited {
        fields.insert(1, "from");
    }
    section(title, rows, &fields)
}

/// What the body published last, as it did.
pub(crate) fn state(answer: &Answer) -> Result<(), CliError> {
    let shown: Shown<'_> = answer.decode()?;
    line(&shown.state.map_or_else(|| "null".to_owned(), |state| plain(state.get())))
}

/// An undo plan, in order.
pub(crate) fn undo_plan(answer: &Answer) -> Result<(), CliError> {
    let item: Row = answer.decode()?;
    let plan = rows(&item, "undos", ("from", from));
    if plan.is_empty() { line("nothing would be undone") } else { undos("undos", &plan) }
}

/// The lines of a list within an answer, each with one column more that is made of it.
fn rows(item: &Row, name: &str, (column, tell): (&str, fn(&Row) -> String)) -> Vec<Row> {
    let rows = item.get(name).and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(Value::as_object)
        .map(|row| {
            let mut row = row.clone();
            row.insert(column.to_owned(), tell(&row).into());
            row
        })
        .collect()
}

fn section(title: &str, rows: &[Row], fields: &[&str]) -> Result<(), CliError> {
    let cells = |row: &Row| {
        let cell = |field: &&str| match field.strip_suffix("_at") {
            Some(_) if row.get(*field).is_some_and(Value::is_string) => time(&text(row, field)),
            _ => short(&text(row, field)),
        };
        fields.iter().map(cell).collect()
    };
    if rows.is_empty() {
        return Ok(());
    }
    line(&format!("\n{title}"))?;
    table(fields, rows.iter().map(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_says_how_long_ago_it_was() {
        assert_eq!(relative(Utc::now() - chrono::Duration::minutes(90)), "1h ago");
        assert_eq!(
            relative(Utc::now() + chrono::Duration::days(3) + chrono::Duration::hours(1)),
            "in 3d"
        );
    }
}
