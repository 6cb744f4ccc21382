//! What a workflow is tested with: no database, no clock, no threads.

mod script;
mod story;

pub use script::Script;
pub use story::tell;
