//! `hansom views`: what there is, and making it anew from history.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hansom_engine::{EngineError, RebuildReport};
use serde::Deserialize;

use super::output::{self, Format};
use super::workflow::ServerArg;
use super::workflow::client::Rest;
use super::workflow::read::page;
use super::{CliError, Exit, database, home, node};
use crate::config::{Config, DatabaseArgs};
use crate::systems::Systems;

/// How often a long rebuild says how far it is.
const TOLD: Duration = Duration::from_secs(2);

/// Read models: one row for each workflow of a type, fed from its history.
#[derive(Subcommand, Debug)]
pub(crate) enum ViewsCommand {
    /// List views: whose workflows each shows, and how many rows it has.
    List(ListArgs),
    /// Make rows anew from history, while everything goes on.
    Rebuild(RebuildArgs),
}

/// Where to look.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom views list")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArg,
}

/// Make the rows of a view anew from history, or those of all views.
///
/// For a view that is new, or whose fold has changed: only what happens from then on is written
/// by itself. Workers go on meanwhile; nothing that they write is written over by what is older.
/// Rows of views that this binary does not have are removed when no view is named.
#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 when all rows are made, 6 when a view could not mean something of what \
    happened.\n\nExamples:\n  hansom views rebuild\n  \
    hansom views rebuild call_views -o json"
)]
pub(crate) struct RebuildArgs {
    /// Only this view
    name: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// How to print what was made
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(command: ViewsCommand) -> Result<Exit, CliError> {
    match command {
        ViewsCommand::List(args) => list(&args).await,
        ViewsCommand::Rebuild(args) => rebuild(&args).await,
    }
}

async fn list(args: &ListArgs) -> Result<Exit, CliError> {
    #[derive(Deserialize)]
    struct View {
        name: String,
        workflow: Option<String>,
        rows: i64,
    }
    let answer = Rest::of("views", &args.server)?.get(&[], &[], Duration::ZERO).await?;
    page(&answer, args.server.output, "name", |items| {
        let views = items.iter().filter_map(|item| serde_json::from_str(item.get()).ok());
        let row = |View { name, workflow, rows }| {
            vec![name, workflow.unwrap_or_else(|| "-".to_owned()), rows.to_string()]
        };
        output::table(&["view", "workflow", "rows"], views.map(row).collect())
    })
}

async fn rebuild(args: &RebuildArgs) -> Result<Exit, CliError> {
    let config = args.database.resolve()?;
    home::within(&config, async |url| make_anew(url, &config, args).await).await
}

async fn make_anew(url: &str, config: &Config, args: &RebuildArgs) -> Result<Exit, CliError> {
    database::check_migrated(url).await?;
    let pool = database::open(url).await?;
    let systems = Systems::new(&pool, &config.server.services);
    let registry = node::registry(&systems, &config.server.remote)?;
    // What panics is counted, and told with the rest.
    std::panic::set_hook(Box::new(|_| {}));
    let mut told = Instant::now();
    let progress = |report: &RebuildReport| {
        if told.elapsed() >= TOLD {
            told = Instant::now();
            output::note(&format!("… {} rows", report.rows()));
        }
    };
    let rebuilt = hansom_engine::rebuild(&pool, &registry, args.name.as_deref(), progress).await;
    drop(std::panic::take_hook());
    let report = rebuilt.map_err(|error: EngineError| CliError::from(error))?;
    print(&report, args.output)?;
    Ok(if report.failed == 0 { Exit::Ok } else { Exit::Failures })
}

fn print(report: &RebuildReport, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json | Format::Jsonl => {
            let json = serde_json::to_vec(report).map_err(|error| {
                CliError::new(Exit::Unexpected, "the report has no JSON form")
                    .cause(error.to_string())
            })?;
            return output::bytes(&json);
        }
        Format::Ids => report.views.keys().try_for_each(|name| output::line(name))?,
        Format::Table => {
            let rows = report.views.iter().map(|(name, rows)| vec![name.clone(), rows.to_string()]);
            output::table(&["view", "rows made anew"], rows.collect())?;
        }
    }
    if report.removed > 0 {
        output::note(&format!("{} rows removed that nobody has any more", report.removed));
    }
    report.faults.iter().for_each(|fault| output::note(&output::plain(fault)));
    let more = report.failed.saturating_sub(report.faults.len() as u64);
    if more > 0 {
        output::note(&format!("and {more} more"));
    }
    Ok(())
}
