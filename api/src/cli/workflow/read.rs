//! Commands that only look.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::output::{self, Format};
use super::super::{CliError, Exit};
use super::client::{Answer, Rest};
use super::{ServerArg, wait_of};
use super::{show, story};

/// Which workflows to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom workflow list --status stuck\n  \
    hansom workflow list --type taxi_call --label city=seoul -o ids")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many: 1 to 200
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// All that must hold.
#[derive(Args, Debug)]
struct FilterArgs {
    /// Of this workflow type
    #[arg(long = "type", value_name = "TYPE")]
    workflow_type: Option<String>,
    /// running, compensating, stuck, completed, failed, cancelled, terminated, continued
    #[arg(long)]
    status: Option<String>,
    /// none, owed, done, partial
    #[arg(long)]
    undo: Option<String>,
    /// With this label; may be given several times
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// At or after this time, as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    started_after: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    started_before: Option<String>,
}

/// Which workflow.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom workflow show trip-7")]
pub(crate) struct ShowArgs {
    /// The workflow's id
    id: String,
    #[command(flatten)]
    server: ServerArg,
}

/// Which part of which history.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom workflow history trip-7 -o jsonl")]
pub(crate) struct HistoryArgs {
    /// The workflow's id
    id: String,
    /// After this event
    #[arg(long, value_name = "EVENT")]
    cursor: Option<String>,
    /// At most so many: 1 to 200
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// Which workflow.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom workflow undo-plan trip-7")]
pub(crate) struct UndoPlanArgs {
    /// The workflow's id
    id: String,
    #[command(flatten)]
    server: ServerArg,
}

/// Which workflow.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom workflow state trip-7")]
pub(crate) struct StateArgs {
    /// The workflow's id
    id: String,
    #[command(flatten)]
    server: ServerArg,
}

/// Which workflow, and how long to wait for it.
#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 completed, 20 failed and undone, 21 stuck, 22 cancelled, 23 terminated, 8 still open.\n\n\
    Example:\n  hansom workflow result trip-7 --wait 30s"
)]
pub(crate) struct ResultArgs {
    /// The workflow's id
    id: String,
    /// Wait until it closes, as 30s; at most 60s
    #[arg(long, value_name = "DURATION")]
    wait: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// A page whose items stay as they came.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) items: Vec<&'a RawValue>,
    pub(super) next: Option<String>,
}

pub(crate) async fn list(args: ListArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let filter = args.filter;
    let mut query = given([
        ("type", filter.workflow_type),
        ("status", filter.status),
        ("undo", filter.undo),
        ("started_after", filter.started_after),
        ("started_before", filter.started_before),
        ("limit", args.limit),
        ("cursor", args.cursor),
    ]);
    for label in &filter.labels {
        let (key, value) = label.split_once('=').ok_or_else(|| {
            CliError::new(Exit::Usage, format!("--label {label}: a label is written KEY=VALUE"))
        })?;
        query.push((format!("label.{key}"), value.to_owned()));
    }
    let answer = rest.get(&[], &query, Duration::ZERO).await?;
    page(&answer, args.server.output, "workflow_id", show::summaries)
}

pub(crate) async fn history(args: HistoryArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let query = given([("cursor", args.cursor), ("limit", args.limit)]);
    let answer = rest.get(&[&args.id, "history"], &query, Duration::ZERO).await?;
    page(&answer, args.server.output, "event", story::events)
}

pub(in crate::cli) fn page(
    answer: &Answer,
    format: Format,
    id: &str,
    table: impl Fn(&[&RawValue]) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    if format == Format::Json {
        output::bytes(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let page: Page<'_> = answer.decode()?;
    let lines = |line: &dyn Fn(&RawValue) -> String| {
        let lines: Vec<_> = page.items.iter().map(|item| line(item)).collect();
        if lines.is_empty() { Ok(()) } else { output::line(&lines.join("\n")) }
    };
    match format {
        Format::Table => table(&page.items)?,
        Format::Ids => lines(&|item| show::text_of(item, id))?,
        Format::Jsonl | Format::Json => lines(&|item| item.get().to_owned())?,
    }
    if let Some(next) = page.next {
        output::note(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn show(args: ShowArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let answer = rest.get(&[&args.id], &[], Duration::ZERO).await?;
    one(&answer, args.server.output, &args.id, show::description)
}

pub(crate) async fn undo_plan(args: UndoPlanArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let answer = rest.get(&[&args.id, "undo-plan"], &[], Duration::ZERO).await?;
    one(&answer, args.server.output, &args.id, show::undo_plan)
}

pub(crate) async fn result(args: ResultArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let query = given([("wait", args.wait.clone())]);
    let wait = wait_of(args.wait.as_deref());
    let answer = rest.get(&[&args.id, "result"], &query, wait).await?;
    let outcome: show::Outcome = answer.decode()?;
    one(&answer, args.server.output, &args.id, |_| outcome.print())?;
    Ok(outcome.exit())
}

pub(crate) async fn state(args: StateArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let answer = rest.get(&[&args.id, "state"], &[], Duration::ZERO).await?;
    one(&answer, args.server.output, &args.id, show::state)
}

pub(in crate::cli) fn one(
    answer: &Answer,
    format: Format,
    id: &str,
    table: impl Fn(&Answer) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    match format {
        Format::Table => table(answer)?,
        Format::Ids => output::line(id)?,
        Format::Json | Format::Jsonl => output::bytes(&answer.body)?,
    }
    Ok(Exit::Ok)
}

pub(in crate::cli) fn given<const N: usize>(
    pairs: [(&str, Option<String>); N],
) -> Vec<(String, String)> {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
