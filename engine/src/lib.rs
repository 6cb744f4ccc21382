//! Hansom's engine: the core made durable by Postgres.
//!
//! A [`Worker`] owns partitions of all workflows, keeps their runs in memory,
//! and commits what happens to hundreds of them in one transaction. A
//! [`Client`] starts, signals, cancels and looks.
//!
//! ```no_run
//! # async fn example(workflows: hansom_core::Workflows, handlers: hansom_core::Handlers)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use hansom_engine::{Registry, Settings, Worker};
//!
//! let pool = hansom_engine::connect("postgres://localhost/hansom", 10).await?;
//! hansom_engine::migrate(&pool, None).await?;
//! let registry = Registry::new(workflows, handlers)?;
//! let worker = Worker::start(pool, registry, Settings::default()).await?;
//! let trip = worker.client().describe("trip-7").await?;
//! worker.drain().await;
//! # Ok(()) }
//! ```
//!
//! The rooms: `owner` decides, without I/O; `worker` feeds it and does what it
//! asks (one thread per lane, membership, attempts, errands); `store` has all
//! the SQL; `client` is the way in; `check` looks at what a deploy would meet,
//! `rebuild` makes read models anew.

mod address;
mod check;
mod client;
mod clock;
mod error;
mod metered;
mod owner;
mod read_model;
mod rebuild;
mod registry;
pub mod schedule;
mod settings;
mod statuses;
mod store;
mod task;
mod transaction;
mod view;
mod worker;

pub use check::{CheckReport, CheckScope, CheckedRun, Finding, Patched, Verdict, check};
pub use client::{Client, Commits, Ending, Watch};
pub use error::{ClientError, EngineError};
pub use hansom_core::{self, Outcome};
pub use metered::describe_metrics;
pub use read_model::{
    NoCursor, ViewChange, ViewChanges, ViewCursor, ViewInfo, ViewPage, ViewQuery, ViewRecord,
};
pub use rebuild::{RebuildReport, rebuild};
pub use registry::Registry;
pub use settings::Settings;
pub use sqlx;
pub use statuses::{statuses, statuses_of_runs};
pub use store::{connect, measure, migrate, migrator};
pub use task::{ActivityInfo, ClaimRequest, Task, TaskBeat, TaskError, TaskToken};
pub use transaction::{TransactionHandler, TransactionHandlers};
pub use view::{
    Description, Filter, HistoryEvent, IdReuse, Now, Page, PendingActivity, PendingChild,
    PendingTimer, SignalRequest, StartRequest, Started, State, Stuck, Summary, UndoPlan,
};
pub use worker::Worker;
