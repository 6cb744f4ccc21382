//! Commands that change something.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::output::{self, Format};
use super::super::workflow::ServerArg;
use super::super::workflow::client::Answer;
use super::super::workflow::read::one;
use super::super::workflow::write::{json_of, label, object, quoted};
use super::super::{CliError, Exit};
use super::{rest, show};

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

/// What to create.
#[derive(Args, Debug)]
#[command(
    after_help = "A time of day that is skipped when the clock is put forward is due at that instant, and one that\n\
    is shown twice only the first time. With a * as minute or hour it goes with the clock.\n\n\
    Examples:\n  hansom schedule create books close_books --spec '30 2 * * *' --zone Europe/Berlin\n  \
    hansom schedule create poll poll_bank --spec 'every 15m' --overlap buffer_one --input '{\"bank\":1}'"
)]
pub(crate) struct CreateArgs {
    /// Its id
    id: String,
    /// The workflow type to start
    #[arg(value_name = "TYPE")]
    workflow_type: String,
    /// When, as in crontab: '30 2 * * 1-5', @daily, 'every 15m', 'every 1h phase 5m'
    #[arg(long)]
    spec: String,
    #[command(flatten)]
    definition: DefinitionArgs,
    /// Begin paused
    #[arg(long)]
    paused: bool,
    /// Why it begins paused
    #[arg(long, value_name = "TEXT", requires = "paused")]
    note: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What may be left out.
#[derive(Args, Debug)]
struct DefinitionArgs {
    /// IANA time zone of the spec, as Europe/Berlin; UTC unless it is given
    #[arg(long)]
    zone: Option<String>,
    /// JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "JSON")]
    input: Option<String>,
    /// For search; may be given several times
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// What its workflows' ids begin with; its id unless it is given
    #[arg(long, value_name = "TEXT")]
    workflow_id_prefix: Option<String>,
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// More about the time.
#[derive(Args, Debug)]
struct TimingArgs {
    /// Up to so much later than its time, as 30s
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
    /// Not before this time, as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    start_at: Option<String>,
    /// Not after this time
    #[arg(long, value_name = "TIME")]
    end_at: Option<String>,
}

/// What if not everything goes by the clock.
#[derive(Args, Debug)]
struct PolicyArgs {
    /// When a run is still open.
    #[arg(
        long,
        value_name = "POLICY",
        help = "When a run is still open: skip, buffer_one, buffer_all, cancel_other, allow_all, terminate_other"
    )]
    overlap: Option<String>,
    /// What could not be started for longer is missed; 1h unless it is given
    #[arg(long, value_name = "DURATION")]
    catchup_window: Option<String>,
    /// Over after so many starts by the clock
    #[arg(long, value_name = "N")]
    limited_actions: Option<u32>,
    /// Pause it when a run fails: true or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pause_on_failure: Option<bool>,
}

impl DefinitionArgs {
    /// The members of a definition that were given.
    fn members(self) -> Result<Vec<(&'static str, String)>, CliError> {
        let Self { zone, input, labels, workflow_id_prefix, timing, policy } = self;
        let texts = [
            ("zone", zone),
            ("workflow_id_prefix", workflow_id_prefix),
            ("jitter", timing.jitter),
            ("start_at", timing.start_at),
            ("end_at", timing.end_at),
            ("overlap", policy.overlap),
            ("catchup_window", policy.catchup_window),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, quoted(&text?))));
        let mut members: Vec<_> = texts.collect();
        if let Some(input) = input {
            members.push(("input", json_of("--input", &input)?.get().to_owned()));
        }
        if !labels.is_empty() {
            let labels: BTreeMap<_, _> = labels.into_iter().collect();
            members.push(("labels", json!(labels).to_string()));
        }
        members.extend(policy.limited_actions.map(|n| ("limited_actions", n.to_string())));
        members.extend(policy.pause_on_failure.map(|is| ("pause_on_failure", is.to_string())));
        Ok(members)
    }
}

/// What to change.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom schedule update books --spec '0 3 * * *'\n  \
    hansom schedule update books --overlap buffer_one --pause-on-failure")]
pub(crate) struct UpdateArgs {
    /// The schedule's id
    id: String,
    /// The workflow type to start
    #[arg(long = "type", value_name = "TYPE")]
    workflow_type: Option<String>,
    /// When, as in crontab
    #[arg(long)]
    spec: Option<String>,
    #[command(flatten)]
    definition: DefinitionArgs,
    #[command(flatten)]
    server: ServerArg,
}

