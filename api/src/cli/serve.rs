//! `hansom serve`: against a database that somebody else keeps.

use clap::Args;

use super::node::{Node, OTHER_ADDRESS, StopSignals, bind};
use super::{CliError, database, logging};
use crate::config::ConfigArgs;

/// Run worker, API and services against a database that is migrated.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  HANSOM_DATABASE_URL=postgres://hansom@db/hansom hansom serve")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let config = args.config.resolve()?;
    logging::init(&config.log);
    let url = database::required_url(&config.database)?;
    let listener = bind(config.server.listen, OTHER_ADDRESS).await?;
    database::check_migrated(url).await?;
    let pool = database::open(url).await?;
    let stop = StopSignals::listen()?;
    let node = Node::start(pool.clone(), &config).await?;
    let address = listener.local_addr().unwrap_or(config.server.listen);
    tracing::info!(%address, landscape = config.landscape.as_deref(), "server.ready");
    let served = node.serve(listener, stop).await;
    if served.is_ok() {
        database::close(&pool).await;
    }
    served
}
