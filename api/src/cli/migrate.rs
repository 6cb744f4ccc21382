//! `hansom migrate`.

use clap::Args;

use super::{CliError, database};
use crate::config::DatabaseArgs;

/// Bring a database to this version's schema. Safe to repeat, and to run while servers run.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  HANSOM_DATABASE_URL=postgres://hansom@db/hansom hansom migrate"
)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(args: &MigrateArgs) -> Result<(), CliError> {
    let config = args.database.resolve()?;
    let url = database::required_url(&config.database)?;
    let pool = database::open(url).await?;
    let migrated = database::migrate(&pool, config.database.partitions).await;
    database::close(&pool).await;
    migrated
}
