//! What an attempt says while it works, and what an earlier one said.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::Payload;

/// Where the heartbeats of an attempt go. Clones go to the same place.
#[derive(Clone, Default)]
pub struct Pulse(Option<Arc<Inner>>);

struct Inner {
    earlier: Option<Payload>,
    beat: Box<dyn Fn(Option<Payload>) + Send + Sync>,
}

impl Pulse {
    /// No details of a heartbeat are larger, in bytes of JSON.
    pub const MAX: usize = 64 * 1024;

    /// What an earlier attempt said last, and who hears the beats of this one. `beat` must not
    /// wait for anything; it is told the details unless they cannot be kept.
    pub fn new(
        earlier: Option<Payload>,
        beat: impl Fn(Option<Payload>) + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(Inner { earlier, beat: Box::new(beat) })))
    }

    pub(crate) fn beat(&self, details: &impl Serialize) {
        if let Some(inner) = &self.0 {
            let details = Payload::of(details).ok();
            (inner.beat)(details.filter(|details| details.get().len() <= Self::MAX));
        }
    }

    pub(crate) fn earlier(&self) -> Option<&Payload> {
        self.0.as_ref()?.earlier.as_ref()
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.earlier()).finish()
    }
}
