//! The engine on a real Postgres.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bank;
mod blocked;
mod check;
mod claims;
mod crew;
mod ends;
mod exactly_once;
mod failures;
mod fencing;
mod heartbeats;
mod held;
mod kin;
mod kit;
mod legacies;
mod messages;
mod open;
mod outcomes;
mod plan;
mod queries;
mod registry;
mod relay;
mod remote;
mod restart;
mod rounds;
mod sagas;
mod scale;
mod schedules;
mod stage;
mod starts;
mod starts_in;
mod takeover;
mod transactions;
mod versions;
mod views;
mod waiting;
