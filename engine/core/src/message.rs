//! What the world may say to a running workflow: signals and updates.

use std::error::Error;

use serde::{Serialize, de::DeserializeOwned};

use crate::Payload;

/// A message from outside into a running workflow.
pub trait Signal: Serialize + DeserializeOwned + 'static {
    /// Stable name, as stored in the database and used in URLs.
    const NAME: &'static str;
}

/// A kind of signal with its type erased.
#[derive(Clone, Copy)]
pub struct SignalType {
    /// [`Signal::NAME`].
    pub name: &'static str,
    check: fn(&Payload) -> Result<(), serde_json::Error>,
}

impl SignalType {
    /// Erases the type of `S`.
    pub const fn of<S: Signal>() -> Self {
        Self { name: S::NAME, check: |payload| payload.decode::<S>().map(drop) }
    }

    /// Whether `payload` has the shape of this signal. What has not must not
    /// reach a body, which could not go on from there.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check(&self, payload: &Payload) -> Result<(), serde_json::Error> {
        (self.check)(payload)
    }
}

/// A message whose sender waits for the workflow's answer: given once, kept in history, and
/// the same however often the sender asks again.
pub trait Update: Serialize + DeserializeOwned + 'static {
    /// Stable name, as stored in the database and used in URLs.
    const NAME: &'static str;
    /// What the body answers.
    type Output: Serialize + DeserializeOwned;
    /// Why it may refuse.
    type Error: Serialize + DeserializeOwned + Error;
}

/// A kind of update with its types erased.
#[derive(Clone, Copy)]
pub struct UpdateType {
    /// [`Update::NAME`].
    pub name: &'static str,
    check: fn(&Payload) -> Result<(), serde_json::Error>,
}

impl UpdateType {
    /// Erases the types of `U`.
    pub const fn of<U: Update>() -> Self {
        Self { name: U::NAME, check: |payload| payload.decode::<U>().map(drop) }
    }

    /// Whether `payload` has the shape of this update.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check(&self, payload: &Payload) -> Result<(), serde_json::Error> {
        (self.check)(payload)
    }
}
