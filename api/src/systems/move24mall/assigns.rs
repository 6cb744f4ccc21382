//! `/moverassigns`: who moves whom.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::move24mall::moveassign::{AssignService, Assignment};
use hansom_workflows::move_order::OrderId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

impl Resource for Assignment {
    const KIND: Kind = Kind { one: "moverassign", many: "moverassigns" };

    fn id(&self) -> i64 {
        self.order_id.0
    }

    fn body(&self) -> Value {
        json!({
            "id": self.order_id,
            "status": self.status,
            "moverid": self.mover.plate,
            "mover": self.mover.name,
            "movertel": self.mover.tel,
        })
    }
}

pub(super) async fn list(
    State(assigns): State<AssignService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &assigns.list(page).await?))
}

pub(super) async fn show(
    State(assigns): State<AssignService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let assigned = assigns.get(OrderId(id)).await?;
    assigned.map(|found| hal::one(&base, &found)).ok_or_else(|| hal::not_found::<Assignment>(id))
}
