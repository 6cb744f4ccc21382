//! `/callViews` and the feed of events: readable while every service is down.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use hansom_activities::taxisvc::view::{CallView, Event};
use hansom_workflows::taxi_call::CallId;
use serde_json::{Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Params, Resource};

/// Events per answer, unless fewer are asked for.
const MAX_EVENTS: u32 = 1_000;

impl Resource for CallView {
    const KIND: Kind = Kind { one: "callView", many: "callViews" };

    fn id(&self) -> i64 {
        self.call_id.0
    }

    fn body(&self) -> Value {
        json!({
            "callId": self.call_id,
            "callStatus": self.call_status,
            "userName": self.user_name,
            "driveId": self.drive_id,
            "driveStatus": self.drive_status,
            "driverName": self.driver_name,
            "taxiNum": self.taxi_num,
        })
    }
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &facade.taxi.views.list(page).await?))
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let view = facade.taxi.views.get(CallId(id)).await?;
    view.map(|view| hal::one(&base, &view)).ok_or_else(|| hal::not_found::<CallView>(id))
}

/// The events behind `after`, in order; `next` is the `after` of the next request.
pub(super) async fn events(
    State(facade): State<Facade>,
    Params(query): Params,
) -> Result<Json<Value>, Problem> {
    let after = hal::number(&query, "after", 0)?;
    let limit = hal::number(&query, "limit", MAX_EVENTS)?.clamp(1, MAX_EVENTS);
    let events = facade.taxi.views.events(after, limit).await?;
    let next = events.last().map_or(after, |event| event.event_id);
    let events: Vec<_> = events.into_iter().map(envelope).collect();
    Ok(Json(json!({ "events": events, "next": next })))
}

/// As upstream put it on the wire: the fields beside the type and the time.
fn envelope(event: Event) -> Value {
    let mut envelope = event.payload;
    envelope.insert("eventId".to_owned(), event.event_id.into());
    envelope.insert("eventType".to_owned(), event.event_type.into());
    envelope.insert("timestamp".to_owned(), event.at.timestamp_millis().into());
    Value::Object(envelope)
}
