//! `/drives`: look at one, end it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hansom_activities::taxisvc::drive::{Drive, DriveService, DriveStatus};
use hansom_workflows::taxi_call::{CallId, DriveId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

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
    State(drives): State<DriveService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &drives.list(page).await?))
}

pub(super) async fn show(
    State(drives): State<DriveService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let drive = drives.get(DriveId(id)).await?;
    drive.map(|drive| hal::one(&base, &drive)).ok_or_else(|| hal::not_found::<Drive>(id))
}

/// What of a drive its end needs, as the service shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) call_id: CallId,
    drive_status: String,
}

impl Shown {
    pub(super) fn is_under_way(&self) -> bool {
        self.drive_status == DriveStatus::Start.as_str()
    }
}

/// 200 when the drive has ended, and when there is none under way; 202 when
/// that takes longer.
pub(super) async fn end(
    State(facade): State<Facade>,
    fields: Fields,
) -> Result<StatusCode, Problem> {
    let id = DriveId(fields.id("driveId")?);
    facade.sagas.refuse_while_draining()?;
    let drive = facade.drive(id).await?;
    match drive.filter(Shown::is_under_way) {
        Some(drive) => {
            let ended = facade.end(id, drive.call_id).await?;
            Ok(if ended { StatusCode::OK } else { StatusCode::ACCEPTED })
        }
        None => Ok(StatusCode::OK),
    }
}
