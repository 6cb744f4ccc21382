//! `/taxiServiceInfos`: each ride from its call to its review, as the engine's view of it says.
//! No service is asked.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::page::Paged;
use hansom_engine::{ViewQuery, ViewRecord};
use hansom_workflows::anycall_ride::TaxiServiceInfos;
use serde_json::Value;

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

struct Info(ViewRecord);

impl Resource for Info {
    const KIND: Kind = Kind { one: "taxiServiceInfo", many: "taxiServiceInfos" };

    fn id(&self) -> i64 {
        self.0.key
    }

    fn body(&self) -> Value {
        Value::Object(self.0.row.clone())
    }
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    let (limit, offset) = (page.size, page.number.saturating_mul(page.size));
    let query = ViewQuery { limit, offset, ..ViewQuery::default() };
    let shown = facade.api.client().views::<TaxiServiceInfos>(&query).await?;
    let items = shown.items.into_iter().map(Info).collect();
    Ok(hal::many(&base, page, &Paged { items, total: shown.total }))
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let info = facade.api.client().view::<TaxiServiceInfos>(id).await?;
    info.map(|info| hal::one(&base, &Info(info))).ok_or_else(|| hal::not_found::<Info>(id))
}
