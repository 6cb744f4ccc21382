//! `hansom check`: whether this binary would break what is under way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use hansom_engine::{CheckReport, CheckScope, CheckedRun, Finding, Verdict};

use super::output::{self, Format};
use super::{CliError, Exit, database, node};
use crate::config::{DatabaseArgs, mask};
use crate::systems::Systems;

/// How often a long check says how far it is.
const TOLD: Duration = Duration::from_secs(2);

/// So much of an event is shown in a table, in characters.
const SHOWN: usize = 400;

/// Replay every open run of a database with this binary, before a deploy.
///
/// One read-only snapshot is read: a replica will do, and a role that may only select from
/// hansom.workflow, hansom.history and hansom.inbox. The schema may be the one before this
/// version's. Nothing is written, and no handler is called.
#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 when all fit, 6 when something would break, 7 when the database cannot be \
    read.\n\nExamples:\n  hansom check --database-url postgres://reader@replica/hansom\n  \
    hansom check --database-url \"$(hansom db url)\" --type taxi_call -o json"
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only runs of this workflow type
    #[arg(long = "type", value_name = "TYPE")]
    workflow_type: Option<String>,
    /// Show so many runs of each verdict
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(args: &CheckArgs) -> Result<Exit, CliError> {
    let config = args.database.resolve()?;
    // Who asks before a deploy says of what: another database than meant would let all through.
    let url = database::required_url(&config.database)?;
    let pool = database::open(url).await?;
    let systems = Systems::new(&pool, &config.server.services);
    let registry = node::registry(&systems, &config.server.remote)?;
    // Who may not look into that may check all the same.
    if let Ok(missing @ 1..) = database::missing_migrations(url).await {
        output::note(&format!("{missing} migrations of this version are not applied yet"));
    }
    // A body that panics is a verdict, with what it said.
    std::panic::set_hook(Box::new(|_| {}));
    let scope = CheckScope {
        workflow_type: args.workflow_type.clone(),
        examples: args.limit,
        ..CheckScope::default()
    };
    let mut told = Instant::now();
    let progress = |report: &CheckReport| {
        if told.elapsed() >= TOLD {
            told = Instant::now();
            let (runs, broken) = (report.runs, report.would_break);
            output::note(&format!("… {runs} runs, of which {broken} would break"));
        }
    };
    let checked = hansom_engine::check(&pool, &registry, &scope, progress).await;
    drop(std::panic::take_hook());
    let report = checked.map_err(|error| unread(url, &error))?;
    print(&report, args)?;
    Ok(if report.would_break == 0 { Exit::Ok } else { Exit::Failures })
}

/// Why a snapshot could not be read to its end.
fn unread(url: &str, error: &sqlx::Error) -> CliError {
    let database = error.as_database_error();
    let code = database.and_then(sqlx::error::DatabaseError::code);
    let words = database.map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let failed = |exit| {
        CliError::new(exit, format!("cannot read the open runs of {}", mask(url))).cause(words)
    };
    match code.as_deref() {
        Some("42P01" | "3F000") => failed(Exit::Conflict).hint("run `hansom migrate`"),
        Some("42501") => failed(Exit::Denied).hint(
            "grant usage on schema hansom, and select on hansom.workflow, hansom.history and \
             hansom.inbox",
        ),
        // What the primary removed meanwhile, this snapshot on a standby still needed.
        Some("40001") => failed(Exit::Unreachable)
            .hint("let the standby wait: hot_standby_feedback, or max_standby_streaming_delay"),
        _ => failed(Exit::Unreachable),
    }
}

fn print(report: &CheckReport, args: &CheckArgs) -> Result<(), CliError> {
    match args.output {
        Format::Json => output::json(report),
        Format::Jsonl => report.examples.iter().try_for_each(output::json),
        Format::Ids => {
            let mut broken = report.examples.iter().filter(|run| run.verdict.breaks());
            broken.try_for_each(|run| output::line(&run.workflow_id))
        }
        Format::Table => tables(report, args.workflow_type.as_deref()),
    }
}

fn tables(report: &CheckReport, of_type: Option<&str>) -> Result<(), CliError> {
    let counts = report.counts.iter().flat_map(|(name, verdicts)| {
        verdicts.iter().map(move |(verdict, runs)| {
            vec![name.clone(), verdict.code().to_owned(), runs.to_string()]
        })
    });
    if report.runs > 0 {
        output::table(&["type", "verdict", "runs"], counts.collect())?;
    }
    let patches = report.patches.iter().flat_map(|(name, patches)| {
        patches.iter().map(move |(id, runs)| {
            vec![name.clone(), id.clone(), runs.with.to_string(), runs.without.to_string()]
        })
    });
    let patches: Vec<_> = patches.collect();
    if !patches.is_empty() {
        output::line("")?;
        output::table(&["type", "patch", "runs with it", "without"], patches)?;
    }
    let verdicts: BTreeSet<_> = report.examples.iter().map(|run| run.verdict).collect();
    for verdict in verdicts {
        let of_verdict = report.examples.iter().filter(|run| run.verdict == verdict);
        let all: u64 = report.counts.values().filter_map(|counts| counts.get(&verdict)).sum();
        section(verdict, all, &of_verdict.collect::<Vec<_>>())?;
    }
    output::line(&summary(report, of_type))
}

fn section(verdict: Verdict, all: u64, runs: &[&CheckedRun]) -> Result<(), CliError> {
    output::line(&format!("\n{}: {}", verdict.code(), verdict.meaning()))?;
    for run in runs {
        for finding in &run.findings {
            output::line(&output::plain(&told(run, finding)))?;
            for (side, event) in [("history", &finding.history), ("code", &finding.code)] {
                if let Some(event) = event {
                    let event: String = event.get().chars().take(SHOWN).collect();
                    output::line(&output::plain(&format!("    {side:8} {event}")))?;
                }
            }
        }
    }
    let shown = runs.len() as u64;
    if shown < all {
        output::line(&format!("  and {} more", all - shown))?;
    }
    Ok(())
}

fn told(run: &CheckedRun, finding: &Finding) -> String {
    let id = &run.workflow_id;
    match finding.event {
        Some(event) => format!("  {id}, event {event}: {}", finding.detail),
        None => format!("  {id}: {}", finding.detail),
    }
}

fn summary(report: &CheckReport, of_type: Option<&str>) -> String {
    let of_type = of_type.map_or(String::new(), |name| format!(" of type {name}"));
    match (report.runs, report.would_break) {
        (0, _) => format!("0 open runs{of_type}: this proves nothing"),
        (runs, 0) => format!("\n{runs} open runs{of_type}: none would break"),
        (runs, broken) => format!("\n{runs} open runs{of_type}: {broken} would break"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_look_at_is_no_good_news() {
        let mut report = CheckReport::default();
        assert_eq!(summary(&report, Some("trip")), "0 open runs of type trip: this proves nothing");
        report.runs = 2;
        assert_eq!(summary(&report, None), "\n2 open runs: none would break");
        report.would_break = 1;
        assert_eq!(summary(&report, None), "\n2 open runs: 1 would break");
    }
}
