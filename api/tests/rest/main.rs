//! The REST API through the real router, a real engine and a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has nothing better to do")]

mod commands;
mod documented;
mod lifecycle;
mod limits;
mod operators;
mod overload;
mod refusals;
mod rig;
mod schedules;
mod stopping;
mod tasks;
mod tour;
mod updates;
mod views;
