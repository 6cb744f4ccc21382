//! Waiting for a workflow, for as long as it takes.

use std::time::{Duration, Instant};

use clap::Args;
use reqwest::StatusCode;

use super::super::output::{self, Format};
use super::super::{CliError, Exit};
use super::ServerArg;
use super::client::{Answer, Rest};
use super::show::Outcome;
use crate::duration;

/// A server is asked to wait so long at a time: a workflow that gets stuck is seen then.
const LOOK: Duration = Duration::from_secs(5);

/// Which workflow, and how long.
#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 completed, 20 failed and undone, 21 stuck, 22 cancelled, 23 terminated, 8 still open.\n\n\
    Example:\n  hansom workflow wait trip-7 --timeout 10m"
)]
pub(crate) struct WaitArgs {
    /// The workflow's id
    id: String,
    /// Give up after so long; without it there is no end
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    #[command(flatten)]
    server: ServerArg,
}

pub(crate) async fn wait(args: WaitArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let begun = Instant::now();
    let left = || args.timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
    let (answer, outcome) = loop {
        let look = left().map_or(LOOK, |left| left.min(LOOK));
        let (answer, outcome) = looked(&rest, &args.id, look).await?;
        let open = answer.status == StatusCode::ACCEPTED && outcome.status != "stuck";
        if !open || left().is_some_and(|left| left.is_zero()) {
            break (answer, outcome);
        }
    };
    match args.server.output {
        Format::Table => outcome.print()?,
        Format::Ids => output::line(&args.id)?,
        Format::Json | Format::Jsonl => output::bytes(&answer.body)?,
    }
    Ok(outcome.exit())
}

async fn looked(rest: &Rest, id: &str, wait: Duration) -> Result<(Answer, Outcome), CliError> {
    // Whole milliseconds, as durations are written.
    let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let query = [("wait".to_owned(), duration::show(wait))];
    let answer = rest.get(&[id, "result"], &query, wait).await?;
    let outcome = answer.decode()?;
    Ok((answer, outcome))
}
