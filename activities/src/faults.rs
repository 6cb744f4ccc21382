//! Switches that make a bundled service misbehave, for trying things out.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hansom_core::Failure;
use serde::{Deserialize, Serialize};

/// What is wrong with a service. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// It does not answer at all, and does nothing.
    pub down: bool,
    /// It thinks for so long before it does anything. JSON: `latency_ms`, at most 10 minutes.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
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
enum Fault {
    #[error("the service is down")]
    Down,
    #[error("the answer of the service was lost")]
    AnswerLost,
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

    /// Serves one request as the switches say.
    ///
    /// In a task of its own: a service goes on with its work when the caller
    /// has given up on it, and a statement under way is never dropped.
    pub(crate) async fn serve<T, E>(
        &self,
        work: impl Future<Output = Result<T, Failure<E>>> + Send + 'static,
    ) -> Result<T, Failure<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let faults = self.get();
        if faults.down {
            return Err(Fault::Down.into());
        }
        let serving = tokio::spawn(async move {
            tokio::time::sleep(faults.latency).await;
            let answer = work.await;
            if let Err(Failure::Retry { reason, .. }) = &answer {
                tracing::warn!(error = ?reason, "service_failed");
            }
            if faults.lose_answer { Err(Fault::AnswerLost.into()) } else { answer }
        });
        serving.await?
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
