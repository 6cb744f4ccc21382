//! `/points`: what everybody has.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::bike::point::{Balance, PointService};
use hansom_workflows::bike::UserId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

impl Resource for Balance {
    const KIND: Kind = Kind { one: "point", many: "points" };

    fn id(&self) -> i64 {
        self.user_id.0
    }

    fn body(&self) -> Value {
        json!({ "userId": self.user_id, "totalPoint": self.total })
    }
}

pub(super) async fn list(
    State(points): State<PointService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &points.list(page).await?))
}

pub(super) async fn show(
    State(points): State<PointService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let balance = points.get(UserId(id)).await?;
    balance.map(|found| hal::one(&base, &found)).ok_or_else(|| hal::not_found::<Balance>(id))
}
