//! Workflow types with their types erased.

use std::pin::Pin;

use crate::{Ctx, Fingerprint, Payload, SignalType, UpdateType, Workflow};

pub(super) type Body = Pin<Box<dyn Future<Output = Result<Payload, Payload>>>>;

/// A workflow type with its types erased.
#[derive(Clone, Copy)]
pub struct WorkflowType {
    /// [`Workflow::NAME`].
    pub name: &'static str,
    /// [`Workflow::ACTIVITIES`].
    pub activities: &'static [&'static str],
    /// [`Workflow::SIGNALS`].
    pub signals: &'static [SignalType],
    /// [`Workflow::UPDATES`].
    pub updates: &'static [UpdateType],
    /// [`Workflow::CODE`].
    pub code: Option<Fingerprint>,
    /// The type itself, as the compiler calls it: `my_sagas::trip::Trip`.
    pub rust_type: &'static str,
    check_input: fn(&Payload) -> Result<(), serde_json::Error>,
    pub(super) start: fn(Ctx, &Payload) -> Result<Body, serde_json::Error>,
}

impl WorkflowType {
    /// Erases the types of `W`.
    pub fn of<W: Workflow>() -> Self {
        Self {
            name: W::NAME,
            activities: W::ACTIVITIES,
            signals: W::SIGNALS,
            updates: W::UPDATES,
            code: W::CODE,
            rust_type: std::any::type_name::<W>(),
            check_input: |input| input.decode::<W::Input>().map(drop),
            start: |ctx, input| {
                let input = input.decode::<W::Input>()?;
                Ok(Box::pin(async move {
                    let encode = |encoded: Result<Payload, serde_json::Error>| {
                        encoded.unwrap_or_else(|error| panic!("result of {}: {error}", W::NAME))
                    };
                    match W::run(ctx, input).await {
                        Ok(output) => Ok(encode(Payload::of(&output))),
                        Err(error) => Err(encode(Payload::of(&error))),
                    }
                }))
            },
        }
    }

    /// Whether `input` has the shape that this type is started with.
    ///
    /// # Errors
    ///
    /// Says where it has not.
    pub fn check_input(&self, input: &Payload) -> Result<(), serde_json::Error> {
        (self.check_input)(input)
    }
}
