//! anycall: rides that a driver accepts and that are paid at their end.

mod ask;
mod calls;
mod infos;
mod kinds;
mod members;
mod notifies;
mod payments;
mod taxis;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, get_service, patch};
use hansom_activities::anycall::call::CallService;
use hansom_activities::anycall::member::MemberService;
use hansom_activities::anycall::taxi::TaxiService;
use hansom_activities::faults::Switches;
use hansom_activities::notification::NotificationService;
use hansom_activities::payment::PaymentService;
use hansom_activities::service::{ANYCALL, MEMBERSHIP, NOTIFICATION, PAYMENT, Service, TAXI};
use sqlx::PgPool;

use super::Places;
use super::downstream::Downstream;
use super::sagas::Sagas;
use super::service::Bundled;
use crate::http::Api;

/// Ids of its workflows begin so: what it is shown of services that others use too.
const OURS: &str = "anycall.";

/// What the façade asks.
#[derive(Clone)]
struct Facade {
    sagas: Sagas,
    calls: Downstream,
    taxis: Downstream,
    members: Downstream,
    payment: Downstream,
}

/// The services that are its own.
pub(super) fn services(pool: &PgPool) -> [Bundled; 3] {
    let calls = CallService::new(pool.clone());
    let call = Service::new(ANYCALL, Switches::default(), calls.handlers());
    let calls = Router::new()
        .route("/calls", get(calls::list))
        .route("/calls/{id}", get(calls::show))
        .with_state(calls);
    let members = MemberService::new(pool.clone());
    let member = Service::new(MEMBERSHIP, Switches::default(), members.handlers());
    let members = Router::new()
        .route("/memberShips", get(members::list).post(members::register))
        .route("/memberShips/{id}", get(members::show).patch(members::change))
        .with_state(members);
    let taxis = TaxiService::new(pool.clone());
    let taxi = Service::new(TAXI, Switches::default(), taxis.handlers());
    let taxis = Router::new()
        .route("/taxis", get(taxis::list))
        .route("/taxis/{id}", get(taxis::show))
        .with_state(taxis);
    [Bundled::new(call, calls), Bundled::new(member, members), Bundled::new(taxi, taxis)]
}

/// What the payment service shows of it.
pub(super) fn payments(payments: PaymentService) -> Router {
    Router::new()
        .route("/anycall/payments", get(payments::list))
        .route("/anycall/payments/{id}", get(payments::show))
        .with_state(payments)
}

/// What the notification service shows of it.
pub(super) fn notifies(messages: NotificationService) -> Router {
    Router::new()
        .route("/anycall/notifies", get(notifies::list))
        .route("/anycall/notifies/{id}", get(notifies::show))
        .with_state(messages)
}

/// The documents' routes, as their gateway on port 8088 has them.
pub(super) fn facade(api: Arc<Api>, pool: &PgPool, places: &Places) -> Router {
    let kinds = [ANYCALL, TAXI, MEMBERSHIP, PAYMENT, NOTIFICATION];
    let [calls, taxis, members, payment, notification] = kinds.map(|kind| places.of(kind).clone());
    let facade = Facade {
        sagas: Sagas::new(api, pool),
        calls: calls.clone(),
        taxis: taxis.clone(),
        members: members.clone(),
        payment: payment.clone(),
    };
    let (payments, notifies) = (payment.forward("/anycall"), notification.forward("/anycall"));
    Router::new()
        .route("/memberShips", get_service(members.forward("")).post_service(members.forward("")))
        .route(
            "/memberShips/{id}",
            get_service(members.forward("")).patch_service(members.forward("")),
        )
        .route("/calls", get_service(calls.forward("")).post(calls::place))
        .route("/calls/{id}", patch(calls::change).get_service(calls.forward("")))
        .route("/taxis", get_service(taxis.forward("")))
        .route("/taxis/{id}", patch(taxis::change).get_service(taxis.forward("")))
        .route("/payments", get_service(payments.clone()))
        .route("/payments/{id}", get_service(payments))
        .route("/notifies", get_service(notifies.clone()))
        .route("/notifies/{id}", get_service(notifies))
        .route("/taxiServiceInfos", get(infos::list))
        .route("/taxiServiceInfos/{id}", get(infos::show))
        .with_state(facade)
}
