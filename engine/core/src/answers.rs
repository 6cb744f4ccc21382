//! What an activity may answer, for who takes an answer in and does not know its types.

use crate::{Activity, Payload};

/// The answers of one activity, with their types erased.
#[derive(Clone, Copy)]
pub struct Answers {
    request: fn(&Payload) -> Result<(), serde_json::Error>,
    output: fn(&Payload) -> Result<(), serde_json::Error>,
    refusal: fn(&Payload) -> Result<(), serde_json::Error>,
}

impl Answers {
    /// Erases the types of `A`.
    pub const fn of<A: Activity>() -> Self {
        Self {
            request: |request| request.decode::<A>().map(drop),
            output: |output| output.decode::<A::Output>().map(drop),
            refusal: |refusal| refusal.decode::<A::Error>().map(drop),
        }
    }

    /// Whether `request` has the shape of the activity itself: nobody could perform what has
    /// not.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check_request(&self, request: &Payload) -> Result<(), serde_json::Error> {
        (self.request)(request)
    }

    /// Whether `output` has the shape of the activity's output. What has not must not reach a
    /// body, which could not go on from there.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check_output(&self, output: &Payload) -> Result<(), serde_json::Error> {
        (self.output)(output)
    }

    /// Whether `refusal` has the shape of the activity's refusal. None has where it is
    /// [`crate::Never`].
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check_refusal(&self, refusal: &Payload) -> Result<(), serde_json::Error> {
        (self.refusal)(refusal)
    }
}

/// There is no activity of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no activity `{name}`; there are: {}", known.join(", "))]
pub struct UnknownActivity {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: Vec<&'static str>,
}
