//! The pure heart of Hansom: history in, commands out.
//!
//! Nothing here does I/O, reads a clock, or knows that Postgres exists; the
//! manifest has no dependency that could. A saga is a plain `async fn`:
//! `Ok` commits it, `Err` unwinds it, and the undo of a step is recorded
//! before the step is made.
//!
//! ```
//! use hansom_core::{Activity, ActivityError, Ctx, Never, Workflow, testing::Script};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)] struct Charge { trip: u64 }
//! #[derive(Serialize, Deserialize)] struct Refund { trip: u64 }
//! #[derive(Serialize, Deserialize)] struct Complete { trip: u64 }
//! impl Activity for Charge { const NAME: &str = "charge"; type Output = (); type Error = Never; }
//! impl Activity for Refund { const NAME: &str = "refund"; type Output = (); type Error = Never; }
//! impl Activity for Complete { const NAME: &str = "complete"; type Output = (); type Error = Never; }
//!
//! struct Trip;
//! impl Workflow for Trip {
//!     const NAME: &str = "trip";
//!     const ACTIVITIES: &[&str] = &[Charge::NAME, Refund::NAME, Complete::NAME];
//!     type Input = u64;
//!     type Output = ();
//!     type Error = ActivityError<Never>;
//!
//!     async fn run(ctx: Ctx, trip: u64) -> Result<(), Self::Error> {
//!         ctx.run(Charge { trip }).undo(Refund { trip }).await?;
//!         ctx.pivot().run(Complete { trip }).await;
//!         Ok(())
//!     }
//! }
//!
//! // A charge whose outcome is lost is refunded too.
//! let story = Script::<Trip>::start(&7).lose::<Charge>().complete::<Refund>(&()).story();
//! assert_eq!(story, ["charge", "unwind", "undo: refund", "failed"]);
//! ```
//!
//! The rooms: [`Workflow`] and its friends are what authors write (`contract`),
//! [`Ctx`] is what a body may await (`context`, `step`), [`Event`] and
//! [`Command`] are the vocabulary (`history`), [`Ledger`] is what history adds
//! up to, [`Machine`] runs one workflow, live or in replay, [`View`] is what others
//! see of it (`view`), and [`Handler`] is implemented on the other side of the I/O line.

mod answers;
mod attempt;
mod context;
mod contract;
mod debt;
mod fingerprint;
mod handler;
mod handlers;
mod history;
mod id;
mod ledger;
mod machine;
mod message;
mod options;
mod pulse;
mod status;
mod step;
pub mod testing;
mod view;
mod workflows;

pub use answers::{Answers, UnknownActivity};
pub use attempt::Attempt;
pub use context::{
    ChildError, ChildWorkflow, Committed, Ctx, Either, Elapsed, Signals, StillOpen, UpdateRequest,
    Updates,
};
pub use contract::{Activity, ActivityError, Harmless, Never, Probe, Verdict, Workflow};
pub use debt::{Because, PlannedUndo};
pub use fingerprint::Fingerprint;
pub use handler::{ActivityContext, Direction, Failure, Handler};
pub use handlers::{Ask, ErasedHandler, Handlers};
pub use history::{
    Call, Cause, ChildOutcome, Command, Continued, Event, Origin, Owed, Parent, ParentClose,
    Payload, Seq, StartChild, StuckReason, Timestamp, UpdateAnswer,
};
pub use id::is_id;
pub use ledger::{Child, Ledger, News, Order, Probed, Rang, Running};
pub use machine::{Machine, WorkflowType};
pub use message::{Signal, SignalType, Update, UpdateType};
pub use options::{ActivityOptions, OnUnknown, RetryPolicy, WhenUnavailable};
pub use pulse::Pulse;
pub use status::{Outcome, Status, UndoStatus};
pub use step::{Step, StepWithoutUndo};
pub use view::{Fact, Fold, Patch, View, ViewFault, ViewRow, ViewType};
pub use workflows::Workflows;
