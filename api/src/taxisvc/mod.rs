//! The façade of taxisvc: the documents' own REST, word for word, in front of
//! the saga and its services.

mod calls;
mod drives;
mod faults;
mod fields;
mod hal;
mod kinds;
mod payments;
mod saga;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use hansom_activities::StoreError;
use hansom_activities::faults::Switches;
use hansom_activities::taxisvc::Taxisvc;

use crate::http::Api;
use crate::http::errors::draining;
use crate::http::problem::Problem;

/// Where the façade is served whatever the gateway shows at the bare paths.
const PREFIX: &str = "/taxisvc";

/// What the façade asks.
#[derive(Clone)]
pub struct Facade {
    api: Arc<Api>,
    taxi: Taxisvc,
}

impl Facade {
    /// A façade for the services whose handlers that API's worker has.
    pub fn new(api: Arc<Api>, taxi: Taxisvc) -> Self {
        Self { api, taxi }
    }

    fn refuse_while_draining(&self) -> Result<(), Problem> {
        if self.api.is_draining() { Err(draining()) } else { Ok(()) }
    }
}

/// The façade under `/taxisvc`, with the feed of events and the fault switches.
pub fn routes(facade: Facade) -> Router {
    let more = Router::new()
        .route("/events", get(views::events))
        .route("/faults", get(faults::all))
        .route("/faults/{service}", get(faults::show).put(faults::set))
        .with_state(facade.clone());
    Router::new().nest(PREFIX, gateway(facade).merge(more))
}

/// The documents' routes at the bare paths, as their gateway on port 8088 has them.
pub fn gateway(facade: Facade) -> Router {
    Router::new()
        .route("/calls", get(calls::list).post(calls::place))
        .route("/calls/{id}", get(calls::show))
        .route("/calls/cancel", post(calls::cancel))
        .route("/payments", get(payments::list))
        .route("/payments/{id}", get(payments::show))
        .route("/drives", get(drives::list))
        .route("/drives/{id}", get(drives::show))
        .route("/drives/end", post(drives::end))
        .route("/callViews", get(views::list))
        .route("/callViews/{id}", get(views::show))
        .with_state(facade)
}

/// A service's database does not answer. Its words go to the log only.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = ?error, "taxisvc.store");
        Self::new(kinds::SERVICE_DOWN, "the service's database does not answer").retry_after(2)
    }
}

/// A service that was switched off answers nothing, not even reads.
fn is_up(switches: &Switches, service: &str) -> Result<(), Problem> {
    if switches.get().down {
        let detail = format!("the {service} service is switched off");
        return Err(Problem::new(kinds::SERVICE_DOWN, detail).retry_after(1));
    }
    Ok(())
}
