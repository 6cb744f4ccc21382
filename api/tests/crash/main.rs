//! Processes that are killed, stopped and told to end while calls are under way.
//!
//! The built binary, a durable Postgres of each test's own, and HTTP. What a test believes at
//! its end it reads in the services' ledgers and in the histories ([`books`]), and it asserts
//! that its fault fired: a crash test that never hit anything passes just as well.
//!
//! `HANSOM_CRASH_SEED` and `HANSOM_CRASH_KILLS` make the killed load another one, or a longer one.

mod a14;
mod books;
#[path = "../canary/mod.rs"]
mod canary;
mod draining;
mod embedded;
mod history;
mod kills;
mod load;
mod process;
mod random;
mod takeover;
mod town;
mod zombie;
