//! The payment service: charges and refunds of every system, shown to each in its own words.

use hansom_activities::faults::Switches;
use hansom_activities::payment::PaymentService;
use hansom_activities::service::{PAYMENT, Service};
use hansom_activities::taxisvc::Taxisvc;
use sqlx::PgPool;

use super::service::Bundled;
use super::{anycall, taxisvc};

/// One set of switches for all of it.
pub(super) fn service(pool: &PgPool) -> Bundled {
    let faults = Switches::default();
    let fares = Taxisvc::new(pool, faults.clone()).payments;
    let charges = PaymentService::new(pool.clone(), faults.clone());
    let handlers = fares.handlers().and(charges.handlers());
    let resources = taxisvc::payments(fares).merge(anycall::payments(charges));
    Bundled::new(Service::new(PAYMENT, faults, handlers), resources)
}
