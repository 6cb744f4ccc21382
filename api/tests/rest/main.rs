//! The REST API through the real router, a real engine and a real Postgres.

mod documented;
mod lifecycle;
mod refusals;
mod rig;
mod stopping;
