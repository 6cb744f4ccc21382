//! Starting, and what all commands that send something share.

use std::collections::BTreeMap;
use std::io::Read as _;

use clap::Args;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::output::{self, Format};
use super::super::{CliError, Exit};
use super::client::Rest;
use super::show::{self, Outcome};
use super::{ServerArg, wait_of};

/// The largest input that is read; the server takes two megabytes.
const MAX_INPUT: u64 = 4 * 1024 * 1024;

/// What to start.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  hansom workflow start trip trip-7 --input '{\"rider\":1}' --wait 30s\n  \
    hansom workflow start trip trip-8 --input @trip.json --label city=seoul \\\n    --deadline 2h --signal arrived=true"
)]
pub(crate) struct StartArgs {
    /// The workflow type
    #[arg(value_name = "TYPE")]
    workflow_type: String,
    /// Its id: repeating a start with the same id finds the same run
    id: String,
    /// JSON, @FILE, or - for stdin
    #[arg(short, long, default_value = "null", value_name = "JSON")]
    input: String,
    /// For search; may be given several times
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// When a closed run has the id.
    #[arg(
        long,
        value_name = "POLICY",
        help = "When a closed run has the id: reject, allow_failed, allow"
    )]
    id_reuse: Option<String>,
    /// Wait until it closes, as 30s; at most 60s
    #[arg(long, value_name = "DURATION")]
    wait: Option<String>,
    /// Cancel it if it is still open then: a time, or so long from now, as 2h
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// A signal that comes with it: a run that is there already hears it as well
    #[arg(long, value_name = "NAME[=JSON]")]
    signal: Option<String>,
    /// A second signal of the same id is dropped
    #[arg(long, value_name = "ID", requires = "signal")]
    signal_id: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

pub(in crate::cli) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) async fn start(args: StartArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let input = json_of("--input", &args.input)?;
    let labels: BTreeMap<_, _> = args.labels.into_iter().collect();
    let mut body = vec![
        ("type", quoted(&args.workflow_type)),
        ("id", quoted(&args.id)),
        ("input", input.get().to_owned()),
        ("labels", json!(labels).to_string()),
    ];
    body.extend(args.id_reuse.map(|policy| ("id_reuse", quoted(&policy))));
    body.extend(args.deadline.map(|deadline| ("deadline", quoted(&deadline))));
    if let Some(signal) = &args.signal {
        body.push(("signal", signal_of(signal, args.signal_id.as_deref())?));
    }
    let query: Vec<_> = args.wait.iter().map(|wait| ("wait".to_owned(), wait.clone())).collect();
    let answer = rest.post(&[], &query, object(&body), wait_of(args.wait.as_deref())).await?;
    let started: show::Started = answer.decode()?;
    match args.server.output {
        Format::Json | Format::Jsonl => output::bytes(&answer.body)?,
        Format::Ids => output::line(&started.workflow_id)?,
        Format::Table => started.print()?,
    }
    Ok(match (&args.wait, &started.outcome) {
        (None, _) => Exit::Ok,
        (Some(_), None) => Exit::WaitOver,
        (Some(_), Some(outcome)) => outcome.exit(),
    })
}

/// What was asked for is recorded.
pub(super) fn accepted(
    server: &ServerArg,
    body: &[u8],
    id: &str,
    what: &str,
) -> Result<Exit, CliError> {
    match server.output {
        Format::Json | Format::Jsonl => output::bytes(body)?,
        Format::Ids => output::line(id)?,
        Format::Table => output::note(&format!("{id}: {what}; see `hansom workflow show {id}`")),
    }
    Ok(Exit::Ok)
}

/// `NAME` or `NAME=JSON`, as the member of a start.
fn signal_of(given: &str, id: Option<&str>) -> Result<String, CliError> {
    let (name, payload) = given.split_once('=').unwrap_or((given, "null"));
    let payload = json_of("--signal", payload)?.get().to_owned();
    let mut signal = vec![("name", quoted(name)), ("payload", payload)];
    signal.extend(id.map(|id| ("signal_id", quoted(id))));
    Ok(object(&signal))
}

pub(in crate::cli) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An object whose values are JSON already: input is sent as it was given.
pub(in crate::cli) fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
    format!("{{{}}}", members.join(","))
}

/// JSON as it stands, from a file, or from stdin.
pub(in crate::cli) fn json_of(flag: &str, given: &str) -> Result<Box<RawValue>, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::new(Exit::Usage, format!("{flag} {given} cannot be read"))
            .cause(error.to_string())
    };
    let text = match given.strip_prefix('@') {
        Some(path) => read(std::fs::File::open(path).map_err(unreadable)?).map_err(unreadable)?,
        None if given == "-" => read(std::io::stdin()).map_err(unreadable)?,
        None => given.to_owned(),
    };
    if text.len() as u64 > MAX_INPUT {
        let what = format!("{flag} {given} has more than {MAX_INPUT} bytes");
        return Err(CliError::new(Exit::Usage, what));
    }
    let text = text.trim_start_matches('\u{feff}').trim().to_owned();
    RawValue::from_string(text).map_err(|error| {
        CliError::new(Exit::Usage, format!("{flag} is not JSON"))
            .cause(error.to_string())
            .hint(format!("write it as {flag} '{{\"key\":1}}', {flag} @file.json, or {flag} -"))
    })
}

fn read(from: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than is taken, so that an endless file is seen to be too long.
    from.take(MAX_INPUT + 1).read_to_string(&mut text)?;
    Ok(text)
}

impl Outcome {
    /// What a script should make of it.
    pub(crate) fn exit(&self) -> Exit {
        match self.status.as_str() {
            "completed" => Exit::Ok,
            "failed" => Exit::Failed,
            "cancelled" => Exit::Cancelled,
            "terminated" => Exit::Terminated,
            "stuck" => Exit::Stuck,
            _ => Exit::WaitOver,
        }
    }
}
