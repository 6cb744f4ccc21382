//! Talking to a workflow: signals, and updates that it answers.

use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::output::{self, Format};
use super::super::{CliError, Exit};
use super::client::Rest;
use super::write::{accepted, json_of, object, quoted};
use super::{ServerArg, wait_of};

/// What to send.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  hansom workflow signal trip-7 driver_accepted --payload '{\"driver\":3}'"
)]
pub(crate) struct SignalArgs {
    /// The workflow's id
    id: String,
    /// The signal's name
    name: String,
    /// JSON, @FILE, or - for stdin
    #[arg(short, long, default_value = "null", value_name = "JSON")]
    payload: String,
    /// A second signal of the same id is dropped
    #[arg(long, value_name = "ID")]
    signal_id: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to ask.
#[derive(Args, Debug)]
#[command(
    after_help = "Prints what the workflow answers. Exits with 5 when it refuses, 8 when it has not answered yet.\n\n\
    Examples:\n  hansom workflow update trip-7 end_ride '{\"fare\":900}'\n  \
    hansom workflow update trip-7 end_ride @ride.json --update-id end-1 --wait 60s"
)]
pub(crate) struct UpdateArgs {
    /// The workflow's id
    id: String,
    /// The update's name
    name: String,
    /// JSON, @FILE, or - for stdin
    #[arg(default_value = "null", value_name = "JSON")]
    payload: String,
    /// A second update of the same id hears the same answer
    #[arg(long, value_name = "ID")]
    update_id: Option<String>,
    /// Wait for the answer, at most 60s
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: String,
    #[command(flatten)]
    server: ServerArg,
}

/// The workflow's answer, or that there is none yet.
#[derive(Deserialize)]
struct Answered<'a> {
    update_id: String,
    #[serde(borrow)]
    done: Option<&'a RawValue>,
}

pub(crate) async fn signal(args: SignalArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let mut body = vec![("payload", json_of("--payload", &args.payload)?.get().to_owned())];
    body.extend(args.signal_id.map(|id| ("signal_id", quoted(&id))));
    let path = [args.id.as_str(), "signals", &args.name];
    let answer = rest.post(&path, &[], object(&body), Duration::ZERO).await?;
    accepted(&args.server, &answer.body, &args.id, "the signal is recorded")
}

pub(crate) async fn update(args: UpdateArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let mut body = vec![("payload", json_of("JSON", &args.payload)?.get().to_owned())];
    body.extend(args.update_id.map(|id| ("update_id", quoted(&id))));
    let (path, wait) = ([args.id.as_str(), "updates", &args.name], wait_of(Some(&args.wait)));
    let query = [("wait".to_owned(), args.wait.clone())];
    let answer = rest.post(&path, &query, object(&body), wait).await?;
    let answered: Answered<'_> = answer.decode()?;
    let open = answer.status == StatusCode::ACCEPTED;
    match (args.server.output, answered.done) {
        (Format::Json | Format::Jsonl, _) => output::bytes(&answer.body)?,
        (Format::Ids, _) => output::line(&answered.update_id)?,
        (Format::Table, _) if open => {}
        // No answer is one as well: `null`.
        (Format::Table, done) => output::line(&output::plain(done.map_or("null", RawValue::get)))?,
    }
    if open {
        let (id, update) = (&args.id, &answered.update_id);
        output::note(&format!("{id}: no answer yet; ask again with --update-id {update}"));
    }
    Ok(if open { Exit::WaitOver } else { Exit::Ok })
}
