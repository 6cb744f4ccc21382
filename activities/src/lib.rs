//! Handlers, service clients and the bundled services. I/O, and only I/O.

use sqlx::migrate::Migrator;

pub mod faults;
pub mod page;
pub mod taxisvc;

/// The schemas of the bundled services. The engine keeps its own migrations in
/// the same table, so what is not known here is left alone.
pub fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/services");
    migrator.set_ignore_missing(true);
    migrator
}

/// A service could not reach its own database. The cause is for the log; it
/// is never shown.
#[derive(Debug, thiserror::Error)]
#[error("the service's database is unavailable")]
pub struct StoreError(#[from] sqlx::Error);
