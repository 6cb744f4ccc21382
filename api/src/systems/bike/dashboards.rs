//! `/reservationDashboards`: who has which bike, while every service is down too.

use axum::extract::State;
use axum::response::Response;
use hansom_workflows::bike::ReservationDashboards;

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{Base, Id, Kind, Pages};
use crate::systems::rows::{self, Shown};

impl Shown for ReservationDashboards {
    const KIND: Kind = Kind { one: "reservationDashboard", many: "reservationDashboards" };
    const IF: Option<&'static str> = Some(Self::CREATED);
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    rows::page::<ReservationDashboards>(facade.sagas.client(), &base, page, &[]).await
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    rows::one::<ReservationDashboards>(facade.sagas.client(), &base, id).await
}
