//! `/v1/schedules`: workflows that the clock starts.

mod body;
pub mod schema;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use hansom_engine::Page;
use hansom_engine::schedule::{
    Asked, Fire, Outcome, Overlap, ScheduleDescription, ScheduleSummary,
};

use super::body::{Document, OptionalDocument};
use super::kinds;
use super::problem::{Problem, echo};
use super::query::{Params, ScheduleId, check_id, time_of};
use super::state::Api;
use super::verbs::refuse_while_draining;

/// Nominal times that a description looks ahead, unless it is told otherwise; and at most.
const NEXT: (u32, u32) = (5, 100);
/// Fires that a description looks back on, unless it is told otherwise; and at most.
const RECENT: (u32, u32) = (10, 100);

/// Creates a schedule.
///
/// The id makes it safe to repeat: the same id and definition are the same schedule, with 200.
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules",
    request_body = schema::CreateSchedule,
    responses(
        (status = 201, description = "Created", body = schema::Schedule,
            headers(("Location" = String, description = "The schedule"))),
        (status = 200, description = "It was there, with the same definition", body = schema::Schedule),
        (status = 400, body = Problem),
        (status = 409, description = "schedule.exists", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "schedule.spec, schedule.zone, workflow.unknown", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (id, definition, paused) = body::create(&body)?;
    refuse_while_draining(&api)?;
    let existing = api.client().create_schedule(&id, &definition, paused.as_deref()).await?;
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(LOCATION, format!("/v1/schedules/{id}"))];
    Ok((status, location, described(&api, &id).await?).into_response())
}

/// Lists schedules by their ids.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules",
    params(
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::SchedulePage),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Json<Page<ScheduleSummary>>, Problem> {
    params.only(&["cursor", "limit"])?;
    let (after, limit) = (params.get("cursor"), params.limit()?);
    if let Some(after) = after {
        check_id("cursor", after)?;
    }
    Ok(Json(api.client().list_schedules(after, limit).await?))
}

