//! Handlers, service clients and the bundled services. I/O, and only I/O.

use sqlx::migrate::Migrator;

pub mod anycall;
pub mod audit;
pub mod bike;
pub mod breaker;
pub mod faults;
pub mod forward;
pub mod move24mall;
pub mod notification;
pub mod numbers;
pub mod page;
pub mod payment;
pub mod service;
pub mod taxisvc;

/// The schemas of the bundled services, apart from the engine's: migrations are
/// noted in the services' own schema.
pub fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/services");
    migrator.create_schema("taxisvc");
    migrator.dangerous_set_table_name("taxisvc.migration");
    migrator
}

/// A service could not reach its own database. The cause is for the log; it
/// is never shown.
#[derive(Debug, thiserror::Error)]
#[error("the service's database is unavailable")]
pub struct StoreError(#[from] sqlx::Error);
