//! The walk, before authors who make mistakes: each is found, and named.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bodies;
mod city;
mod doubt;
mod kin;
mod services;
