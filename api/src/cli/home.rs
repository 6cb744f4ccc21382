//! The database of a command: the one that is set, or else the embedded Postgres.

use std::path::PathBuf;

use hansom_postgres::{Cluster, Durability};

use super::node::StopSignals;
use super::{CliError, Exit, database, output};
use crate::config::Config;

/// The database of the embedded cluster.
const DATABASE: &str = "hansom";

/// Where a command's database is. Dropped, it leaves the embedded Postgres as it is.
pub(crate) struct Home {
    url: String,
    cluster: Option<Cluster>,
}

impl Home {
    /// The database that is set; where none is, the embedded Postgres, made and started as need be.
    pub(crate) async fn open(config: &Config) -> Result<Self, CliError> {
        if let Some(url) = &config.database.url {
            return Ok(Self { url: url.clone(), cluster: None });
        }
        let cluster = Cluster::start(&directory(config), Durability::Durable).await?;
        cluster.ensure_database(DATABASE).await?;
        Ok(Self { url: cluster.url(DATABASE), cluster: Some(cluster) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The embedded Postgres, where it is that.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Stops the embedded Postgres unless somebody else uses it. What the command itself has
    /// come to matters more than how that went.
    pub(crate) async fn leave<T>(self, done: Result<T, CliError>) -> Result<T, CliError> {
        let Some(cluster) = self.cluster else { return done };
        let stopped = cluster.stop().await;
        let done = done?;
        stopped?;
        Ok(done)
    }
}

/// Works in a database that is there already, and leaves its server as it was: none is made, and
/// one that did not run is stopped again, also when the work is cut short by a signal.
pub(crate) async fn within(
    config: &Config,
    work: impl AsyncFnOnce(&str) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    if let Some(url) = &config.database.url {
        return work(url).await;
    }
    let directory = directory(config);
    if !Cluster::exists(&directory) {
        let nothing = format!("and there is no private one in {}", directory.display());
        return Err(database::unset().cause(nothing));
    }
    let mut stop = StopSignals::listen()?;
    output::note(&format!("the private database in {}:", directory.display()));
    let home = Home::open(config).await?;
    let done = tokio::select! {
        done = work(home.url()) => Some(done),
        () = stop.received() => None,
    };
    let cut_short = done.is_none();
    let done = home.leave(done.unwrap_or(Ok(Exit::Ok))).await;
    if cut_short {
        std::process::exit(130);
    }
    done
}

fn directory(config: &Config) -> PathBuf {
    config.database.data.join("pg")
}
