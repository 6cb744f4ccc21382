//! `hansom dev`: everything in one process.

use std::convert::Infallible;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use hansom_postgres::{Cluster, ClusterError};

use super::home::Home;
use super::node::{Node, OTHER_ADDRESS, StopSignals, bind};
use super::{CliError, Exit, database, logging};
use crate::config::{Config, ConfigArgs, Gateway, mask};

/// Run everything in one process, with a Postgres of its own unless a database is set.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  hansom dev\n  hansom dev --listen 127.0.0.1:9000 --data /tmp/try"
)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: &DevArgs) -> Result<(), CliError> {
    let config = args.config.resolve()?;
    logging::init(&config.log);
    let listener = bind(config.server.listen, OTHER_ADDRESS).await?;
    let mut stop = StopSignals::listen()?;
    let home = tokio::select! {
        home = Home::open(&config) => home?,
        () = stop.received() => return Ok(()),
    };
    let ran = async {
        let pool = database::open(home.url()).await?;
        database::migrate(&pool, config.database.partitions).await?;
        let node = Node::start(pool.clone(), &config).await?;
        let address = listener.local_addr().unwrap_or(config.server.listen);
        greet(&config, &address.to_string(), home.cluster());
        let served = match home.cluster() {
            None => node.serve(listener, stop).await,
            Some(cluster) => tokio::select! {
                served = node.serve(listener, stop) => served,
                never = revive(cluster) => match never {},
            },
        };
        if served.is_ok() {
            database::close(&pool).await;
        }
        served
    };
    let ran = ran.await;
    home.leave(ran).await
}

/// How often the embedded Postgres is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// Nobody else starts the embedded Postgres again when it is killed.
async fn revive(cluster: &Cluster) -> Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        match cluster.revive().await {
            Ok(false) => {}
            Ok(true) => tracing::warn!("postgres.revived"),
            Err(error) => tracing::error!(%error, "postgres.gone"),
        }
    }
}

/// Where to look next.
fn greet(config: &Config, address: &str, cluster: Option<&Cluster>) {
    let server = format!("http://{address}");
    let data = match (cluster, &config.database.url) {
        (Some(cluster), _) => {
            format!("{} (Postgres {})", cluster.data_dir().display(), cluster.major_version())
        }
        (None, url) => mask(url.as_deref().unwrap_or_default()),
    };
    let prefix = if config.server.gateway == Gateway::Taxisvc { "" } else { "/taxisvc" };
    let program = program();
    let set_data = match cluster {
        Some(_) if config.database.data.as_path() != Path::new("./.hansom") => {
            &format!(" --data {}", config.database.data.display())
        }
        _ => "",
    };
    let set_url = if server == config.url { "" } else { &format!(" --url {server}") };
    let text = format!(
        "
Hansom is up at {server}

  Try it in a browser {server}/
  Place a taxi call   http {server}{prefix}/calls userId=1 userName=nana distance=20
  or with curl        curl {server}{prefix}/calls -H 'content-type: application/json' \
-d '{{\"userId\":1,\"userName\":\"nana\",\"distance\":20}}'
  Cancel it           http {server}{prefix}/calls/cancel callId=1
  End its ride        http {server}{prefix}/drives/end driveId=1
  Break something     http PUT {server}/faults/payment decline:=true

  See its saga        {program} workflow list{set_url}
  What it did         {program} workflow history taxisvc.call.1{set_url}
  What it would undo  {program} workflow undo-plan taxisvc.call.1{set_url}
  The engine's API    {server}/openapi.json
  The database        {program} db psql{set_data}
  Its data            {data}

{}
",
        if std::io::stderr().is_terminal() { "Ctrl-C stops it." } else { "SIGTERM stops it." }
    );
    // A greeting that nobody reads is no reason to stop.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// This program as a shell would find it from here.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "hansom".into());
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

impl From<ClusterError> for CliError {
    fn from(error: ClusterError) -> Self {
        Self::new(Exit::Unexpected, "the embedded Postgres does not run")
            .cause(error.to_string())
            .hint("install PostgreSQL 14 or newer, or set HANSOM_DATABASE_URL")
    }
}
