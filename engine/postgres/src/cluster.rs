use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::error::ClusterError;
use crate::locks::{self, Held};
use crate::place::Place;
use crate::programs::{Programs, Search};
use crate::server::{self, Started};
use crate::testing;

/// What a commit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync`, `synchronous_commit` and `full_page_writes` are on: what was committed survives the
    /// power going out.
    Durable,
    /// All three are off, and data that was not shut down cleanly is thrown away. For tests.
    Throwaway,
}

/// What [`Cluster::stop`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// This was the last user: the server is stopped.
    Server,
    /// Another process, or another handle in this one, still uses the server.
    LeftRunning,
}

/// One user's hold on a running cluster.
///
/// Dropping it lets go without stopping the server: the next start adopts it.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    programs: Programs,
    durability: Durability,
    users: Held,
}

impl Cluster {
    /// Makes the cluster in `data_dir` if there is none, adopts its server if it runs, starts it if
    /// not, and returns when it accepts connections.
    ///
    /// As root the server runs as the data's owner, `postgres` or `nobody`; where that account
    /// cannot reach `data_dir`, the cluster lives under `/var/lib/hansom` and a file `LOCATION` in
    /// `data_dir` says so. Cancelling leaves nothing that a later start does not cope with.
    pub async fn start(data_dir: &Path, durability: Durability) -> Result<Self, ClusterError> {
        let place = Place::prepare(data_dir).await?;
        let _gate = locks::gate(&place.home).await?;
        let users = locks::join(&place.home).await?;
        if durability == Durability::Throwaway {
            discard_unclean(&place)?;
        }
        let programs = programs_for(&place, durability).await?;
        if place.data_major().is_none() {
            server::make_data(&place, &programs, durability).await?;
        }
        let started = server::ensure_running(&place, &programs, durability).await?;
        tracing::debug!(home = %place.home.display(), major = programs.major, ?started, "postgres.ready");
        let cluster = Self { place, programs, durability, users };
        if (durability, started) == (Durability::Throwaway, Started::Launched) {
            testing::drop_leftovers(&cluster).await?;
        }
        Ok(cluster)
    }

    /// Whether [`Cluster::start`] would find data there, and has not to make it.
    #[must_use]
    pub fn exists(data_dir: &Path) -> bool {
        Place::has_data(data_dir)
    }

    /// Starts the server again if it has ended, as after a kill; true when it had.
    pub async fn revive(&self) -> Result<bool, ClusterError> {
        if server::running(&self.place).is_some() {
            return Ok(false);
        }
        let _gate = locks::gate(&self.place.home).await?;
        let started = server::ensure_running(&self.place, &self.programs, self.durability).await?;
        Ok(started == Started::Launched)
    }

    /// Stops the server if nobody else uses it. Sessions that are still open are ended.
    pub async fn stop(self) -> Result<Stopped, ClusterError> {
        let Self { place, programs, users, .. } = self;
        let _gate = locks::gate(&place.home).await?;
        drop(users);
        let Some(_alone) = locks::alone(&place.home)? else { return Ok(Stopped::LeftRunning) };
        server::stop(&place, &programs).await?;
        Ok(Stopped::Server)
    }

    /// The URL of `database` in this cluster: a superuser's, over the private socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.place.url(database)
    }

    /// Creates the database unless it exists. Several processes may ask at once.
    pub async fn ensure_database(&self, name: &str) -> Result<(), ClusterError> {
        let mut connection = self.connect().await?;
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        if !exists {
            // template1 may be in use by somebody else, which template0 cannot be.
            let create = format!("create database {} template template0", quote(name));
            match sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await {
                Err(error) if !is_duplicate(&error) => return Err(error.into()),
                _ => {}
            }
        }
        connection.close().await?;
        Ok(())
    }

    /// The directory that holds the cluster: the one asked for, or the one its `LOCATION` names.
    pub fn data_dir(&self) -> &Path {
        &self.place.home
    }

    /// The folder of Postgres's programs. `psql` is not in the package that npm brings.
    pub fn bin_dir(&self) -> &Path {
        &self.programs.bin
    }

    /// The major version of Postgres.
    pub fn major_version(&self) -> u32 {
        self.programs.major
    }

    /// The server's log.
    pub fn server_log(&self) -> PathBuf {
        self.place.log()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A connection to the maintenance database.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url("postgres")).await
    }
}

/// The programs of the data's version. Throwaway data gives way to the newest programs instead.
async fn programs_for(place: &Place, durability: Durability) -> Result<Programs, ClusterError> {
    let search = Search::of_this_machine();
    let major = place.data_major();
    if durability == Durability::Durable || server::running(place).is_some() {
        return search.find(place.account, major).await;
    }
    let programs = search.find(place.account, None).await?;
    if major.is_some_and(|major| major != programs.major) {
        remove_data(place)?;
    }
    Ok(programs)
}

/// Data written with `fsync` off may be torn after a crash, and nobody needs it.
fn discard_unclean(place: &Place) -> Result<(), ClusterError> {
    if !place.data().join("postmaster.pid").exists() || server::running(place).is_some() {
        return Ok(());
    }
    remove_data(place)
}

fn remove_data(place: &Place) -> Result<(), ClusterError> {
    let data = place.data();
    fs::remove_dir_all(&data).map_err(ClusterError::io("remove", &data))
}

/// Another session was faster: seen as an existing name, or, at the same instant, as a broken
/// unique index of the catalogue.
fn is_duplicate(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("42P04" | "23505"))
}

/// An identifier, quoted.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
