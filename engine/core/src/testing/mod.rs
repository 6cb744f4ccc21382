//! What a workflow is tested with: no database, no clock, no threads.
//!
//! * [`Script`] tells one story of a workflow, cue by cue, on a virtual clock:
//!   [`Script::advance`] lets time pass and every timer fire that falls due.
//! * [`Golden`] is a history that is kept: the body of today must still agree
//!   with what was stored then. [`golden`] keeps the history of a story in a file,
//!   whose format is [`History`].
//! * [`Exhaust`] tells all stories of a saga, with every fault it may meet.
//! * [`tell`] says what is in a history, in short lines.

mod cues;
pub mod exhaust;
mod golden;
mod history;
mod script;
mod story;

pub use exhaust::Exhaust;
pub use golden::{Golden, golden};
pub use history::History;
pub use script::Script;
pub use story::tell;
