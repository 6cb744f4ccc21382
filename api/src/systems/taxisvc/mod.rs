//! taxisvc: calls that are paid when they are placed, and driven by whoever the rules find.

mod calls;
mod drives;
mod kinds;
mod payments;
mod saga;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, get_service, post};
use hansom_activities::faults::Switches;
use hansom_activities::service::{CALL, DRIVE, PAYMENT, Service};
use hansom_activities::taxisvc::Taxisvc;
use hansom_activities::taxisvc::feed::Feed;
use hansom_activities::taxisvc::payment::PaymentService;
use sqlx::PgPool;

use super::Places;
use super::downstream::Downstream;
use super::hal::instead;
use super::rows::FOLLOWS;
use super::sagas::Sagas;
use super::service::Bundled;
use crate::http::Api;
use crate::http::kinds::Kind;

/// What does what the documents' generated screens ask for besides.
const CALLS: &str = "a call is placed by POST /calls and cancelled by POST /calls/cancel; \
    the rest its saga does";
const PAYMENTS: &str = "a call is paid for by POST /calls, and what cancels it gives the fare back";
const DRIVES: &str = "a drive starts when its call is paid for, by POST /calls, and ends by \
    POST /drives/end";

/// Kinds of problem that only it has.
pub(super) const KINDS: &[&[Kind]] = &[kinds::KINDS];

/// What the façade asks.
#[derive(Clone)]
struct Facade {
    sagas: Sagas,
    feed: Feed,
    calls: Downstream,
    drives: Downstream,
    payment: Downstream,
}

/// The call and the drive service.
pub(super) fn services(pool: &PgPool) -> [Bundled; 2] {
    let Taxisvc { calls, drives, .. } = Taxisvc::new(pool, Switches::default());
    let call = Service::new(CALL, Switches::default(), calls.handlers());
    let drive = Service::new(DRIVE, Switches::default(), drives.handlers());
    let calls = Router::new()
        .route("/calls", get(calls::list))
        .route("/calls/{id}", get(calls::show))
        .with_state(calls);
    let drives = Router::new()
        .route("/drives", get(drives::list))
        .route("/drives/{id}", get(drives::show))
        .with_state(drives);
    [Bundled::new(call, calls), Bundled::new(drive, drives)]
}

/// What the payment service shows of taxisvc.
pub(super) fn payments(payments: PaymentService) -> Router {
    Router::new()
        .route("/taxisvc/payments", get(payments::list))
        .route("/taxisvc/payments/{id}", get(payments::show))
        .with_state(payments)
}

/// The documents' routes, as their gateway on port 8088 has them, and the feed of events.
pub(super) fn facade(api: Arc<Api>, pool: &PgPool, places: &Places) -> Router {
    let [call, drive, payment] = [CALL, DRIVE, PAYMENT].map(|kind| places.of(kind));
    let (sagas, feed) = (Sagas::new(api, pool), Feed::new(pool.clone()));
    let [calls, drives, paid] = [call, drive, payment].map(Downstream::clone);
    let facade = Facade { sagas, feed, calls, drives, payment: paid };
    let calls = get_service(call.forward("")).fallback(instead(CALLS));
    let payments = get_service(payment.forward("/taxisvc")).fallback(instead(PAYMENTS));
    let drives = get_service(drive.forward("")).fallback(instead(DRIVES));
    Router::new()
        .route("/calls", calls.clone().post(calls::place))
        .route("/calls/{id}", calls)
        .route("/calls/cancel", post(calls::cancel))
        .route("/payments", payments.clone())
        .route("/payments/{id}", payments)
        .route("/callpay", MethodRouter::new().fallback(instead(PAYMENTS)))
        .route("/drives", drives.clone())
        .route("/drives/{id}", drives)
        .route("/drives/end", post(drives::end))
        .route("/callViews", get(views::list).fallback(instead(FOLLOWS)))
        .route("/callViews/{id}", get(views::show).fallback(instead(FOLLOWS)))
        .route("/events", get(views::events))
        .with_state(facade)
}
