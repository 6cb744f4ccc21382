//! `/taxiServiceInfos`: each ride from its call to its review, as the engine's view of it says.
//! No service is asked.

use axum::extract::State;
use axum::response::Response;
use hansom_workflows::anycall_ride::TaxiServiceInfos;

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{Base, Id, Kind, Pages};
use crate::systems::rows::{self, Shown};

impl Shown for TaxiServiceInfos {
    const KIND: Kind = Kind { one: "taxiServiceInfo", many: "taxiServiceInfos" };
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    rows::page::<TaxiServiceInfos>(facade.sagas.client(), &base, page, &[]).await
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    rows::one::<TaxiServiceInfos>(facade.sagas.client(), &base, id).await
}
