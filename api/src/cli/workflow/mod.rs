//! `hansom workflow`: through the public REST API only.

pub(in crate::cli) mod client;
mod export;
mod messages;
mod operate;
pub(in crate::cli) mod read;
mod rehearsal;
pub(in crate::cli) mod show;
mod story;
mod wait;
pub(in crate::cli) mod write;

use clap::{Args, Subcommand};

use super::output::Format;
use super::{CliError, Exit};

/// Start, look at, talk to and cancel workflows.
#[derive(Subcommand, Debug)]
pub(crate) enum WorkflowCommand {
    /// Start a workflow, or find the one of that id.
    Start(write::StartArgs),
    /// List workflows, newest first.
    List(read::ListArgs),
    /// Show a workflow as it stands now.
    Show(read::ShowArgs),
    /// Show what happened, in commit order.
    History(read::HistoryArgs),
    /// Send a signal.
    Signal(messages::SignalArgs),
    /// Send an update, and print what the workflow answers.
    Update(messages::UpdateArgs),
    /// Cancel a workflow: what it did is undone, then it closes.
    Cancel(operate::CancelArgs),
    /// Close a workflow where it is; nothing is undone.
    Terminate(operate::TerminateArgs),
    /// Let a stuck workflow try again.
    Retry(operate::RetryArgs),
    /// Show what would be undone if it unwound now.
    UndoPlan(read::UndoPlanArgs),
    /// Show how it ended; with --wait, when it has.
    Result(read::ResultArgs),
    /// Print its history as a file that holds its body, or as a test in Rust.
    Export(export::ExportArgs),
    /// Wait until it has closed, or is stuck.
    Wait(wait::WaitArgs),
    /// Show the state that its body published last.
    State(read::StateArgs),
}

/// Which server, and how its answer is printed.
#[derive(Args, Debug)]
pub(crate) struct ServerArg {
    /// Server to ask.
    #[arg(
        long,
        value_name = "URL",
        help = "Server to ask [env: HANSOM_URL] [default: http://127.0.0.1:8088]"
    )]
    url: Option<String>,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub(in crate::cli) output: Format,
}

pub(crate) async fn run(command: WorkflowCommand) -> Result<Exit, CliError> {
    match command {
        WorkflowCommand::Start(args) => write::start(args).await,
        WorkflowCommand::List(args) => read::list(args).await,
        WorkflowCommand::Show(args) => read::show(args).await,
        WorkflowCommand::History(args) => read::history(args).await,
        WorkflowCommand::Signal(args) => messages::signal(args).await,
        WorkflowCommand::Update(args) => messages::update(args).await,
        WorkflowCommand::Cancel(args) => operate::cancel(args).await,
        WorkflowCommand::Terminate(args) => operate::terminate(args).await,
        WorkflowCommand::Retry(args) => operate::retry(args).await,
        WorkflowCommand::UndoPlan(args) => read::undo_plan(args).await,
        WorkflowCommand::Result(args) => read::result(args).await,
        WorkflowCommand::Export(args) => export::export(args).await,
        WorkflowCommand::Wait(args) => wait::wait(args).await,
        WorkflowCommand::State(args) => read::state(args).await,
    }
}

/// How long a server is asked to wait; what it means is the server's to say.
fn wait_of(text: Option<&str>) -> std::time::Duration {
    text.and_then(|text| crate::duration::parse(text).ok()).unwrap_or_default()
}
