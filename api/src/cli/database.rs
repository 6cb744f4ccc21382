//! Opening a database, and saying in one line why it does not open.

use std::collections::HashSet;
use std::time::Duration;

use hansom_engine::EngineError;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{CliError, Exit};
use crate::config::{Database, mask};
use crate::nearest::nearest;

/// How long a database may take to answer the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// How long connections may take to be closed.
const GOODBYE: Duration = Duration::from_secs(5);

/// Connections of one process: its lanes, its API, and the bundled services.
const MAX_CONNECTIONS: u32 = 20;

/// The URL that must be set.
pub(crate) fn required_url(database: &Database) -> Result<&str, CliError> {
    database.url.as_deref().ok_or_else(unset)
}

/// Nobody has said which database.
pub(crate) fn unset() -> CliError {
    CliError::new(Exit::Usage, "no database is set").hint(
        "set HANSOM_DATABASE_URL=postgres://user:password@host:5432/name, or \
         HANSOM_DATABASE_URL_FILE to a file with that; `hansom db url` says that of a running \
         `hansom dev`",
    )
}

/// Connects, after one try whose refusal can be told apart from a pool's timeout.
pub(crate) async fn open(url: &str) -> Result<PgPool, CliError> {
    drop(probe(url).await?);
    let pool = hansom_engine::connect(url, MAX_CONNECTIONS).await;
    pool.map_err(|error| refused(url, &error))
}

/// Closes what [`open`] has opened. What was cut and never answers is left to its server.
pub(crate) async fn close(pool: &PgPool) {
    // Late is as good as never: the process ends.
    let _ = tokio::time::timeout(GOODBYE, pool.close()).await;
}

async fn probe(url: &str) -> Result<PgConnection, CliError> {
    match tokio::time::timeout(FIRST_ANSWER, PgConnection::connect(url)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(refused(url, &error)),
        Err(_) => Err(unopened(Exit::Unreachable, url)
            .cause(format!("no answer within {} s", FIRST_ANSWER.as_secs()))
            .hint(REACH)),
    }
}

const REACH: &str =
    "check host and port in HANSOM_DATABASE_URL, and that Postgres accepts connections there";

fn unopened(exit: Exit, url: &str) -> CliError {
    CliError::new(exit, format!("cannot open the database {}", mask(url)))
}

/// Why a database does not open, told apart by what to do about it.
pub(crate) fn refused(url: &str, error: &sqlx::Error) -> CliError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let words =
        error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
    match (error, code.as_deref()) {
        (_, Some("28P01" | "28000")) => unopened(Exit::Denied, url)
            .cause(words)
            .hint("check user and password in HANSOM_DATABASE_URL"),
        (_, Some("3D000")) => {
            unopened(Exit::NotFound, url).cause(words).hint("create it first, as with `createdb`")
        }
        (sqlx::Error::Tls(_), _) => unopened(Exit::Unreachable, url)
            .cause(words)
            .hint("choose what TLS is wanted: ?sslmode=disable, prefer, require or verify-full"),
        (sqlx::Error::Configuration(_), _) => unopened(Exit::Usage, url)
            .cause(words)
            .hint("a database URL is written postgres://user:password@host:5432/name"),
        _ => unopened(Exit::Unreachable, url).cause(words).hint(REACH),
    }
}

/// Brings a database to this version's schema.
pub(crate) async fn migrate(pool: &PgPool, partitions: Option<i32>) -> Result<(), CliError> {
    hansom_engine::migrate(pool, partitions).await?;
    hansom_activities::migrator().run(pool).await.map_err(EngineError::from)?;
    Ok(())
}

/// A transaction in which everything is read as it is now, and nothing is written.
pub(crate) async fn snapshot(
    pool: &PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, sqlx::Error> {
    pool.begin_with("begin isolation level repeatable read read only").await
}

/// How many migrations of this binary's a database does not have.
pub(crate) async fn missing_migrations(url: &str) -> Result<usize, CliError> {
    let mut connection = probe(url).await?;
    let mut missing = 0;
    for migrator in [hansom_engine::migrator(), hansom_activities::migrator()] {
        missing += missing_from(&mut connection, &migrator).await.map_err(EngineError::from)?;
    }
    let _ = connection.close().await;
    Ok(missing)
}

/// Refuses a database whose schema is older than this binary.
pub(crate) async fn check_migrated(url: &str) -> Result<(), CliError> {
    match missing_migrations(url).await? {
        0 => Ok(()),
        missing => Err(CliError::from(EngineError::NotMigrated)
            .cause(format!("{missing} migrations are not applied"))),
    }
}

async fn missing_from(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<usize, MigrateError> {
    let applied = match connection.list_applied_migrations(&migrator.table_name).await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(error)) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let applied: HashSet<_> = applied.iter().map(|migration| migration.version).collect();
    Ok(migrator.iter().filter(|migration| !applied.contains(&migration.version)).count())
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let what = error.to_string();
        match error {
            EngineError::NotMigrated => {
                Self::new(Exit::Conflict, "the database has no schema of this version")
                    .hint("run `hansom migrate`; a private database `hansom dev` brings up to date")
            }
            EngineError::Partitions { stored, .. } => Self::new(Exit::Conflict, what)
                .hint(format!("leave HANSOM_PARTITIONS unset, or set it to {stored}")),
            EngineError::MissingHandlers(_) | EngineError::Duplicates(_) => Self::new(
                Exit::Unexpected,
                what,
            )
            .hint("the workflows and handlers that this binary was built with do not fit together"),
            EngineError::UnknownView { name, known } => {
                let refused = Self::new(Exit::NotFound, what);
                match nearest(&name, known) {
                    Some(near) => refused.hint(format!("did you mean `{near}`?")),
                    None => refused,
                }
            }
            EngineError::Database(error) => {
                Self::new(Exit::Unreachable, "the database does not answer")
                    .cause(error.to_string())
            }
            EngineError::Migration(error) => {
                Self::new(Exit::Unexpected, "the schema could not be migrated")
                    .cause(error.to_string())
            }
        }
    }
}
