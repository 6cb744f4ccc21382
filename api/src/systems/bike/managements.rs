//! `/managements`: which bikes there are. No saga: a registration is one row.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::bike::management::{Bike, BikeService, Registration};
use hansom_workflows::bike::BikeId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;

impl Resource for Bike {
    const KIND: Kind = Kind { one: "management", many: "managements" };

    fn id(&self) -> i64 {
        self.bike_id.0
    }

    fn body(&self) -> Value {
        json!({
            "bikeId": self.bike_id,
            "color": self.color,
            "registeredDate": self.registered_date,
            "status": if self.is_reserved { "RESERVED" } else { "AVAILABLE" },
        })
    }
}

pub(super) async fn list(
    State(bikes): State<BikeService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &bikes.list(page).await?))
}

pub(super) async fn show(
    State(bikes): State<BikeService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let bike = bikes.get(BikeId(id)).await?;
    bike.map(|bike| hal::one(&base, &bike)).ok_or_else(|| hal::not_found::<Bike>(id))
}

/// One more bike; with an `Idempotency-Key`, one for each key.
pub(super) async fn register(
    State(bikes): State<BikeService>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let (color, registered_date) = (fields.text("color")?, fields.text("registeredDate")?);
    let new = Registration { color, registered_date, key: key.as_deref().map(str::to_owned) };
    let bike_id = bikes.register(&new).await?.ok_or_else(|| Key::used("registration"))?;
    let Registration { color, registered_date, .. } = new;
    Ok(hal::created(&base, &Bike { bike_id, color, registered_date, is_reserved: false }))
}

/// What is not given stays as it is.
pub(super) async fn change(
    State(bikes): State<BikeService>,
    base: Base,
    Id(id): Id,
    fields: Fields,
) -> Result<Response, Problem> {
    let given = |key| fields.has(key).then(|| fields.text(key)).transpose();
    let (color, since) = (given("color")?, given("registeredDate")?);
    let bike = bikes.change(BikeId(id), color.as_deref(), since.as_deref()).await?;
    bike.map(|bike| hal::one(&base, &bike)).ok_or_else(|| hal::not_found::<Bike>(id))
}
