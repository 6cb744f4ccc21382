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
use axum::routing::{get, get_service};
use hansom_activities::anycall::call::CallService;
use hansom_activities::anycall::member::MemberService;
use hansom_activities::anycall::taxi::TaxiService;
use hansom_activities::faults::Switches;
use hansom_activities::notification::NotificationService;
use hansom_activities::payment::PaymentService;
use hansom_activities::service::{ANYCALL, MEMBERSHIP, NOTIFICATION, PAYMENT, Service, TAXI};
use hansom_workflows::anycall_ride::Terms;
use sqlx::PgPool;

use super::Places;
use super::downstream::Downstream;
use super::hal::instead;
use super::rows::FOLLOWS;
use super::sagas::Sagas;
use super::service::Bundled;
use crate::http::Api;
use crate::http::kinds::Kind;

/// Ids of its workflows begin with this word: what it is shown of services that others use too.
const OURS: &str = "anycall";

fn is_ours(workflow_id: &str) -> bool {
    workflow_id.split('.').next() == Some(OURS)
}

/// What does what the document's generated screens ask for besides.
const MEMBERS: &str = "a member is registered by POST /memberShips and changed by PATCH \
    /memberShips/{id}; who gives no card, by creditCardNumber=, cannot call";
const CALLS: &str = "a call is cancelled by PATCH /calls/{id} callStatus=호출취소 while no taxi has it; \
    what took place stays on record";
const TAXIS: &str = "a taxi is let go by who called it, by PATCH /calls/{id} callStatus=호출취소, and \
    a ride is over by PATCH /taxis/{id} taxiStatus=운행종료";
const PAYMENTS: &str = "a payment is made by ending the ride, by PATCH /taxis/{id} \
    taxiStatus=운행종료 payAmt=…";
const NOTIFIES: &str = "what there is to tell the saga of a ride tells";

/// Kinds of problem that only it has.
pub(super) const KINDS: &[&[Kind]] = &[kinds::KINDS];

/// What the façade asks.
#[derive(Clone)]
struct Facade {
    sagas: Sagas,
    /// Those of the rides that it starts.
    terms: Terms,
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
        .route("/memberShips/{id}", get(members::show).patch(members::change).put(members::change))
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
pub(super) fn facade(api: Arc<Api>, pool: &PgPool, places: &Places, terms: Terms) -> Router {
    let kinds = [ANYCALL, TAXI, MEMBERSHIP, PAYMENT, NOTIFICATION];
    let [calls, taxis, members, payment, notification] = kinds.map(|kind| places.of(kind).clone());
    let facade = Facade {
        sagas: Sagas::new(api, pool),
        terms,
        calls: calls.clone(),
        taxis: taxis.clone(),
        members: members.clone(),
        payment: payment.clone(),
    };
    let [members, calls, taxis] = [members, calls, taxis].map(|place| place.forward(""));
    let all_members = get_service(members.clone()).fallback(instead(MEMBERS));
    let calls = get_service(calls).fallback(instead(CALLS));
    let taxis = get_service(taxis).fallback(instead(TAXIS));
    let payments = get_service(payment.forward("/anycall")).fallback(instead(PAYMENTS));
    let notifies = get_service(notification.forward("/anycall")).fallback(instead(NOTIFIES));
    Router::new()
        .route("/memberShips", all_members.clone().post_service(members.clone()))
        .route("/memberShips/{id}", all_members.patch_service(members.clone()).put_service(members))
        .route("/calls", calls.clone().post(calls::place))
        .route("/calls/{id}", calls.patch(calls::change).put(calls::change))
        .route("/taxis", taxis.clone().post(taxis::call))
        .route("/taxis/{id}", taxis.patch(taxis::change).put(taxis::change))
        .route("/payments", payments.clone())
        .route("/payments/{id}", payments)
        .route("/notifies", notifies.clone())
        .route("/notifies/{id}", notifies)
        .route("/taxiServiceInfos", get(infos::list).fallback(instead(FOLLOWS)))
        .route("/taxiServiceInfos/{id}", get(infos::show).fallback(instead(FOLLOWS)))
        .with_state(facade)
}
