//! move24mall: movers who are called, assigned without anybody's word, and let go of again.

mod assigns;
mod infos;
mod kakaotalks;
mod manages;
mod movers;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, get_service, post};
use hansom_activities::faults::Switches;
use hansom_activities::move24mall::moveassign::AssignService;
use hansom_activities::move24mall::movemanage::ManageService;
use hansom_activities::move24mall::mover::MoverService;
use hansom_activities::notification::NotificationService;
use hansom_activities::service::{MOVEASSIGN, MOVEMANAGE, MOVER, NOTIFICATION, Service};
use sqlx::PgPool;

use super::Places;
use super::downstream::Downstream;
use super::hal::instead;
use super::rows::FOLLOWS;
use super::sagas::Sagas;
use super::service::Bundled;
use crate::http::Api;
use crate::http::kinds::Kind;

/// What does what the document's generated screens ask for besides.
const MOVERS: &str = "an order is placed by POST /movers and cancelled by DELETE /movers/{id}; \
    to change it, do both";
const REQUESTS: &str = "a mover is asked for and assigned by POST /movers, and let go by \
    DELETE /movers/{id}";

/// Kinds of problem that only it has.
pub(super) const KINDS: &[&[Kind]] = &[movers::KINDS];

/// What the façade asks.
#[derive(Clone)]
struct Facade {
    sagas: Sagas,
    movers: Downstream,
    manages: Downstream,
}

/// The mover, the movemanage and the moveassign service.
pub(super) fn services(pool: &PgPool) -> [Bundled; 3] {
    let movers = MoverService::new(pool.clone());
    let manages = ManageService::new(pool.clone());
    let assigns = AssignService::new(pool.clone());
    let mover = Service::new(MOVER, Switches::default(), movers.handlers());
    let movemanage = Service::new(MOVEMANAGE, Switches::default(), manages.handlers());
    let moveassign = Service::new(MOVEASSIGN, Switches::default(), assigns.handlers());
    let movers = Router::new()
        .route("/movers", get(movers::list))
        .route("/movers/{id}", get(movers::show))
        .with_state(movers);
    let manages = Router::new()
        .route("/movermanages", get(manages::list))
        .route("/movermanages/{id}", get(manages::show))
        .with_state(manages);
    let assigns = Router::new()
        .route("/moverassigns", get(assigns::list))
        .route("/moverassigns/{id}", get(assigns::show))
        .with_state(assigns);
    [
        Bundled::new(mover, movers),
        Bundled::new(movemanage, manages),
        Bundled::new(moveassign, assigns),
    ]
}

/// What the notification service shows of it.
pub(super) fn kakaotalks(messages: NotificationService) -> Router {
    Router::new().route("/move/kakaotalks", get(kakaotalks::list)).with_state(messages)
}

/// The documents' routes, as their gateway on port 8080 has them.
pub(super) fn facade(api: Arc<Api>, pool: &PgPool, places: &Places) -> Router {
    let [movers, manages] = [MOVER, MOVEMANAGE].map(|kind| places.of(kind).clone());
    let facade = Facade { sagas: Sagas::new(api, pool), movers, manages };
    let whose = [(MOVER, MOVERS), (MOVEMANAGE, REQUESTS), (MOVEASSIGN, REQUESTS)];
    let [movers, manages, assigns] =
        whose.map(|(kind, what)| get_service(places.of(kind).forward("")).fallback(instead(what)));
    Router::new()
        .route("/movers", movers.clone().post(movers::place))
        .route("/movers/{id}", movers.delete(movers::cancel))
        .route("/movers/{id}/complete", post(movers::complete))
        .route("/movermanages", manages.clone())
        .route("/movermanages/{id}", manages)
        .route("/moverassigns", assigns.clone())
        .route("/moverassigns/{id}", assigns)
        .route("/moverinfos", get(infos::list).fallback(instead(FOLLOWS)))
        .route("/moverinfos/{id}", get(infos::show).fallback(instead(FOLLOWS)))
        .route("/kakaotalks", get_service(places.of(NOTIFICATION).forward("/move")))
        .route("/customer", get(async || "move24mall"))
        .with_state(facade)
}
