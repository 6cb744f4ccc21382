//! The private cluster on real Postgres, as root and as an ordinary user alike.

// The lint's exception for tests covers the test functions, not what they share.
#![allow(clippy::unwrap_used)]

mod crashes;
mod databases;
mod lifecycle;
mod sharing;
mod support;
