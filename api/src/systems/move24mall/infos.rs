//! `/moverinfos`: what the customer sees, while every service is down too.

use axum::extract::State;
use axum::response::Response;
use hansom_workflows::move_order::MoverInfos;

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{Base, Id, Kind, Pages, Params};
use crate::systems::rows::{self, Shown};

impl Shown for MoverInfos {
    const KIND: Kind = Kind { one: "moverinfo", many: "moverinfos" };
    const IF: Option<&'static str> = Some(Self::PLACED);
}

/// All orders, also the cancelled ones; with `tel`, those of that number.
pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
    Params(query): Params,
) -> Result<Response, Problem> {
    let only: Vec<_> = query.iter().filter(|(name, _)| name == "tel").collect();
    let only: Vec<_> = only.iter().map(|(name, tel)| (name.as_str(), tel.as_str())).collect();
    rows::page::<MoverInfos>(facade.sagas.client(), &base, page, &only).await
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    rows::one::<MoverInfos>(facade.sagas.client(), &base, id).await
}
