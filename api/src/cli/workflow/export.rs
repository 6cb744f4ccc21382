//! `hansom workflow export`: a stored history as a file, or as a test.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use hansom_core::testing::History;
use hansom_core::{Event, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::output;
use super::super::{CliError, Exit};
use super::client::Rest;
use super::read::Page;
use super::{ServerArg, rehearsal};

/// What to export, and as what.
#[derive(Args, Debug)]
#[command(
    after_help = "Payloads are printed as they are stored: look before you commit them.\n\nExamples:\n  \
    hansom workflow export trip-7 > tests/golden/trip/stuck.json\n  \
    hansom workflow export trip-7 --as-test > tests/trip_7.rs"
)]
pub(crate) struct ExportArgs {
    /// The workflow's id
    id: String,
    /// A rehearsal in Rust: it fails while the body does not agree with this history
    #[arg(long)]
    as_test: bool,
    /// The Rust type of the workflow.
    #[arg(
        long,
        value_name = "PATH",
        requires = "as_test",
        help = "The workflow's Rust type, as my_sagas::Trip, where this binary does not know it"
    )]
    rust_type: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What of a workflow a rehearsal tells.
#[derive(Deserialize)]
pub(super) struct Described {
    pub(super) run: Uuid,
    #[serde(rename = "type")]
    pub(super) workflow_type: String,
    pub(super) status: String,
    pub(super) stuck: Option<Stuck>,
}

/// Why it will not move.
#[derive(Deserialize)]
pub(super) struct Stuck {
    pub(super) reason: String,
}

pub(crate) async fn export(args: ExportArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let described: Described = rest.get(&[&args.id], &[], Duration::ZERO).await?.decode()?;
    let history = History {
        workflow: described.workflow_type.clone(),
        run: described.run.as_u128(),
        commits: commits(&rest, &args.id).await?,
    };
    let text = if args.as_test {
        rehearsal::code(&args.id, &described, &history, args.rust_type.as_deref())
    } else {
        history.to_string()
    };
    output::bytes(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// The whole history, page by page.
async fn commits(rest: &Rest, id: &str) -> Result<Vec<(Timestamp, Vec<Event>)>, CliError> {
    let mut commits: Vec<(Timestamp, Vec<Event>)> = Vec::new();
    let mut cursor = None;
    loop {
        let mut query = vec![("limit".to_owned(), "200".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor)));
        let answer = rest.get(&[id, "history"], &query, Duration::ZERO).await?;
        let page: Page<'_> = answer.decode()?;
        for item in page.items {
            let (at, event) = event(item)?;
            match commits.last_mut() {
                // What was committed together has one time.
                Some((last, events)) if *last == at => events.push(event),
                _ => commits.push((at, vec![event])),
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(commits);
        }
    }
}

/// An event as it is stored: its payloads stay as they came, to the byte.
fn event(item: &RawValue) -> Result<(Timestamp, Event), CliError> {
    let unknown = |error: serde_json::Error| {
        CliError::new(Exit::Unexpected, "this version does not understand an event")
            .cause(error.to_string())
            .hint("export it with the version of the server")
    };
    let fields: std::collections::BTreeMap<&str, &RawValue> =
        serde_json::from_str(item.get()).map_err(unknown)?;
    let at: DateTime<Utc> =
        serde_json::from_str(fields.get("at").map_or("null", |at| at.get())).map_err(unknown)?;
    let what = fields.iter().find(|(name, _)| !["event", "at"].contains(name));
    let what = what.map_or(String::new(), |(name, details)| format!("{{\"{name}\":{details}}}"));
    let event = serde_json::from_str(&what).map_err(unknown)?;
    Ok((Timestamp(at.timestamp_micros()), event))
}
