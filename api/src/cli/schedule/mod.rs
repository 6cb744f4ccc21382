//! `hansom schedule`: through the public REST API only.

mod read;
mod show;
mod write;

use clap::Subcommand;

use super::workflow::ServerArg;
use super::workflow::client::Rest;
use super::{CliError, Exit};

/// Workflows that the clock starts.
#[derive(Subcommand, Debug)]
pub(crate) enum ScheduleCommand {
    /// Create a schedule.
    Create(write::CreateArgs),
    /// List schedules by their ids.
    List(read::ListArgs),
    /// Show a schedule: its next times, its open runs, its last fires.
    Show(read::ShowArgs),
    /// Show what became of its times, latest first.
    Fires(read::FiresArgs),
    /// Change what a schedule is defined by; the rest of it stays.
    Update(write::UpdateArgs),
    /// Start nothing by the clock from now on.
    Pause(write::PauseArgs),
    /// Go on by the clock.
    Resume(write::ResumeArgs),
    /// Fire now.
    Trigger(write::TriggerArgs),
    /// Fire for times of the past that have not started anything.
    Backfill(write::BackfillArgs),
    /// Forget a schedule; what it started goes on.
    Delete(write::DeleteArgs),
}

pub(crate) async fn run(command: ScheduleCommand) -> Result<Exit, CliError> {
    match command {
        ScheduleCommand::Create(args) => write::create(args).await,
        ScheduleCommand::List(args) => read::list(args).await,
        ScheduleCommand::Show(args) => read::show(args).await,
        ScheduleCommand::Fires(args) => read::fires(args).await,
        ScheduleCommand::Update(args) => write::update(args).await,
        ScheduleCommand::Pause(args) => write::pause(args).await,
        ScheduleCommand::Resume(args) => write::resume(args).await,
        ScheduleCommand::Trigger(args) => write::trigger(args).await,
        ScheduleCommand::Backfill(args) => write::backfill(args).await,
        ScheduleCommand::Delete(args) => write::delete(args).await,
    }
}

fn rest(server: &ServerArg) -> Result<Rest, CliError> {
    Rest::of("schedules", server)
}
