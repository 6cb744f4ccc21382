//! What is asked of a workflow from outside its body: to cancel, to end, to try again.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use hansom_core::Status;
use hansom_engine::{ClientError, UndoPlan};

use super::body::{Document, OptionalDocument};
use super::errors::draining;
use super::kinds;
use super::problem::Problem;
use super::query::{Params, WorkflowId};
use super::schema;
use super::state::Api;

/// The longest reason, in bytes.
const MAX_REASON: usize = 1000;

/// A workflow that is terminated closes with its owner's next commit: it is waited for so long.
const CLOSING: Duration = Duration::from_secs(5);

/// Cancels it: what it did is undone, then it closes. Repeating it changes nothing.
#[utoipa::path(post, path = "/v1/workflows/{id}/cancel", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    request_body = Option<schema::Reason>,
    responses(
        (status = 200, description = "It is cancelled already", body = schema::Accepted),
        (status = 202, description = "Recorded", body = schema::Accepted),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "cancel.after_pivot, workflow.closed", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let reason = body.map(|body| reason(&body)).transpose()?.flatten();
    refuse_while_draining(&api)?;
    let status = match api.client().cancel(&id, reason.as_deref()).await? {
        Status::Cancelled => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok(accepted(status, id))
}

/// Closes it where it is, whatever it is doing: for operators. Nothing is undone.
///
/// The answer is what stays owed; `undo-plan` goes on to tell it. Repeating it changes nothing.
#[utoipa::path(post, path = "/v1/workflows/{id}/terminate", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    request_body = schema::RequiredReason,
    responses(
        (status = 200, description = "It is terminated, and this stays owed", body = schema::UndoPlan),
        (status = 202, description = "Recorded; its owner has not closed it yet", body = schema::UndoPlan),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "workflow.closed", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn terminate(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
    body: Document,
) -> Result<(StatusCode, Json<UndoPlan>), Problem> {
    params.only(&[])?;
    let reason = reason(&body)?.ok_or_else(|| body.required("reason"))?;
    refuse_while_draining(&api)?;
    let owed = api.client().terminate(&id, &reason).await?;
    // A step may have ended while it closed: what it owes then is what stays owed.
    let outcome = tokio::select! {
        outcome = api.client().result(&id, CLOSING) => outcome.ok(),
        () = api.drained() => None,
    };
    match terminated(&id, outcome.map(|outcome| outcome.status))? {
        StatusCode::OK => Ok((StatusCode::OK, Json(api.client().undo_plan(&id).await?))),
        recorded => Ok((recorded, Json(owed))),
    }
}

/// What to answer when it has closed so, or not yet: it may have come to an end of its own first.
fn terminated(id: &str, closed: Option<Status>) -> Result<StatusCode, ClientError> {
    match closed {
        None => Ok(StatusCode::ACCEPTED),
        Some(Status::Terminated) => Ok(StatusCode::OK),
        Some(status) => Err(ClientError::Closed { workflow_id: id.to_owned(), status }),
    }
}

/// Lets a stuck workflow try again: for operators, once what held it up is gone.
///
/// Undos that ran out of attempts, and steps that wait for a person, get all their attempts anew; a
/// body that did not fit its history is replayed with the code that is running now.
#[utoipa::path(post, path = "/v1/workflows/{id}/retry", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    request_body = Option<schema::Reason>,
    responses(
        (status = 202, description = "Recorded", body = schema::Accepted),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "workflow.not_stuck", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn retry(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    params: Params,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let reason = body.map(|body| reason(&body)).transpose()?.flatten();
    refuse_while_draining(&api)?;
    api.client().retry(&id, reason.as_deref()).await?;
    Ok(accepted(StatusCode::ACCEPTED, id))
}

/// What a body says that may say nothing but a reason.
fn reason(body: &Document) -> Result<Option<String>, Problem> {
    body.only(&["reason"])?;
    let reason = body.text("reason")?;
    match &reason {
        Some(text) if !(1..=MAX_REASON).contains(&text.len()) => {
            let detail = format!("`reason` has {} bytes; it has 1 to {MAX_REASON}", text.len());
            let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/reason");
            Err(problem.limit(MAX_REASON as u64))
        }
        _ => Ok(reason),
    }
}

/// What was asked for is recorded, and where to look what comes of it.
pub(super) fn accepted(status: StatusCode, workflow_id: String) -> Response {
    let location = [(LOCATION, format!("/v1/workflows/{workflow_id}"))];
    let answer = schema::Accepted { workflow_id, accepted: true };
    (status, location, Json(answer)).into_response()
}

pub(super) fn refuse_while_draining(api: &Api) -> Result<(), Problem> {
    if api.is_draining() { Err(draining()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_terminated_is_answered_as_terminated() {
        assert_eq!(terminated("a", None).ok(), Some(StatusCode::ACCEPTED));
        assert_eq!(terminated("a", Some(Status::Terminated)).ok(), Some(StatusCode::OK));
        for status in [Status::Completed, Status::Failed, Status::Cancelled] {
            let problem = Problem::from(terminated("a", Some(status)).expect_err("it has ended"));
            assert_eq!(problem.into_response().status(), StatusCode::CONFLICT);
        }
    }
}
