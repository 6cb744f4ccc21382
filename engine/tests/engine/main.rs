//! The engine on a real Postgres.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bank;
mod check;
mod claims;
mod crew;
mod exactly_once;
mod fencing;
mod heartbeats;
mod kit;
mod legacies;
mod outcomes;
mod queries;
mod registry;
mod relay;
mod remote;
mod restart;
mod sagas;
mod schedules;
mod starts;
mod takeover;
mod transactions;
mod waiting;
