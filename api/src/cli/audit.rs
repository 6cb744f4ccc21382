//! `hansom audit`: whether the books of the bundled services add up.

use std::collections::BTreeMap;
use std::error::Error as _;

use clap::Args;
use hansom_activities::StoreError;
use hansom_activities::audit::{Holding, Holdings};
use hansom_core::Status;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::output::{self, Format};
use super::{CliError, Exit, database, home};
use crate::config::{DatabaseArgs, mask};

/// Compare the services' books with what the sagas say of themselves.
///
/// What was charged is given back, or earned by what was completed, or belongs to a saga that
/// is still under way; nothing is held for a saga that is closed; and every balance is the sum
/// of its entries. All of it is read from one snapshot, and nothing is written.
#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 when all adds up, 6 when something does not, 7 when the database cannot be \
    read.\n\nExamples:\n  hansom audit\n  \
    hansom audit --database-url postgres://reader@replica/hansom -o json"
)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Show so many of those that are wrong
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// By currency.
    totals: BTreeMap<String, Totals>,
    /// Sagas that the services have something on account of.
    sagas: u64,
    /// How much is wrong.
    breaches: u64,
    /// The first of it.
    examples: Vec<Breach>,
}

/// Sums of one currency: no books are too large for them.
#[derive(Debug, Default, Serialize)]
struct Totals {
    charged: i128,
    given_back: i128,
    completed: i128,
    /// Charged for sagas that are open.
    under_way: i128,
    /// What is left, and should not be.
    difference: i128,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
struct Breach {
    workflow_id: Option<String>,
    detail: String,
}

pub(crate) async fn run(args: &AuditArgs) -> Result<Exit, CliError> {
    let config = args.database.resolve()?;
    home::within(&config, async |url| read(url, args).await).await
}

async fn read(url: &str, args: &AuditArgs) -> Result<Exit, CliError> {
    database::check_migrated(url).await?;
    let pool = database::open(url).await?;
    let report = audit(&pool, args.limit).await.map_err(|error| {
        CliError::new(Exit::Unreachable, format!("cannot read the books in {}", mask(url)))
            .cause(error.source().map_or_else(|| error.to_string(), ToString::to_string))
    })?;
    print(&report, args.output)?;
    Ok(if report.breaches == 0 { Exit::Ok } else { Exit::Failures })
}

async fn audit(pool: &PgPool, limit: usize) -> Result<Report, StoreError> {
    let mut transaction = database::snapshot(pool).await?;
    let mut holdings = Holdings::open(&mut transaction).await?;
    let mut report = Report::default();
    loop {
        let page = holdings.next().await?;
        if page.is_empty() {
            break;
        }
        for (holding, status) in judged(holdings.transaction(), page).await? {
            report.sagas += 1;
            report.count(&holding, status);
            if let Some(detail) = breach(&holding, status) {
                report.breach(Some(holding.workflow_id), detail, limit);
            }
        }
    }
    for detail in holdings.wrong().await? {
        report.breach(None, detail, limit);
    }
    Ok(report)
}

/// Each with the status of its run, whatever that is called by who started it; or, where the books
/// have none, of the workflow that has its id.
async fn judged(
    transaction: &mut PgConnection,
    mut page: Vec<Holding>,
) -> Result<Vec<(Holding, Option<Status>)>, StoreError> {
    let runs: Vec<_> = page.iter().filter_map(run_of).collect();
    let of_runs = hansom_engine::statuses_of_runs(transaction, &runs).await?;
    let mut found: Vec<_> = page
        .iter_mut()
        .map(|holding| {
            let (id, status) = of_runs.get(&run_of(holding)?)?;
            holding.workflow_id.clone_from(id);
            Some(*status)
        })
        .collect();
    let left = || page.iter().zip(0..).filter(|(holding, _)| run_of(holding).is_none());
    let ids: Vec<_> = left().map(|(holding, _)| holding.workflow_id.clone()).collect();
    let of_ids = hansom_engine::statuses(transaction, &ids).await?;
    for (holding, index) in left() {
        found[index] = of_ids.get(&holding.workflow_id).copied();
    }
    Ok(page.into_iter().zip(found).collect())
}

fn run_of(holding: &Holding) -> Option<Uuid> {
    holding.run.as_deref().and_then(|run| Uuid::parse_str(run).ok())
}

/// What is wrong with what is on account of one saga, if anything is.
fn breach(holding: &Holding, status: Option<Status>) -> Option<String> {
    let Holding { currency, taken, given_back, earned, held, kept, .. } = holding;
    let Some(status) = status else {
        let back =
            if *given_back == 0 { String::new() } else { format!(", {given_back} given back") };
        let charged = format!("{taken} {currency} are charged for it{back}");
        return Some(format!("no workflow has that id, and {charged}"));
    };
    if !status.is_closed() {
        return (holding.open() < 0 && *taken < *given_back)
            .then(|| format!("{given_back} {currency} are given back of {taken}"));
    }
    let mut wrong = Vec::new();
    if holding.open() != 0 {
        wrong.push(format!("{taken} {currency} charged, {given_back} given back, {earned} earned"));
    }
    wrong.extend(held.iter().map(|what| format!("{what} is held")));
    if status != Status::Completed {
        wrong.extend(kept.iter().map(|what| format!("{what} is kept")));
        if *earned != 0 {
            wrong.push(format!("{earned} {currency} earned"));
        }
    }
    (!wrong.is_empty()).then(|| format!("it is {}, and {}", word(status), wrong.join("; ")))
}

fn word(status: Status) -> String {
    format!("{status:?}").to_lowercase()
}

impl Report {
    fn count(&mut self, holding: &Holding, status: Option<Status>) {
        let totals = self.totals.entry(holding.currency.clone()).or_default();
        totals.charged += i128::from(holding.taken);
        totals.given_back += i128::from(holding.given_back);
        totals.completed += i128::from(holding.earned);
        if status.is_some_and(|status| !status.is_closed()) {
            totals.under_way += holding.open();
        }
        totals.difference =
            totals.charged - totals.given_back - totals.completed - totals.under_way;
    }

