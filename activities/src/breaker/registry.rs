//! The breakers of a process, by service and by activity.

use std::collections::BTreeMap;
use std::sync::Arc;

use hansom_core::{Ask, Handlers};

use super::{Breaker, BreakerSettings};

/// The breakers of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Breakers {
    services: BTreeMap<String, Arc<Breaker>>,
    activities: BTreeMap<&'static str, Arc<Breaker>>,
}

impl Breakers {
    /// Puts the breaker of `service` around its handlers: the same one for all of them, and for
    /// whatever else of the service is put behind it; the first to do so says its settings.
    #[must_use]
    pub fn guard(
        &mut self,
        service: &str,
        settings: BreakerSettings,
        handlers: Handlers,
    ) -> Handlers {
        let new = || Arc::new(Breaker::new(service, settings));
        let breaker = self.services.entry(service.to_owned()).or_insert_with(new);
        for name in handlers.names() {
            self.activities.insert(name, Arc::clone(breaker));
        }
        let breaker = Arc::clone(breaker);
        handlers.layered(move |ask: Ask| Arc::clone(&breaker).call(ask))
    }

    /// The breaker of a service.
    pub fn get(&self, service: &str) -> Option<&Arc<Breaker>> {
        self.services.get(service)
    }

    /// The breaker that an activity goes through when it is performed here.
    pub fn of_activity(&self, activity: &str) -> Option<&Arc<Breaker>> {
        self.activities.get(activity)
    }

    /// All of them, by service.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Breaker>> {
        self.services.values()
    }
}
