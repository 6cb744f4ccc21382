//! The vocabulary of history: what was asked, and what has happened since.
//!
//! The JSON of these types is the format on disk. A tag or a field, once
//! released, keeps its name for ever.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ActivityOptions;

/// Position of a command within one run, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u32);

/// Microseconds since 1970-01-01T00:00:00Z, by the database's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much later; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// JSON that the engine carries but does not read. Cheap to clone.
#[derive(Clone)]
pub struct Payload(Arc<RawValue>);

impl Payload {
    /// No payload is larger, in bytes of JSON.
    pub const MAX: usize = 2 * 1024 * 1024;

    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// When the value has no JSON form (a map with keys that are not text).
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    /// Takes JSON text as it is.
    ///
    /// # Errors
    ///
    /// When it is not JSON.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(|raw| Self(raw.into()))
    }

    /// Decodes it.
    ///
    /// # Errors
    ///
    /// When it does not have the shape of `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(|raw| Self(raw.into()))
    }
}

/// A request to run an activity, with its types erased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// [`crate::Activity::NAME`].
    pub activity: String,
    /// The encoded request.
    pub request: Payload,
}

/// What a workflow asks of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Run an activity; should the saga unwind, run `undo`.
    Run {
        /// [`crate::Activity::NAME`].
        activity: String,
        /// The encoded request.
        request: Payload,
        /// Its compensation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<Call>,
        /// Overrides of the activity type's own options.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<ActivityOptions>,
    },
    /// Wake the workflow at a time.
    StartTimer {
        /// When, by the database's clock.
        at: Timestamp,
    },
    /// Forget a timer that has not fired.
    CancelTimer {
        /// The [`Command::StartTimer`].
        timer: Seq,
    },
    /// Pass the point of no return.
    Pivot {},
    /// Give up and compensate. From here on the body is not needed any more.
    Unwind {
        /// Why.
        cause: Cause,
    },
    /// Compensate the action at `of` with the undo recorded there.
    Undo {
        /// The action being undone.
        of: Seq,
    },
    /// Close: the body returned `Ok`.
    Complete {
        /// The encoded output.
        output: Payload,
    },
    /// Close an unwound workflow, as [`Command::Unwind`] said.
    Close {},
}

/// Why a workflow unwinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The body returned `Err`.
    Failed {
        /// The encoded error.
        error: Payload,
    },
    /// Someone asked for it.
    Cancelled,
}

/// What has happened, in the order it was committed.
///
/// In JSON each is an object with one key that names it; a command that was
/// asked is named by itself: `{"run":{"activity":"charge_fare", ..}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "Wire")]
pub enum Event {
    /// The workflow was started.
    Started {
        /// The encoded input.
        input: Payload,
    },
    /// The activity at `seq` answered.
    Done {
        /// Which command.
        seq: Seq,
        /// The encoded output.
        output: Payload,
    },
    /// The activity at `seq` refused: its effect is known not to have happened.
    Refused {
        /// Which command.
        seq: Seq,
        /// The encoded refusal.
        error: Payload,
    },
    /// Retries of the activity at `seq` ran out: its outcome is unknown.
    Unknown {
        /// Which command.
        seq: Seq,
        /// How many attempts were made.
        attempts: u32,
        /// The last technical failure.
        reason: String,
    },
    /// One attempt failed technically; the next one counts from here.
    AttemptFailed {
        /// Which command.
        seq: Seq,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// What went wrong.
        reason: String,
        /// When the next attempt is due.
        retry_at: Timestamp,
    },
    /// The worker was lost with an attempt in flight; the next one counts from here.
    AttemptLost {
        /// Which command.
        seq: Seq,
        /// The attempt that was lost, from 1.
        attempt: u32,
    },
    /// The timer at `seq` fired.
    Fired {
        /// Which command.
        seq: Seq,
    },
    /// A signal arrived.
    Signalled {
        /// [`crate::Signal::NAME`].
        name: String,
        /// The sender's id of it; a repetition is dropped.
        id: String,
        /// The encoded signal.
        payload: Payload,
    },
    /// Someone asked for a cancellation.
    CancelRequested {
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It will not move without an operator.
    Stuck {
        /// Stable code.
        reason: StuckReason,
        /// What a person needs to know.
        detail: String,
    },
    /// A command was accepted. The first attempt of an activity counts from here.
    #[serde(untagged)]
    Asked(Command),
}

/// [`Event`] as it is read: with the tags of commands beside its own, because a
/// reader that tries one after the other cannot carry a [`Payload`] unread.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Started { input: Payload },
    Done { seq: Seq, output: Payload },
    Refused { seq: Seq, error: Payload },
    Unknown { seq: Seq, attempts: u32, reason: String },
    AttemptFailed { seq: Seq, attempt: u32, reason: String, retry_at: Timestamp },
    AttemptLost { seq: Seq, attempt: u32 },
    Fired { seq: Seq },
    Signalled { name: String, id: String, payload: Payload },
    CancelRequested { reason: Option<String> },
    Stuck { reason: StuckReason, detail: String },
    Run { activity: String, request: Payload, undo: Option<Call>, options: Option<ActivityOptions> },
    StartTimer { at: Timestamp },
    CancelTimer { timer: Seq },
    Pivot {},
    Unwind { cause: Cause },
    Undo { of: Seq },
    Complete { output: Payload },
    Close {},
}

