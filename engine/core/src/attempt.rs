//! How one attempt ended.

use std::time::Duration;

use crate::{Activity, Failure, Payload};

/// How one attempt ended, with its types erased.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// The handler answered.
    Done(Payload),
    /// The handler refused.
    Refused(Payload),
    /// Something technical: worth another attempt.
    Failed {
        /// What went wrong.
        reason: String,
        /// When the service asked to be called again.
        retry_after: Option<Duration>,
    },
    /// It was not sent, and so none was made ([`Failure::Unavailable`]).
    Unavailable {
        /// Why not.
        reason: String,
        /// When it may be sent, if that is known.
        after: Option<Duration>,
    },
}

impl Attempt {
    /// A technical failure.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), retry_after: None }
    }

    /// What a handler of `A` answered, with its types erased. An answer without a JSON form,
    /// or one of more than [`Payload::MAX`] bytes, is a technical failure.
    pub fn of<A: Activity>(answer: Result<A::Output, Failure<A::Error>>) -> Self {
        let encoded = match answer {
            Ok(output) => Payload::of(&output).map(Self::Done),
            Err(Failure::Refused(error)) => Payload::of(&error).map(Self::Refused),
            Err(Failure::Retry { reason, after }) => {
                return Self::Failed { reason: reason.to_string(), retry_after: after };
            }
            Err(Failure::Unavailable { reason, after }) => {
                return Self::Unavailable { reason: reason.to_string(), after };
            }
        };
        match encoded {
            Ok(Self::Done(payload) | Self::Refused(payload))
                if payload.get().len() > Payload::MAX =>
            {
                let (bytes, limit) = (payload.get().len(), Payload::MAX);
                Self::failed(format!("answer of {}: {bytes} bytes; the limit is {limit}", A::NAME))
            }
            Ok(attempt) => attempt,
            Err(error) => Self::failed(format!("answer of {}: {error}", A::NAME)),
        }
    }
}
