//! `/callViews` and the feed of events: readable while every service is down.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use hansom_activities::taxisvc::feed::Event;
use hansom_workflows::taxi_call::CallViews;
use serde_json::{Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Params};
use crate::systems::rows::{self, Shown};

/// Events per answer, unless fewer are asked for.
const MAX_EVENTS: u32 = 1_000;

impl Shown for CallViews {
    const KIND: Kind = Kind { one: "callView", many: "callViews" };
    const IF: Option<&'static str> = Some("placed");
    const HIDDEN: &'static [&'static str] = &["payment"];
}

pub(super) async fn list(
    State(facade): State<Facade>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    rows::page::<CallViews>(facade.sagas.client(), &base, page, &[]).await
}

pub(super) async fn show(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    rows::one::<CallViews>(facade.sagas.client(), &base, id).await
}

/// The events behind `after`, in order; `next` is the `after` of the next request.
pub(super) async fn events(
    State(facade): State<Facade>,
    Params(query): Params,
) -> Result<Json<Value>, Problem> {
    let after = hal::number(&query, "after", 0)?;
    let limit = hal::number(&query, "limit", MAX_EVENTS)?.clamp(1, MAX_EVENTS);
    let events = facade.feed.events(after, limit).await?;
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
