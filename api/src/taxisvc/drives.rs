//! `/drives`: look at one, end it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hansom_activities::taxisvc::drive::{Drive, DriveStatus};
use hansom_workflows::taxi_call::DriveId;
use serde_json::{Value, json};

use super::fields::Fields;
use super::hal::{self, Base, Id, Kind, Pages, Resource};
use super::{Facade, is_up};
use crate::http::problem::Problem;

impl Resource for Drive {
    const KIND: Kind = Kind { one: "drive", many: "drives" };

    fn id(&self) -> i64 {
        self.drive_id.0
    }

    fn body(&self) -> Value {
        json!({
            "driveId": self.drive_id,
            "driverName": self.driver_name,
            "callId": self.call_id,
            "driveStatus": self.status.as_str(),
            "taxiNum": self.taxi_num,
            "fare": self.fare,
        })
    }
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    is_up(&facade.taxi.drives.faults, "drive")?;
    Ok(hal::many(base, page, &facade.taxi.drives.list(page).await?))
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    is_up(&facade.taxi.drives.faults, "drive")?;
    let drive = facade.taxi.drives.get(DriveId(id)).await?;
    drive.map(|drive| hal::one(base, &drive)).ok_or_else(|| hal::not_found::<Drive>(id))
}

/// 200 when the drive has ended, and when there is none under way; 202 when
/// that takes longer.
pub(super) async fn end(
    State(facade): State<Facade>,
    fields: Fields,
) -> Result<StatusCode, Problem> {
    let id = DriveId(fields.id("driveId")?);
    facade.refuse_while_draining()?;
    is_up(&facade.taxi.drives.faults, "drive")?;
    match facade.taxi.drives.get(id).await? {
        Some(drive) if drive.status == DriveStatus::Start => {
            let ended = facade.end(&drive).await?;
            Ok(if ended { StatusCode::OK } else { StatusCode::ACCEPTED })
        }
        Some(_) | None => Ok(StatusCode::OK),
    }
}
