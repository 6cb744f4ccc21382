//! The acceptance scenarios of move24mall and of the bikes. Each begins with the number it has
//! in the specification.

mod bikes;
#[path = "../canary/mod.rs"]
mod canary;
#[path = "../ledger/mod.rs"]
mod ledger;
mod load;
mod moves;
#[path = "../processes/mod.rs"]
mod processes;
mod repeated;
mod rig;
mod stopped;
