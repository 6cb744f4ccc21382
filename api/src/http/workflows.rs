//! `/v1/workflows/{id}`: looking.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use hansom_engine::{ClientError, Description, HistoryEvent, Outcome, Page, UndoPlan};

use super::kinds;
use super::problem::{Problem, echo};
use super::query::{Params, WorkflowId};
use super::schema;
use super::state::Api;

/// A workflow as it stands now: what it waits for, what it owes, why it is stuck.
#[utoipa::path(get, path = "/v1/workflows/{id}", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    responses(
        (status = 200, body = schema::Description),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn describe(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
) -> Result<Json<Description>, Problem> {
    params.only(&[])?;
    Ok(Json(api.client().describe(&id).await?))
}

/// What happened, in commit order.
#[utoipa::path(get, path = "/v1/workflows/{id}/history", tag = "workflows",
    params(
        ("id" = String, Path, description = "The workflow's id"),
        ("cursor" = Option<u32>, Query, description = "After this event: `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::HistoryPage),
        (status = 400, description = "page.cursor", body = Problem),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn history(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
) -> Result<Json<Page<HistoryEvent>>, Problem> {
    params.only(&["cursor", "limit"])?;
    let limit = params.limit()?;
    let after = params.get("cursor").map(|given| {
        // Event numbers are stored as an `int`.
        given.parse().ok().filter(|after| *after <= i32::MAX.cast_unsigned()).ok_or_else(|| {
            let detail = format!("{} is not the number of an event", echo(given));
            Problem::new(kinds::PAGE_CURSOR, detail).field("cursor")
        })
    });
    Ok(Json(api.client().history(&id, after.transpose()?, limit).await?))
}

/// How it ended: 200 when it is closed, 202 with its status when it is still open.
#[utoipa::path(get, path = "/v1/workflows/{id}/result", tag = "workflows",
    params(
        ("id" = String, Path, description = "The workflow's id"),
        ("wait" = Option<String>, Query, description = "How long to wait for it; at most 60s"),
    ),
    responses(
        (status = 200, description = "Closed", body = schema::Outcome),
        (status = 202, description = "Still open", body = schema::Outcome,
            headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn result(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["wait"])?;
    let wait = params.wait()?.unwrap_or_default();
    match await_result(&api, &id, wait).await {
        Ok(outcome) => Ok(Json(outcome).into_response()),
        Err(Waited::StillOpen) => {
            let status = api.client().describe(&id).await?.status;
            if status.is_closed() {
                // It has closed in between.
                return Ok(Json(api.client().result(&id, Duration::ZERO).await?).into_response());
            }
            let open = Outcome { status, output: None, error: None };
            Ok((StatusCode::ACCEPTED, [(RETRY_AFTER, "1")], Json(open)).into_response())
        }
        Err(Waited::Problem(problem)) => Err(*problem),
    }
}

/// Why there is no result.
enum Waited {
    StillOpen,
    Problem(Box<Problem>),
}

/// Waits until it closes, the time is over, or the server is being stopped.
async fn await_result(api: &Api, id: &str, wait: Duration) -> Result<Outcome, Waited> {
    let result = tokio::select! {
        result = api.client().result(id, wait) => result,
        () = api.drained(), if !wait.is_zero() => Err(ClientError::Draining),
    };
    result.map_err(|error| match error {
        ClientError::StillOpen(_) => Waited::StillOpen,
        error => Waited::Problem(Box::new(error.into())),
    })
}

/// What would be undone if it unwound now, in order, with what each undo would be asked.
#[utoipa::path(get, path = "/v1/workflows/{id}/undo-plan", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    responses(
        (status = 200, body = schema::UndoPlan),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn undo_plan(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
) -> Result<Json<UndoPlan>, Problem> {
    params.only(&[])?;
    Ok(Json(api.client().undo_plan(&id).await?))
}

/// What it shows of itself: the state that its body published last. A plain read.
#[utoipa::path(get, path = "/v1/workflows/{id}/state", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    responses(
        (status = 200, body = schema::State),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn state(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
) -> Result<Json<hansom_engine::State>, Problem> {
    params.only(&[])?;
    Ok(Json(api.client().state(&id).await?))
}
