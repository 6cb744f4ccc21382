//! The binary's rooms: REST, façades, CLI, configuration.

pub mod bench;
pub mod cli;
pub mod config;
pub mod duration;
pub mod http;
pub mod nearest;
pub mod page;
pub mod systems;
