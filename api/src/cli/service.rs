//! `hansom service`: one of the bundled services, alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use clap::builder::PossibleValuesParser;
use hansom_activities::service::{self as services, Kind};
use tokio::net::TcpListener;

use super::home::Home;
use super::node::{StopSignals, bind};
use super::{CliError, Exit, database, logging};
use crate::config::{Config, DatabaseArgs, LogArgs};
use crate::http::shaped;
use crate::systems;

/// Run one of the bundled services as a process of its own.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  hansom service payment --port 8083\n  \
                        hansom dev --payment-url http://127.0.0.1:8083\n  \
                        curl -X POST 127.0.0.1:8083/faults -H 'content-type: application/json' \
                        -d '{\"latency_ms\":700}'")]
pub(crate) struct ServiceArgs {
    /// Which
    #[arg(value_parser = PossibleValuesParser::new(services::ALL.iter().map(|kind| kind.name)))]
    name: String,
    /// Port of 127.0.0.1 to serve at; by default as in the documents
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) async fn run(args: &ServiceArgs) -> Result<(), CliError> {
    let config = args.database.resolve_with(&args.log)?;
    logging::init(&config.log);
    let kind = kind(&args.name);
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port.unwrap_or(kind.port));
    let listener = bind(address, "--port 0 takes one that is free").await?;
    let stop = StopSignals::listen()?;
    let home = Home::open(&config).await?;
    let served = serve(kind, listener, &home, &config, stop).await;
    home.leave(served).await
}

async fn serve(
    kind: &'static Kind,
    listener: TcpListener,
    home: &Home,
    config: &Config,
    mut stop: StopSignals,
) -> Result<(), CliError> {
    let pool = database::open(home.url()).await?;
    if home.cluster().is_some() {
        database::migrate(&pool, config.database.partitions).await?;
    } else {
        database::check_migrated(home.url()).await?;
    }
    let router = shaped(systems::alone(kind, &pool));
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let landscape = config.landscape.as_deref();
    tracing::info!(address, service = kind.name, landscape, "server.ready");
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { stop.received().await });
    let served = serving.await;
    database::close(&pool).await;
    served.map_err(|error| {
        CliError::new(Exit::Unexpected, "the service stopped").cause(error.to_string())
    })
}

fn kind(name: &str) -> &'static Kind {
    let kind = services::ALL.iter().find(|kind| kind.name == name);
    kind.expect("the command line takes no other name")
}
