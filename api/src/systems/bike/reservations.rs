//! `/reservations`: reserve a bike, look at it, cancel it, bring it back.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansom_activities::bike::reservation::{Reservation, ReservationService};
use hansom_activities::numbers::Series;
use hansom_core::Status;
use hansom_engine::ClientError;
use hansom_workflows::bike::{
    self, BikeId, ReservationDashboards, ReserveNo, ReserveStatus, ReturnBike, UserId,
};
use serde_json::{Map, Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;
use crate::systems::kinds::{SERVICE_DOWN, kinds};
use crate::systems::sagas::{Begun, Cancelled, PATIENCE_SETTLE};

kinds! {
    OVER = 409 "bike.reservation_over" "The reservation is over";
    NOT_STARTED = 409 "bike.reservation_not_started" "The reservation is not decided yet";
    TAKEN = 409 "bike.reservation_taken" "The reservation belongs to another saga";
    PENDING = 504 "bike.reservation_pending" "The reservation is not written down yet";
}

/// Longer than all attempts to write it down.
const PATIENCE_CREATE: Duration = Duration::from_secs(15);

impl Resource for Reservation {
    const KIND: Kind = Kind { one: "reservation", many: "reservations" };

    fn id(&self) -> i64 {
        self.reserve_no.0
    }

    fn body(&self) -> Value {
        json!({
            "reserveNo": self.reserve_no,
            "userId": self.user_id,
            "bikeId": self.bike_id,
            "reserveDateTime": self.reserved_at,
            "returnDateTime": self.returned_at,
            "reserveStatus": self.status,
        })
    }
}

pub(super) async fn list(
    State(reservations): State<ReservationService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &reservations.list(page).await?))
}

pub(super) async fn show(
    State(reservations): State<ReservationService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let found = reservations.get(ReserveNo(id)).await?;
    found.map(|found| hal::one(&base, &found)).ok_or_else(|| hal::not_found::<Reservation>(id))
}

/// Answers when it is written down; whether the bike is to be had is decided behind that.
pub(super) async fn reserve(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let (user_id, bike_id) = (UserId(fields.id("userId")?), BikeId(fields.id("bikeId")?));
    let known = facade.sagas.drawn(Series::BikeReservation, &key).await?;
    let number = if let Some(number) = known {
        number
    } else {
        facade.reservations.ready(SERVICE_DOWN)?;
        facade.sagas.draw(Series::BikeReservation, &key).await?
    };
    let reserve_no = ReserveNo(number);
    let reservation = bike::Reservation { reserve_no, user_id, bike_id };
    let id = reserve_no.workflow_id();
    let is_created =
        |row: &Map<String, Value>| (row[ReservationDashboards::CREATED] == true).then_some(());
    let begun = facade.sagas.begin::<ReservationDashboards, ()>(
        (&id, &reservation),
        &key,
        PATIENCE_CREATE,
        PartialEq::eq,
        is_created,
    );
    let about = format!("reservation {}", reserve_no.0);
    match begun.await? {
        Begun::Decided(()) => {
            let (status, reserved_at, returned_at) = (None, None, None);
            let made =
                Reservation { reserve_no, user_id, bike_id, status, reserved_at, returned_at };
            Ok(hal::created(&base, &made))
        }
        Begun::Ended => {
            let detail = format!("{about} could not be written down; no points are taken");
            Err(key.refused(SERVICE_DOWN, &detail))
        }
        Begun::Taken => Err(key.refused(TAKEN, &format!("{about} is another's"))),
        Begun::Pending => {
            let problem = key.pending(PENDING, &format!("{about} is still being worked on"));
            Ok(hal::pending::<Reservation>(&base, reserve_no.0, problem))
        }
    }
}

/// As the documents' client changes it: `reserveStatus` says what is to come of it.
pub(super) async fn change(
    state: State<Facade>,
    base: Base,
    id: Id,
    fields: Fields,
) -> Result<Response, Problem> {
    match ReserveStatus::parse(&fields.text("reserveStatus")?) {
        Some(ReserveStatus::Cancelled) => cancel(state, base, id).await,
        Some(ReserveStatus::Returned) => give_back(state, base, id).await,
        _ => Err(fields.wrong("reserveStatus", "must be 예약취소 or 사용완료")),
    }
}

/// 200 when it is cancelled and the points are back, also when it was before, or 204 where its
/// service does not show it; 202 when that takes longer.
pub(super) async fn cancel(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let workflow_id = ReserveNo(id).workflow_id();
    match facade.sagas.cancel(&workflow_id, "the user cancelled").await? {
        Cancelled::Settled | Cancelled::Over(Status::Cancelled) => {
            Ok(facade.settled(&base, id).await)
        }
        Cancelled::Pending => Ok(StatusCode::ACCEPTED.into_response()),
        Cancelled::Unknown => Err(hal::not_found::<Reservation>(id)),
        Cancelled::Over(status) => Err(over(id, status)),
    }
}

/// 200 when the bike is back, also when it was before, or 204 where its service does not show
/// it; 202 when that takes longer.
pub(super) async fn give_back(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    facade.sagas.refuse_while_draining()?;
    let workflow_id = ReserveNo(id).workflow_id();
    facade.is_started(id, &workflow_id).await?;
    // The same for every repetition: a bike is returned once.
    let back = facade
        .sagas
        .client()
        .update(&workflow_id, &ReturnBike {}, Some("return"), PATIENCE_SETTLE)
        .await;
    match back {
        Ok(Ok(())) => Ok(facade.settled(&base, id).await),
        Err(ClientError::StillOpen(_)) => Ok(StatusCode::ACCEPTED.into_response()),
        Err(ClientError::Closed { status, .. }) => Err(over(id, status)),
        Err(error) => Err(error.into()),
        Ok(Err(never)) => match never {},
    }
}

fn over(id: i64, status: Status) -> Problem {
    let how = match status {
        Status::Completed => "the bike is back",
        Status::Failed => "it was rejected",
        Status::Terminated => "it was terminated by an operator",
        _ => "it was cancelled",
    };
    Problem::new(OVER, format!("reservation {id}: {how}"))
}

impl Facade {
    /// Whether the bike may be brought back. A saga keeps what it is told early, and this would
    /// end a reservation in the moment in which it begins.
    async fn is_started(&self, id: i64, workflow_id: &str) -> Result<(), Problem> {
        let status = match self.sagas.client().describe(workflow_id).await {
            Ok(shown) => shown.status,
            Err(ClientError::NotFound(_)) => return Err(hal::not_found::<Reservation>(id)),
            Err(error) => return Err(error.into()),
        };
        let row = self.sagas.client().view::<ReservationDashboards>(id).await?;
        let decided = row.is_some_and(|record| !record.row["reserveStatus"].is_null());
        match status {
            Status::Running | Status::Stuck if !decided => {
                let detail = format!("reservation {id} waits for its bike, or its points");
                Err(Problem::new(NOT_STARTED, detail).retry_after(1))
            }
            // What is stuck hears of it when an operator has let it go on.
            Status::Running | Status::Stuck | Status::Completed => Ok(()),
            status => Err(over(id, status)),
        }
    }

    async fn settled(&self, base: &Base, id: i64) -> Response {
        self.reservations.shown(base, &format!("/reservations/{id}")).await
    }
}
