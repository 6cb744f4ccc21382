//! `hansom bench`: on a database made for it and dropped afterwards.

use clap::Args;
use sqlx::migrate::MigrateDatabase as _;

use super::home::Home;
use super::output::{self, Format};
use super::{CliError, Exit, database, logging};
use crate::bench::{self, BenchArgs, BenchError};
use crate::config::{ConfigArgs, DEFAULT_FILTER, mask};

/// Measure what this machine and this Postgres can do.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom bench\n  hansom bench --sagas 5000 -o json")]
pub(crate) struct BenchCommand {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print the figures
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(args: &BenchCommand) -> Result<(), CliError> {
    let mut config = args.config.resolve()?;
    // Figures are what is asked for; what happens on the way is not, unless somebody says so.
    if config.log.filter == DEFAULT_FILTER {
        "warn".clone_into(&mut config.log.filter);
    }
    logging::init(&config.log);
    let home = Home::open(&config).await?;
    let measured = async {
        let url = beside(home.url(), &format!("hansom_bench_{}", std::process::id()))?;
        measure(args, &url).await
    };
    let measured = measured.await;
    home.leave(measured).await
}

async fn measure(args: &BenchCommand, url: &str) -> Result<(), CliError> {
    let created = sqlx::Postgres::create_database(url).await;
    created.map_err(|error| database::refused(url, &error))?;
    let progress = |text: &str| output::note(&format!("… {text}"));
    let report = bench::run(&args.bench, url, progress).await;
    if let Err(error) = sqlx::Postgres::force_drop_database(url).await {
        output::note(&format!("warning: {} is left behind: {error}", mask(url)));
    }
    let report = report?;
    match args.output {
        Format::Json | Format::Jsonl | Format::Ids => {
            let json = serde_json::to_vec(&report).map_err(BenchError::from)?;
            output::bytes(&json)
        }
        Format::Table => {
            let rows = report.lines().into_iter();
            let rows = rows.map(|(what, figure, unit)| vec![what, figure, unit.to_owned()]);
            output::table(&["what", "figure", "unit"], rows.collect())
        }
    }
}

/// The URL of another database of the same server.
fn beside(url: &str, name: &str) -> Result<String, CliError> {
    let mut url = reqwest::Url::parse(url).map_err(|error| {
        CliError::new(Exit::Usage, format!("cannot read {}", mask(url))).cause(error.to_string())
    })?;
    url.set_path(name);
    Ok(url.into())
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        Self::new(Exit::Unexpected, "the benchmark came to nothing").cause(error.to_string())
    }
}
