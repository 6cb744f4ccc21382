//! The notification service: messages of every system, shown to each in its own words.

use hansom_activities::faults::Switches;
use hansom_activities::notification::NotificationService;
use hansom_activities::service::{NOTIFICATION, Service};
use sqlx::PgPool;

use super::service::Bundled;
use super::{anycall, move24mall};

pub(super) fn service(pool: &PgPool) -> Bundled {
    let messages = NotificationService::new(pool.clone());
    let service = Service::new(NOTIFICATION, Switches::default(), messages.handlers());
    let resources = anycall::notifies(messages.clone()).merge(move24mall::kakaotalks(messages));
    Bundled::new(service, resources)
}
