//! What a workflow body may await.
//!
//! A future from here asks on its first poll and answers when history does.
//! [`Ctx`] is deliberately `!Send`: it cannot be smuggled into another thread.
//! Nothing here knows how history is stored, or whether it is being replayed.

mod child;
mod messages;
mod race;
mod time;
mod version;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use child::{ChildError, ChildWorkflow};
pub use messages::{Signals, UpdateRequest, Updates};
pub use race::Either;
pub use time::Elapsed;
pub use version::StillOpen;

use crate::{ChildOutcome, Command, Payload, Seq, StuckReason, Timestamp};

/// The workflow's only window on the world.
///
/// ```compile_fail,E0277
/// # async fn body(ctx: hansom_core::Ctx) {
/// fn escapes(_: impl Send) {}
/// escapes(ctx);
/// # }
/// ```
///
/// ```
/// # async fn body(ctx: hansom_core::Ctx) {
/// fn stays<T>(_: T) {}
/// stays(ctx);
/// # }
/// ```
#[derive(Default)]
pub struct Ctx(pub(crate) Rc<RefCell<State>>);

/// The same window, past the point of no return: steps can only succeed.
///
/// ```compile_fail,E0271
/// # use hansom_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge;
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)] #[error("no")] struct No;
/// # impl Activity for Charge { const NAME: &'static str = "charge"; type Output = (); type Error = No; }
/// async fn body(ctx: Ctx) {
///     ctx.pivot().run(Charge).await; // a step that may refuse has no place here
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use hansom_core::*;
/// async fn body(ctx: Ctx) {
///     let committed = ctx.pivot();
///     ctx.sleep(std::time::Duration::ZERO).await; // `ctx` is gone: there is no way back
/// }
/// ```
pub struct Committed(pub(crate) Ctx);

/// What history has told the body so far, and what the body has asked for.
#[derive(Default)]
pub(crate) struct State {
    /// Asked for, and not yet compared with history or recorded in it.
    pub(crate) issued: VecDeque<Command>,
    /// The position of the next command.
    pub(crate) next: u32,
    /// Answers that nobody has taken yet.
    pub(crate) outcomes: BTreeMap<Seq, Answer>,
    pub(crate) signals: Mail,
    pub(crate) updates: Mail,
    pub(crate) now: Timestamp,
    pub(crate) fault: Option<(StuckReason, String)>,
    /// Who to wake when the next event is delivered.
    pub(crate) waiting: Vec<Waker>,
    /// The body is being dropped: what its futures ask for now does not count.
    pub(crate) muted: bool,
    /// It goes on in another run: nothing is left to do here.
    pub(crate) continued: bool,
    /// The body wants to be cancelled: nothing that it asks for from here on counts.
    pub(crate) cancelled: bool,
    /// What keeps it from going on in another run.
    pub(crate) open: StillOpen,
    pub(crate) versions: Versions,
    pub(crate) random: u64,
    pub(crate) workflow_type: &'static str,
}

/// Messages that nobody has taken yet, by their name: the sender's id, and what it says.
pub(crate) type Mail = BTreeMap<String, VecDeque<(String, Payload)>>;

/// Which changes of the body this run has.
#[derive(Default)]
pub(crate) struct Versions {
    /// As its history says.
    pub(crate) recorded: BTreeSet<String>,
    /// As the body was told already.
    pub(crate) told: BTreeMap<String, bool>,
    /// The body has asked for more: what history does not say of that was not so.
    pub(crate) replaying: bool,
}

/// How one command was answered.
pub(crate) enum Answer {
    Done(Payload),
    Refused(Payload),
    Unknown { attempts: u32, reason: String },
    NotDone { attempts: u32, reason: String },
    Child(ChildOutcome),
    Fired,
}

impl Ctx {
    /// Shows a state to whoever asks what this workflow is doing: the last one counts. It is
    /// kept as JSON, and is no part of what a replay compares.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize)] struct Progress { asked: u32, accepted: bool }
    /// # fn body(ctx: &Ctx) {
    /// ctx.publish(&Progress { asked: 3, accepted: false });
    /// # }
    /// ```
    pub fn publish(&self, state: &impl Serialize) {
        if let Some(state) = self.encode("published state", state) {
            self.issue(Command::Publish { state });
        }
    }

    /// Sets a label to be found by: `GET /v1/workflows?label.driver=7`; a second of the same
    /// key replaces it. Each is at most
    /// 255 bytes without NUL; what is not leaves the workflow stuck (`limit`).
    ///
    /// ```
    /// # fn body(ctx: &hansom_core::Ctx, driver: u64) {
    /// ctx.label("driver", &driver.to_string());
    /// # }
    /// ```
    pub fn label(&self, key: &str, value: &str) {
        let fits = |text: &str| text.len() <= 255 && !text.contains('\0');
        if !fits(key) || !fits(value) {
            let detail = format!("label {key:?}: at most 255 bytes each, and no NUL");
            self.0.borrow_mut().fault = Some((StuckReason::Limit, detail));
            return;
        }
        self.issue(Command::Label { key: key.to_owned(), value: value.to_owned() });
    }