    fn breach(&mut self, workflow_id: Option<String>, detail: String, limit: usize) {
        self.breaches += 1;
        if self.examples.len() < limit {
            self.examples.push(Breach { workflow_id, detail });
        }
    }

    fn summary(&self) -> String {
        match (self.sagas, self.breaches) {
            (0, 0) => "no saga has anything in the books".to_owned(),
            (sagas, 0) => format!("{sagas} sagas in the books: all adds up"),
            (sagas, breaches) => format!("{sagas} sagas in the books: {breaches} breaches"),
        }
    }
}

fn print(report: &Report, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json => output::json(report),
        Format::Jsonl => report.examples.iter().try_for_each(output::json),
        Format::Ids => {
            let ids = report.examples.iter().filter_map(|breach| breach.workflow_id.as_deref());
            ids.into_iter().try_for_each(output::line)
        }
        Format::Table => table(report),
    }
}

fn table(report: &Report) -> Result<(), CliError> {
    let rows = report.totals.iter().map(|(currency, totals)| {
        let Totals { charged, given_back, completed, under_way, difference } = totals;
        let sums = [charged, given_back, completed, under_way, difference];
        [vec![currency.clone()], sums.map(i128::to_string).to_vec()].concat()
    });
    let header = ["currency", "charged", "given back", "completed", "under way", "difference"];
    if !report.totals.is_empty() {
        output::table(&header, rows.collect())?;
        output::line("")?;
    }
    for Breach { workflow_id, detail } in &report.examples {
        let id = workflow_id.as_deref().unwrap_or("books");
        output::line(&output::plain(&format!("{id}: {detail}")))?;
    }
    let shown = report.examples.len() as u64;
    if shown < report.breaches {
        output::line(&format!("and {} more", report.breaches - shown))?;
    }
    output::line(&report.summary())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sum_of_fares_runs_over() {
        let ride = Holding {
            workflow_id: "a".to_owned(),
            run: None,
            currency: "KRW".to_owned(),
            taken: i64::MAX,
            given_back: 0,
            earned: i64::MAX,
            held: None,
            kept: None,
        };
        let mut report = Report::default();
        report.count(&ride, Some(Status::Completed));
        report.count(&ride, Some(Status::Completed));
        report.count(&Holding { taken: 1, earned: 0, ..ride }, Some(Status::Completed));
        let totals = &report.totals["KRW"];
        assert_eq!(totals.charged, 2 * i128::from(i64::MAX) + 1);
        assert_eq!(totals.difference, 1);
    }
}
