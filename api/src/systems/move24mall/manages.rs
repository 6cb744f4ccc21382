//! `/movermanages`: requests, as the manager has them.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::move24mall::movemanage::{ManageService, Request};
use hansom_workflows::move_order::OrderId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

impl Resource for Request {
    const KIND: Kind = Kind { one: "movermanage", many: "movermanages" };

    fn id(&self) -> i64 {
        self.order_id.0
    }

    fn body(&self) -> Value {
        let mover = self.mover.as_ref();
        json!({
            "id": self.order_id,
            "orderId": self.order_id.0.to_string(),
            "tel": self.tel,
            "location": self.location,
            "status": self.status,
            "cost": self.cost,
            "moverid": mover.map(|mover| &mover.plate),
            "mover": mover.map(|mover| &mover.name),
            "movertel": mover.map(|mover| &mover.tel),
        })
    }
}

pub(super) async fn list(
    State(manages): State<ManageService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &manages.list(page).await?))
}

pub(super) async fn show(
    State(manages): State<ManageService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let request = manages.get(OrderId(id)).await?;
    request.map(|request| hal::one(&base, &request)).ok_or_else(|| hal::not_found::<Request>(id))
}
