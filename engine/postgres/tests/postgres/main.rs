//! The private cluster on real Postgres, as root and as an ordinary user alike.

mod crashes;
mod databases;
mod lifecycle;
mod sharing;
mod support;
