//! Switches that make a bundled service misbehave, for trying things out.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hansom_core::{Ask, Attempt};
use serde::{Deserialize, Serialize};

/// What is wrong with a service. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// It does not answer at all, and does nothing.
    pub down: bool,
    /// It thinks for so long before it does anything. JSON: `latency_ms`, at most 10 minutes.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
    /// How many of its answers are an error, before it has done anything: from 0 to 1.
    pub error_rate: f64,
    /// It says no to every new request, if it is a service that can.
    pub decline: bool,
    /// It does what it is asked, and then its answer is lost.
    pub lose_answer: bool,
}

/// The switches of one service; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Switches(Arc<RwLock<Faults>>);

/// A technical failure that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// [`Faults::down`].
    #[error("the service is down")]
    Down,
    /// [`Faults::error_rate`].
    #[error("the service failed")]
    Error,
    /// [`Faults::lose_answer`].
    #[error("the answer of the service was lost")]
    AnswerLost,
}

impl From<Fault> for Attempt {
    fn from(fault: Fault) -> Self {
        Self::failed(fault.to_string())
    }
}

impl Switches {
    /// How they are set.
    pub fn get(&self) -> Faults {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets them all, from the next request on.
    pub fn set(&self, faults: Faults) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Sets what `change` makes of them, and nothing if it cannot; nobody sets any meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `change`.
    pub fn change<E>(&self, change: impl FnOnce(Faults) -> Result<Faults, E>) -> Result<Faults, E> {
        let mut faults = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *faults = change(*faults)?;
        Ok(*faults)
    }

    /// Returns when a request may be looked at, as the switches say, or why it will not be.
    pub async fn hold_up(&self) -> Result<(), Fault> {
        let faults = self.get();
        if faults.down {
            return Err(Fault::Down);
        }
        tokio::time::sleep(faults.latency).await;
        if faults.error_rate > 0.0 && rand::random::<f64>() < faults.error_rate {
            return Err(Fault::Error);
        }
        Ok(())
    }

    /// Makes one attempt as the switches say.
    ///
    /// In a task of its own: a service goes on with its work when the caller
    /// has given up on it, and a statement under way is never dropped.
    pub async fn serve(self, ask: Ask) -> Attempt {
        let activity = ask.activity;
        let serving = tokio::spawn(async move {
            if let Err(fault) = self.hold_up().await {
                return fault.into();
            }
            let lost = self.get().lose_answer;
            let answer = ask.perform().await;
            if let Attempt::Failed { reason, .. } = &answer {
                tracing::warn!(activity, reason, "service_failed");
            }
            if lost { Fault::AnswerLost.into() } else { answer }
        });
        serving.await.unwrap_or_else(|error| Attempt::failed(error.to_string()))
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const MAX: u64 = 600_000;

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        match u64::deserialize(from)? {
            millis @ ..=MAX => Ok(Duration::from_millis(millis)),
            millis => Err(D::Error::custom(format!("latency_ms: {millis} is more than {MAX}"))),
        }
    }
}