impl From<Wire> for Event {
    fn from(wire: Wire) -> Self {
        let asked = match wire {
            Wire::Started { input } => return Self::Started { input },
            Wire::Done { seq, output } => return Self::Done { seq, output },
            Wire::Refused { seq, error } => return Self::Refused { seq, error },
            Wire::Unknown { seq, attempts, reason } => {
                return Self::Unknown { seq, attempts, reason };
            }
            Wire::AttemptFailed { seq, attempt, reason, retry_at } => {
                return Self::AttemptFailed { seq, attempt, reason, retry_at };
            }
            Wire::AttemptLost { seq, attempt } => return Self::AttemptLost { seq, attempt },
            Wire::Fired { seq } => return Self::Fired { seq },
            Wire::Signalled { name, id, payload } => {
                return Self::Signalled { name, id, payload };
            }
            Wire::CancelRequested { reason } => return Self::CancelRequested { reason },
            Wire::Stuck { reason, detail } => return Self::Stuck { reason, detail },
            Wire::Run { activity, request, undo, options } => {
                Command::Run { activity, request, undo, options }
            }
            Wire::StartTimer { at } => Command::StartTimer { at },
            Wire::CancelTimer { timer } => Command::CancelTimer { timer },
            Wire::Pivot {} => Command::Pivot {},
            Wire::Unwind { cause } => Command::Unwind { cause },
            Wire::Undo { of } => Command::Undo { of },
            Wire::Complete { output } => Command::Complete { output },
            Wire::Close {} => Command::Close {},
        };
        Self::Asked(asked)
    }
}

/// Why a workflow will not move without an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckReason {
    /// The code no longer agrees with its history.
    Nondeterminism,
    /// The body panicked.
    Panic,
    /// A stored payload does not have the shape the code expects.
    Payload,
    /// An undo ran out of attempts; it stays owed.
    UndoExhausted,
    /// The workers that ran it were lost again and again.
    Poison,
    /// This binary has no workflow of that type.
    UnknownType,
    /// The body returned `Err` past its point of no return.
    FailedAfterPivot,
    /// The history passed its limit.
    HistoryLimit,
}

impl StuckReason {
    /// The code, as stored.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nondeterminism => "nondeterminism",
            Self::Panic => "panic",
            Self::Payload => "payload",
            Self::UndoExhausted => "undo_exhausted",
            Self::Poison => "poison",
            Self::UnknownType => "unknown_type",
            Self::FailedAfterPivot => "failed_after_pivot",
            Self::HistoryLimit => "history_limit",
        }
    }
}
