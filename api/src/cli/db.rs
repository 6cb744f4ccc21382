//! `hansom db`: the database's URL, or a session in it.

use std::path::PathBuf;

use clap::Subcommand;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::home::Home;
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
            let left_running = Home::open(&args.resolve()?).await?;
            output::line(left_running.url())?;
            Ok(Exit::Ok)
        }
        DbCommand::Psql(args) => psql(&args).await,
    }
}

async fn psql(args: &PsqlArgs) -> Result<Exit, CliError> {
    let home = Home::open(&args.database.resolve()?).await?;
    let beside = home.cluster().map(|cluster| cluster.bin_dir().join("psql"));
    let program = beside.filter(|psql| psql.is_file()).unwrap_or_else(|| PathBuf::from("psql"));
    let (url, password) = apart(home.url());
    let mut command = tokio::process::Command::new(&program);
    let child = command.envs(password.map(|password| ("PGPASSWORD", password)));
    let child = child.arg(&url).args(&args.rest).spawn();
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
    let ended = match ended {
        Ok(status) if status.success() => Ok(Exit::Ok),
        Ok(_) => Ok(Exit::Unexpected),
        Err(error) => Err(CliError::new(
            Exit::Unexpected,
            format!("cannot run {}", program.display()),
        )
        .cause(error.to_string())
        .hint("install the client (`apt-get install postgresql-client`), or use `hansom db url`")),
    };
    home.leave(ended).await
}

/// A URL without its password, and that: whatever is on a command line, everybody on the machine
/// may read.
fn apart(url: &str) -> (String, Option<String>) {
    let Ok(mut url) = Url::parse(url) else { return (url.to_owned(), None) };
    let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
    let (secret, plain): (Vec<_>, Vec<_>) = pairs.partition(|pair| pair.starts_with("password="));
    // As Postgres's own clients have it, what is said later holds.
    let last = secret.last().map(|pair| &pair["password=".len()..]).or(url.password());
    let password = last.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
    let query = plain.join("&");
    url.set_query((!query.is_empty()).then_some(&query));
    // It is refused where there is no host, and so no password.
    let _ = url.set_password(None);
    (url.into(), password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_a_url_wherever_it_stands() {
        for (url, left, password) in [
            ("postgres://me:s%2F3@h:1/d", "postgres://me@h:1/d", Some("s/3")),
            ("postgres://me@h/d?sslmode=disable", "postgres://me@h/d?sslmode=disable", None),
            ("postgres:///d?password=s+3&host=%2Fx", "postgres:///d?host=%2Fx", Some("s+3")),
            ("postgres://me:one@h/d?password=two", "postgres://me@h/d", Some("two")),
        ] {
            assert_eq!(apart(url), (left.to_owned(), password.map(str::to_owned)));
        }
    }
}
