//! Commands that only look.

use std::time::Duration;

use clap::Args;

use super::super::workflow::ServerArg;
use super::super::workflow::read::{given, one, page};
use super::super::{CliError, Exit};
use super::{rest, show};

/// Which schedules to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom schedule list\n  hansom schedule list -o ids")]
pub(crate) struct ListArgs {
    /// At most so many: 1 to 200
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// Which schedule, and how far to look.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom schedule show books\n  \
    hansom schedule show books --next 20 --fires 0")]
pub(crate) struct ShowArgs {
    /// The schedule's id
    id: String,
    /// So many times to come, at most 100
    #[arg(long, value_name = "N")]
    next: Option<String>,
    /// So many last fires, at most 100
    #[arg(long, value_name = "N")]
    fires: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// Which fires of which schedule.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom schedule fires books\n  \
    hansom schedule fires books --outcome missed -o jsonl")]
pub(crate) struct FiresArgs {
    /// The schedule's id
    id: String,
    /// buffered, started, skipped, missed, dropped, failed, paused
    #[arg(long)]
    outcome: Option<String>,
    /// At most so many: 1 to 200
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

pub(crate) async fn list(args: ListArgs) -> Result<Exit, CliError> {
    let query = given([("limit", args.limit), ("cursor", args.cursor)]);
    let answer = rest(&args.server)?.get(&[], &query, Duration::ZERO).await?;
    page(&answer, args.server.output, "schedule_id", show::summaries)
}

pub(crate) async fn show(args: ShowArgs) -> Result<Exit, CliError> {
    let query = given([("next", args.next), ("fires", args.fires)]);
    let answer = rest(&args.server)?.get(&[&args.id], &query, Duration::ZERO).await?;
    one(&answer, args.server.output, &args.id, show::description)
}

pub(crate) async fn fires(args: FiresArgs) -> Result<Exit, CliError> {
    let query = given([("outcome", args.outcome), ("limit", args.limit), ("cursor", args.cursor)]);
    let answer = rest(&args.server)?.get(&[&args.id, "fires"], &query, Duration::ZERO).await?;
    page(&answer, args.server.output, "workflow_id", show::fires)
}
