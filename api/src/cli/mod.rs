//! The command line.

mod activity;
mod audit;
mod bench;
mod check;
mod database;
mod db;
mod dev;
mod error;
mod home;
mod logging;
mod migrate;
mod node;
mod output;
mod schedule;
mod serve;
mod service;
mod views;
mod workflow;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::error::{CliError, Exit};

/// Durable sagas on Postgres.
#[derive(Parser, Debug)]
#[command(name = "hansom", version, about, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Start with:\n  hansom dev\n  hansom workflow list")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run everything in one process, with a Postgres of its own.
    Dev(dev::DevArgs),
    /// Run worker, API and services against a database that is migrated.
    Serve(serve::ServeArgs),
    /// Run one of the bundled services as a process of its own.
    Service(service::ServiceArgs),
    /// Bring a database to this version's schema.
    Migrate(migrate::MigrateArgs),
    /// Replay every open run of a database with this binary, before a deploy.
    Check(check::CheckArgs),
    /// Compare the services' books with what the sagas say of themselves.
    Audit(audit::AuditArgs),
    /// What sagas ask for, and who performs it.
    #[command(subcommand)]
    Activity(activity::ActivityCommand),
    /// The database: its URL, or a session in it.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Measure what this machine and this Postgres can do.
    Bench(bench::BenchCommand),
    /// Workflows that the clock starts.
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
    /// Read models, fed from the history of workflows.
    #[command(subcommand)]
    Views(views::ViewsCommand),
    /// Start, look at, talk to and cancel workflows.
    #[command(subcommand, visible_alias = "wf")]
    Workflow(workflow::WorkflowCommand),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no failure. A closed pipe is nobody's fault.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CliError::new(Exit::Unexpected, "no threads could be started")
                .cause(error.to_string())
                .report();
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Dev(args) => dev::run(&args).await.map(|()| Exit::Ok),
            Command::Serve(args) => serve::run(&args).await.map(|()| Exit::Ok),
            Command::Service(args) => service::run(&args).await.map(|()| Exit::Ok),
            Command::Migrate(args) => migrate::run(&args).await.map(|()| Exit::Ok),
            Command::Check(args) => check::run(&args).await,
            Command::Audit(args) => audit::run(&args).await,
            Command::Bench(args) => bench::run(&args).await.map(|()| Exit::Ok),
            Command::Activity(command) => activity::run(command).await,
            Command::Db(command) => db::run(command).await,
            Command::Schedule(command) => schedule::run(command).await,
            Command::Views(command) => views::run(command).await,
            Command::Workflow(command) => workflow::run(command).await,
        }
    });
    // A request that hangs must not keep a process that is done.
    runtime.shutdown_background();
    match done {
        Ok(exit) => exit.into(),
        Err(error) => error.report(),
    }
}