    /// Evenly distributed, different for every run and every call, the same in every replay.
    /// Not for secrets.
    ///
    /// ```
    /// # fn body(ctx: &hansom_core::Ctx, drivers: &[u64]) {
    /// let first = drivers[ctx.random() as usize % drivers.len()];
    /// let ticket = ctx.uuid(); // of use as a business id: every attempt has the same
    /// # let _ = (first, ticket);
    /// # }
    /// ```
    pub fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        let mut state = self.0.borrow_mut();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state.random ^ (state.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A UUID (version 4) made of [`Ctx::random`].
    pub fn uuid(&self) -> String {
        let bits = (u128::from(self.random()) << 64) | u128::from(self.random());
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// Passes the point of no return: from here on a cancellation comes too late, a deadline
    /// as well, nothing is undone any more, and every step is tried until it succeeds.
    ///
    /// ```
    /// # use hansom_core::*;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Complete;
    /// # impl Activity for Complete { const NAME: &'static str = "complete"; type Output = (); type Error = Never; }
    /// # async fn body(ctx: Ctx) {
    /// ctx.pivot().run(Complete).await; // no `?`: it cannot fail
    /// # }
    /// ```
    #[must_use = "what follows the pivot is asked of what it returns"]
    pub fn pivot(self) -> Committed {
        self.issue(Command::Pivot {});
        Committed(self)
    }

    /// Ends here as cancelled: the body goes no further, and all that was done is undone, as if
    /// somebody had asked for it. For an end that is no failure: the customer changed their mind,
    /// and was told that it is not too late for that. A parent hears [`ChildError::Cancelled`]; its
    /// history has the `unwind`, and no `cancel_requested`, because nobody else has asked.
    ///
    /// What else is awaited beside it, as in [`Ctx::select`], may still be answered in the same
    /// moment, but asks for nothing any more: no step, no answer to an update, no pivot.
    ///
    /// ```
    /// # use hansom_core::{Ctx, Never, Update, Workflow, testing::Script};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct NeverMind;
    /// # impl Update for NeverMind { const NAME: &'static str = "never_mind"; type Output = (); type Error = Never; }
    /// # struct Trip;
    /// # impl Workflow for Trip {
    /// #     const NAME: &str = "trip"; const ACTIVITIES: &[&str] = &[];
    /// #     const UPDATES: &'static [hansom_core::UpdateType] = &[hansom_core::UpdateType::of::<NeverMind>()];
    /// #     type Input = (); type Output = (); type Error = Never;
    /// async fn run(ctx: Ctx, (): ()) -> Result<(), Never> {
    ///     ctx.updates::<NeverMind>().next().await.answer(&());
    ///     ctx.cancel().await
    /// }
    /// # }
    /// # let trip = Script::<Trip>::start(&()).update("1", &NeverMind);
    /// # assert_eq!(trip.story(), ["answer", "unwind", "cancelled"]);
    /// ```
    pub async fn cancel(&self) -> ! {
        let continued = self.0.borrow().continued;
        self.0.borrow_mut().cancelled = !continued;
        std::future::pending().await
    }

    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Looks for an answer in history, or waits to be woken by its next event.
    pub(crate) fn look<T>(
        &self,
        cx: &Context<'_>,
        find: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut state = self.0.borrow_mut();
        if let Some(answer) = find(&mut state) {
            return Poll::Ready(answer);
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn issue(&self, command: Command) -> Seq {
        let mut state = self.0.borrow_mut();
        let seq = Seq(state.next);
        if !state.muted && !state.continued && !state.cancelled {
            state.next += 1;
            state.open.count(&command);
            state.issued.push_back(command);
        }
        seq
    }

    /// Encodes what the author hands out; what cannot be carried stops the body here.
    pub(crate) fn encode(&self, what: &str, value: &impl Serialize) -> Option<Payload> {
        carried(what, value).map_err(|fault| self.0.borrow_mut().fault = Some(fault)).ok()
    }
}

/// What can be carried, or why the body stops that hands it out.
pub(crate) fn carried(
    what: &str,
    value: &impl Serialize,
) -> Result<Payload, (StuckReason, String)> {
    match Payload::of(value) {
        Ok(payload) if payload.get().len() <= Payload::MAX => Ok(payload),
        Ok(payload) => {
            let (bytes, limit) = (payload.get().len(), Payload::MAX);
            Err((StuckReason::Limit, format!("{what}: {bytes} bytes; the limit is {limit}")))
        }
        Err(error) => Err((StuckReason::Payload, format!("{what}: {error}"))),
    }
}

impl State {
    /// Decodes what history holds. What does not fit stops the body where it
    /// is: it is a fault of the code, not an outcome of the saga.
    pub(crate) fn decode<T: DeserializeOwned>(
        &mut self,
        what: &str,
        payload: &Payload,
    ) -> Option<T> {
        payload
            .decode()
            .inspect_err(|error| {
                self.fault = Some((StuckReason::Payload, format!("{what}: {error}")));
            })
            .ok()
    }
}

impl Committed {
    /// Shows a state to whoever asks, as [`Ctx::publish`].
    pub fn publish(&self, state: &impl Serialize) {
        self.0.publish(state);
    }

    /// Sets a label to be found by, as [`Ctx::label`].
    pub fn label(&self, key: &str, value: &str) {
        self.0.label(key, value);
    }
}
