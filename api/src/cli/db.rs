//! `hansom db`: the database's URL, or a session in it.

use std::path::PathBuf;

use clap::Subcommand;
use hansom_postgres::Cluster;

use super::dev::{DATABASE, start_cluster};
use super::{CliError, Exit, output};
use crate::config::DatabaseArgs;

/// The database: its URL, or a session in it.
#[derive(Subcommand, Debug)]
pub(crate) enum DbCommand {
    /// Print the URL; starts the embedded Postgres if it is the one, and leaves it running.
    #[command(after_help = "Example:\n  psql \"$(hansom db url)\"")]
    Url(DatabaseArgs),
    /// Open a session with psql.
    #[command(after_help = "Example:\n  hansom db psql -- -c 'select count(*) from workflow'")]
    Psql(PsqlArgs),
}

/// Where, and what to hand on.
#[derive(clap::Args, Debug)]
pub(crate) struct PsqlArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Handed on to psql.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) async fn run(command: DbCommand) -> Result<Exit, CliError> {
    match command {
        DbCommand::Url(args) => {
            let (url, _left_running) = open(&args).await?;
            output::line(&url)?;
            Ok(Exit::Ok)
        }
        DbCommand::Psql(args) => psql(&args).await,
    }
}

async fn open(args: &DatabaseArgs) -> Result<(String, Option<Cluster>), CliError> {
    let config = args.resolve()?;
    if let Some(url) = config.database.url {
        return Ok((url, None));
    }
    let cluster = start_cluster(&config).await?;
    Ok((cluster.url(DATABASE), Some(cluster)))
}

async fn psql(args: &PsqlArgs) -> Result<Exit, CliError> {
    let (url, cluster) = open(&args.database).await?;
    let beside = cluster.as_ref().map(|cluster| cluster.bin_dir().join("psql"));
    let program = beside.filter(|psql| psql.is_file()).unwrap_or_else(|| PathBuf::from("psql"));
    let mut command = tokio::process::Command::new(&program);
    let child = command.arg(&url).args(&args.rest).spawn();
    let ended = match child {
        Ok(mut child) => {
            // Ctrl-C is for psql, which cancels a query with it.
            let ignored = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
            let ended = child.wait().await;
            ignored.abort();
            ended
        }
        Err(error) => Err(error),
    };
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    match ended {
        Ok(status) if status.success() => Ok(Exit::Ok),
        Ok(_) => Ok(Exit::Unexpected),
        Err(error) => Err(CliError::new(
            Exit::Unexpected,
            format!("cannot run {}", program.display()),
        )
        .cause(error.to_string())
        .hint("install the client (`apt-get install postgresql-client`), or use `hansom db url`")),
    }
}
