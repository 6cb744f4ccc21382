//! The engine on a real Postgres.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod check;
mod claims;
mod crew;
mod fencing;
mod heartbeats;
mod kit;
mod queries;
mod registry;
mod remote;
mod restart;
mod sagas;
mod starts;
mod takeover;
mod waiting;
