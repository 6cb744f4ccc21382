//! A private, durable Postgres cluster for `hansom dev` and for tests.
//!
//! Nothing has to be installed as a service or listen on a port: the cluster lives in one directory,
//! is reached through a Unix socket only its owner may use, and keeps `fsync` on. Several processes
//! share it through file locks, which the kernel releases however a process ends.
//!
//! ```no_run
//! # async fn example() -> Result<(), hansom_postgres::ClusterError> {
//! use hansom_postgres::{Cluster, Durability};
//!
//! let cluster = Cluster::start(".hansom/pg".as_ref(), Durability::Durable).await?;
//! cluster.ensure_database("hansom").await?;
//! println!("{}", cluster.url("hansom"));
//! cluster.stop().await?;
//! # Ok(())
//! # }
//! ```

mod account;
mod cluster;
mod download;
mod error;
mod locks;
mod place;
mod process;
mod programs;
mod server;
pub mod testing;

pub use cluster::{Cluster, Durability, Stopped};
pub use error::ClusterError;