/// A schedule as it stands now: its next times, the runs that are open, its last fires.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "schedules",
    params(
        ("id" = String, Path, description = "The schedule's id"),
        ("next" = Option<u32>, Query, description = "So many times to come, at most 100; 5 when it is not given"),
        ("fires" = Option<u32>, Query, description = "So many last fires, at most 100; 10 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::Schedule),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn describe(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
) -> Result<Json<ScheduleDescription>, Problem> {
    params.only(&["next", "fires"])?;
    let (next, fires) = (count(&params, "next", NEXT)?, count(&params, "fires", RECENT)?);
    let next = usize::try_from(next).expect("at most a hundred");
    Ok(Json(api.client().describe_schedule(&id, (next, fires)).await?))
}

fn count(params: &Params, name: &str, (usual, most): (u32, u32)) -> Result<u32, Problem> {
    let Some(given) = params.get(name) else { return Ok(usual) };
    given.parse().ok().filter(|count| *count <= most).ok_or_else(|| {
        let detail = format!("`{name}` is {}; it is 0 to {most}", echo(given));
        Problem::new(kinds::PAGE_LIMIT, detail).field(name).limit(u64::from(most))
    })
}

/// Defines it anew, with everything it is defined by. What is paused stays so.
///
/// What was decided before stays. From the first time on that was due and not decided yet (while
/// no server was there), or else from now on, the times are those of the new definition.
#[utoipa::path(put, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    request_body = schema::DefineSchedule,
    responses(
        (status = 200, body = schema::Schedule),
        (status = 400, body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "schedule.spec, schedule.zone, workflow.unknown", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
    body: Document,
) -> Result<Json<ScheduleDescription>, Problem> {
    params.only(&[])?;
    let definition = body::define(&body, &id)?;
    refuse_while_draining(&api)?;
    api.client().update_schedule(&id, &definition).await?;
    described(&api, &id).await
}

/// Forgets it, and what became of its fires. What it started goes on.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.only(&[])?;
    refuse_while_draining(&api)?;
    api.client().delete_schedule(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// From now on nothing is started by the clock; every time becomes a fire that says so.
#[utoipa::path(post, path = "/v1/schedules/{id}/pause", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    request_body = Option<schema::Note>,
    responses(
        (status = 200, body = schema::Schedule),
        (status = 400, body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn pause(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
    OptionalDocument(body): OptionalDocument,
) -> Result<Json<ScheduleDescription>, Problem> {
    params.only(&[])?;
    let note = body::note(body.as_ref())?;
    refuse_while_draining(&api)?;
    api.client().pause_schedule(&id, note.as_deref()).await?;
    described(&api, &id).await
}

/// Goes on by the clock. What was due meanwhile is not made up for: see backfill.
#[utoipa::path(post, path = "/v1/schedules/{id}/resume", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    request_body = Option<schema::Note>,
    responses(
        (status = 200, body = schema::Schedule),
        (status = 400, body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
    OptionalDocument(body): OptionalDocument,
) -> Result<Json<ScheduleDescription>, Problem> {
    params.only(&[])?;
    let note = body::note(body.as_ref())?;
    refuse_while_draining(&api)?;
    api.client().resume_schedule(&id, note.as_deref()).await?;
    described(&api, &id).await
}

/// Fires now, also when it is paused or over. Each call is a fire of its own.
#[utoipa::path(post, path = "/v1/schedules/{id}/trigger", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    request_body = Option<schema::Trigger>,
    responses(
        (status = 202, description = "Recorded; what becomes of it is among its fires", body = schema::Asked,
            headers(("Location" = String, description = "The schedule's fires"))),
        (status = 400, body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 429, description = "schedule.buffer_full", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn trigger(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let overlap = match &body {
        Some(body) => {
            body.only(&["overlap"])?;
            body::overlap(body)?
        }
        None => None,
    };
    refuse_while_draining(&api)?;
    Ok(asked(&id, api.client().trigger_schedule(&id, overlap).await?))
}

/// Fires for every nominal time from `from` to `to` that has not started anything: at most 1 000.
///
/// Unless `overlap` says otherwise, one after the other.
#[utoipa::path(post, path = "/v1/schedules/{id}/backfill", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    request_body = schema::Backfill,
    responses(
        (status = 202, description = "Recorded; what becomes of them is among its fires", body = schema::Asked,
            headers(("Location" = String, description = "The schedule's fires"))),
        (status = 400, body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "schedule.catchup_limit", body = Problem),
        (status = 429, description = "schedule.buffer_full", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn backfill(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
    body: Document,
) -> Result<Response, Problem> {
    params.only(&[])?;
    body.only(&["from", "to", "overlap"])?;
    let time = |name: &str| time_of(name, &body.pointer(name), &body.required_text(name)?);
    let range = (time("from")?, time("to")?);
    let overlap = body::overlap(&body)?.unwrap_or(Overlap::BufferAll);
    refuse_while_draining(&api)?;
    Ok(asked(&id, api.client().backfill_schedule(&id, range, overlap).await?))
}

/// What became of its nominal times, latest first. They are kept for 30 days.
#[utoipa::path(get, path = "/v1/schedules/{id}/fires", tag = "schedules",
    params(
        ("id" = String, Path, description = "The schedule's id"),
        ("outcome" = Option<schema::FireOutcome>, Query, description = "Only what became of them"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::FirePage),
        (status = 400, description = "page.cursor", body = Problem),
        (status = 404, description = "schedule.not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn fires(
    State(api): State<Arc<Api>>,
    ScheduleId(id): ScheduleId,
    params: Params,
) -> Result<Json<Page<Fire>>, Problem> {
    params.only(&["outcome", "cursor", "limit"])?;
    let outcome = params.one_of("outcome", &Outcome::ALL)?;
    let before = params.get("cursor").map(|given| {
        let time = DateTime::parse_from_rfc3339(given).map(|time| time.to_utc());
        time.map_err(|_| {
            let detail = format!("{} is not the `next` of a page of fires", echo(given));
            Problem::new(kinds::PAGE_CURSOR, detail).field("cursor")
        })
    });
    let (before, limit): (Option<DateTime<Utc>>, _) = (before.transpose()?, params.limit()?);
    Ok(Json(api.client().schedule_fires(&id, outcome, before, limit).await?))
}

async fn described(api: &Api, id: &str) -> Result<Json<ScheduleDescription>, Problem> {
    let next = usize::try_from(NEXT.0).expect("a few");
    Ok(Json(api.client().describe_schedule(id, (next, RECENT.0)).await?))
}

fn asked(id: &str, asked: Asked) -> Response {
    let location = [(LOCATION, format!("/v1/schedules/{id}/fires"))];
    (StatusCode::ACCEPTED, location, Json(asked)).into_response()
}
