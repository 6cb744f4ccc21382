//! Bikes that are reserved with points.

mod approvals;
mod dashboards;
mod managements;
mod points;
mod reservations;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, get_service, post};
use hansom_activities::bike::approval::ApprovalService;
use hansom_activities::bike::management::BikeService;
use hansom_activities::bike::point::PointService;
use hansom_activities::bike::reservation::ReservationService;
use hansom_activities::faults::Switches;
use hansom_activities::service::{APPROVAL, BIKE, POINT, RESERVATION, Service};
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
const BIKES: &str = "a bike is registered by POST /managements and changed by PATCH \
    /managements/{id}; it stays, for who has reserved it";
const POINTS: &str = "points are bought by POST /approvals and spent by POST /reservations";
const RESERVATIONS: &str = "a reservation is over by PATCH /reservations/{id} \
    reserveStatus=예약취소 or reserveStatus=사용완료; it stays on record";
const APPROVALS: &str = "points are bought by POST /approvals; what is paid for stays bought";

/// Kinds of problem that only it has.
pub(super) const KINDS: &[&[Kind]] = &[approvals::KINDS, reservations::KINDS];

/// What the façade asks.
#[derive(Clone)]
struct Facade {
    sagas: Sagas,
    reservations: Downstream,
    approvals: Downstream,
}

/// The bike, the point, the reservation and the approval service.
pub(super) fn services(pool: &PgPool) -> [Bundled; 4] {
    let bikes = BikeService::new(pool.clone());
    let bike = Service::new(BIKE, Switches::default(), bikes.handlers());
    let bikes = Router::new()
        .route("/managements", get(managements::list).post(managements::register))
        .route(
            "/managements/{id}",
            get(managements::show).patch(managements::change).put(managements::change),
        )
        .with_state(bikes);
    let points = PointService::new(pool.clone());
    let point = Service::new(POINT, Switches::default(), points.handlers());
    let points = Router::new()
        .route("/points", get(points::list))
        .route("/points/{id}", get(points::show))
        .with_state(points);
    let reservations = ReservationService::new(pool.clone());
    let reservation = Service::new(RESERVATION, Switches::default(), reservations.handlers());
    let reservations = Router::new()
        .route("/reservations", get(reservations::list))
        .route("/reservations/{id}", get(reservations::show))
        .with_state(reservations);
    let approvals = ApprovalService::new(pool.clone());
    let approval = Service::new(APPROVAL, Switches::default(), approvals.handlers());
    let approvals = Router::new()
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", get(approvals::show))
        .with_state(approvals);
    [
        Bundled::new(bike, bikes),
        Bundled::new(point, points),
        Bundled::new(reservation, reservations),
        Bundled::new(approval, approvals),
    ]
}

/// The documents' routes, as their gateway on port 8088 has them.
pub(super) fn facade(api: Arc<Api>, pool: &PgPool, places: &Places) -> Router {
    let [bike, point, reservation, approval] =
        [BIKE, POINT, RESERVATION, APPROVAL].map(|kind| places.of(kind).forward(""));
    let [reservations, approvals] = [RESERVATION, APPROVAL].map(|kind| places.of(kind).clone());
    let facade = Facade { sagas: Sagas::new(api, pool), reservations, approvals };
    let bikes = get_service(bike.clone()).fallback(instead(BIKES));
    let points = get_service(point).fallback(instead(POINTS));
    let all = get_service(reservation).fallback(instead(RESERVATIONS));
    let approvals = get_service(approval).fallback(instead(APPROVALS));
    Router::new()
        .route("/managements", bikes.clone().post_service(bike.clone()))
        .route("/managements/{id}", bikes.patch_service(bike.clone()).put_service(bike))
        .route("/points", points.clone())
        .route("/points/{id}", points)
        .route("/reservations", all.clone().post(reservations::reserve))
        .route("/reservations/{id}", all.patch(reservations::change).put(reservations::change))
        .route("/reservations/{id}/cancel", post(reservations::cancel))
        .route("/reservations/{id}/return", post(reservations::give_back))
        .route("/approvals", approvals.clone().post(approvals::buy))
        .route("/approvals/{id}", approvals)
        .route("/reservationDashboards", get(dashboards::list).fallback(instead(FOLLOWS)))
        .route("/reservationDashboards/{id}", get(dashboards::show).fallback(instead(FOLLOWS)))
        .with_state(facade)
}