/// What to pause.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom schedule pause books --note 'the auditors are here'")]
pub(crate) struct PauseArgs {
    /// The schedule's id
    id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to resume.
#[derive(Args, Debug)]
#[command(after_help = "What was due meanwhile is not made up for; `backfill` does that.\n\n\
    Example:\n  hansom schedule resume books")]
pub(crate) struct ResumeArgs {
    /// The schedule's id
    id: String,
    /// For whoever looks next
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to fire.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom schedule trigger books --overlap allow_all")]
pub(crate) struct TriggerArgs {
    /// The schedule's id
    id: String,
    /// Instead of the schedule's own policy
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to make up for.
#[derive(Args, Debug)]
#[command(
    after_help = "At most 1000 times, one after the other unless --overlap says otherwise.\n\n\
    Example:\n  hansom schedule backfill books --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z"
)]
pub(crate) struct BackfillArgs {
    /// The schedule's id
    id: String,
    /// From this time on, as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: String,
    /// To this time, which is past
    #[arg(long, value_name = "TIME")]
    to: String,
    /// When a run is still open; `buffer_all` unless it is given
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to forget.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom schedule delete books")]
pub(crate) struct DeleteArgs {
    /// The schedule's id
    id: String,
    #[command(flatten)]
    server: ServerArg,
}

pub(crate) async fn create(args: CreateArgs) -> Result<Exit, CliError> {
    let mut body = vec![
        ("id", quoted(&args.id)),
        ("type", quoted(&args.workflow_type)),
        ("spec", quoted(&args.spec)),
    ];
    body.extend(args.definition.members()?);
    if !body.iter().any(|(name, _)| *name == "input") {
        body.push(("input", "null".to_owned()));
    }
    if args.paused {
        body.push(("paused", "true".to_owned()));
    }
    body.extend(args.note.map(|note| ("note", quoted(&note))));
    let answer = rest(&args.server)?.post(&[], &[], object(&body), Duration::ZERO).await?;
    one(&answer, args.server.output, &args.id, show::description)
}

pub(crate) async fn update(args: UpdateArgs) -> Result<Exit, CliError> {
    let rest = rest(&args.server)?;
    let now = rest.get(&[&args.id], &[], Duration::ZERO).await?;
    let mut fields: BTreeMap<String, Box<RawValue>> = now.decode()?;
    let mut given = args.definition.members()?;
    given.extend(args.workflow_type.map(|kind| ("type", quoted(&kind))));
    given.extend(args.spec.map(|spec| ("spec", quoted(&spec))));
    let members = DEFINITION.into_iter().filter_map(|name| {
        let given = given.iter().find(|(given, _)| *given == name).map(|(_, json)| json.clone());
        let kept = fields.remove(name).map(|kept| kept.get().to_owned());
        Some((name, given.or(kept)?))
    });
    let body = object(&members.collect::<Vec<_>>());
    let answer = rest.put(&[&args.id], body).await?;
    one(&answer, args.server.output, &args.id, show::description)
}

pub(crate) async fn pause(args: PauseArgs) -> Result<Exit, CliError> {
    let answer = noted(&args.server, &[&args.id, "pause"], args.note.as_deref()).await?;
    told(&args.server, &answer, &args.id, "paused")
}

pub(crate) async fn resume(args: ResumeArgs) -> Result<Exit, CliError> {
    let answer = noted(&args.server, &[&args.id, "resume"], args.note.as_deref()).await?;
    told(&args.server, &answer, &args.id, "goes on")
}

async fn noted(server: &ServerArg, path: &[&str], note: Option<&str>) -> Result<Answer, CliError> {
    let body: Vec<_> = note.iter().map(|note| ("note", quoted(note))).collect();
    rest(server)?.post(path, &[], object(&body), Duration::ZERO).await
}

pub(crate) async fn trigger(args: TriggerArgs) -> Result<Exit, CliError> {
    let body: Vec<_> = args.overlap.iter().map(|policy| ("overlap", quoted(policy))).collect();
    let rest = rest(&args.server)?;
    let answer = rest.post(&[&args.id, "trigger"], &[], object(&body), Duration::ZERO).await?;
    let asked: Asked = answer.decode()?;
    let what = format!("a fire is recorded, for `{}`", asked.workflow_id);
    told(&args.server, &answer, &args.id, &what)
}

pub(crate) async fn backfill(args: BackfillArgs) -> Result<Exit, CliError> {
    let mut body = vec![("from", quoted(&args.from)), ("to", quoted(&args.to))];
    body.extend(args.overlap.map(|policy| ("overlap", quoted(&policy))));
    let rest = rest(&args.server)?;
    let answer = rest.post(&[&args.id, "backfill"], &[], object(&body), Duration::ZERO).await?;
    let asked: Asked = answer.decode()?;
    let what = match asked.fires {
        0 => "no fire is recorded: none is due in that range, or all of them are there".to_owned(),
        1 => "1 fire is recorded".to_owned(),
        fires => format!("{fires} fires are recorded"),
    };
    told(&args.server, &answer, &args.id, &what)
}

/// What was asked for.
#[derive(serde::Deserialize)]
struct Asked {
    workflow_id: String,
    fires: u32,
}

pub(crate) async fn delete(args: DeleteArgs) -> Result<Exit, CliError> {
    rest(&args.server)?.delete(&[&args.id]).await?;
    output::note(&format!("{}: it is gone; what it started goes on", args.id));
    Ok(Exit::Ok)
}

fn told(server: &ServerArg, answer: &Answer, id: &str, what: &str) -> Result<Exit, CliError> {
    match server.output {
        Format::Json | Format::Jsonl => output::bytes(&answer.body)?,
        Format::Ids => output::line(id)?,
        Format::Table => output::note(&format!("{id}: {what}; see `hansom schedule show {id}`")),
    }
    Ok(Exit::Ok)
}
