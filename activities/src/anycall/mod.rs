//! The services of `AnycallTaxi`, with real state in the schema `anycall`: membership, call and
//! taxi. Payment and notification are shared with the other systems.

pub mod call;
pub mod member;
pub mod taxi;
