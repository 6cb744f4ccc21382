//! Talking to a workflow: signals, and updates that it answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hansom_core::{Payload, UpdateAnswer};
use hansom_engine::ClientError;
use serde::Serialize;
use uuid::Uuid;

use super::body::{Document, OptionalDocument};
use super::kinds;
use super::layers::IDEMPOTENCY_KEY;
use super::problem::Problem;
use super::query::{MessageName, Params, WorkflowId, check_id};
use super::schema;
use super::state::Api;
use super::verbs::{accepted, refuse_while_draining};

/// How long the sender of an update waits when it does not say.
const UPDATE_WAIT: Duration = Duration::from_secs(30);

/// What is said to a workflow.
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) payload: Payload,
}

impl Message {
    /// From an object with `payload` and its id in `id_field`; the header `Idempotency-Key` serves
    /// as the id when that is left out, and null as the payload.
    pub(super) fn read(
        body: Option<&Document>,
        id_field: &str,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let payload = body.and_then(|body| body.payload("payload"));
        let key = headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str()).transpose();
        let key = key.map_err(|_| {
            let detail = "the Idempotency-Key must be visible ASCII characters";
            Problem::new(kinds::ID_SYNTAX, detail).field("Idempotency-Key")
        })?;
        let key = key.map(|key| key.trim_matches('"').to_owned());
        let (id, field) = match body.map(|body| body.text(id_field)).transpose()?.flatten() {
            Some(id) => (Some(id), body.map_or_else(String::new, |body| body.pointer(id_field))),
            None => (key, "Idempotency-Key".to_owned()),
        };
        if let Some(id) = &id {
            check_id(&field, id)?;
        }
        let payload = payload.unwrap_or_else(|| Payload::of(&()).expect("null is JSON"));
        Ok(Self { id, payload })
    }
}

/// Sends a signal. Without a body its payload is null.
#[utoipa::path(post, path = "/v1/workflows/{id}/signals/{name}", tag = "workflows",
    params(
        ("id" = String, Path, description = "The workflow's id"),
        ("name" = String, Path, description = "The signal's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "The signal's id, unless the body names one"),
    ),
    request_body = Option<schema::SendSignal>,
    responses(
        (status = 202, description = "Recorded", body = schema::Accepted),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "workflow.closed", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "signal.unknown, input.invalid", body = Problem),
        (status = 429, description = "signal.queue_full", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn signal(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    MessageName(name): MessageName,
    params: Params,
    headers: HeaderMap,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&[])?;
    if let Some(body) = &body {
        body.only(&["payload", "signal_id"])?;
    }
    let message = Message::read(body.as_ref(), "signal_id", &headers)?;
    refuse_while_draining(&api)?;
    let sent = api.client().signal_raw(&id, &name, message.id.as_deref(), message.payload).await;
    sent.map_err(of_payload)?;
    Ok(accepted(StatusCode::ACCEPTED, id))
}

/// What a workflow answered, or that it did not yet.
#[derive(Serialize)]
struct Answered {
    workflow_id: String,
    update_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Payload>,
}

/// Sends an update, and waits for the workflow's answer. Without a body its payload is null.
///
/// It is answered once: repeated with the same id, it hears the same answer, also when the
/// workflow has closed since. When the wait is over first, the answer is 202 with the id to ask
/// again with. What the workflow refuses is 422 `update.refused`, with its words in `refusal`.
#[utoipa::path(post, path = "/v1/workflows/{id}/updates/{name}", tag = "workflows",
    params(
        ("id" = String, Path, description = "The workflow's id"),
        ("name" = String, Path, description = "The update's name"),
        ("wait" = Option<String>, Query, description = "How long to wait for the answer; 30s unless given, at most 60s"),
        ("Idempotency-Key" = Option<String>, Header, description = "The update's id, unless the body names one"),
    ),
    request_body = Option<schema::SendUpdate>,
    responses(
        (status = 200, description = "Done", body = schema::Answered),
        (status = 202, description = "Recorded, and not answered yet", body = schema::Answered,
            headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "workflow.closed", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "update.refused, update.unknown, input.invalid", body = Problem),
        (status = 429, description = "signal.queue_full", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    WorkflowId(workflow_id): WorkflowId,
    MessageName(name): MessageName,
    params: Params,
    headers: HeaderMap,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&["wait"])?;
    let wait = params.wait()?.unwrap_or(UPDATE_WAIT);
    if let Some(body) = &body {
        body.only(&["payload", "update_id"])?;
    }
    let Message { id, payload } = Message::read(body.as_ref(), "update_id", &headers)?;
    refuse_while_draining(&api)?;
    // Named here, so that whoever waits in vain knows what to ask for.
    let update_id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let ask = |wait| {
        api.client().update_raw(&workflow_id, &name, Some(&update_id), payload.clone(), wait)
    };
    let answer = tokio::select! {
        answer = ask(wait) => answer,
        // Whether it was kept by now is not known: asking again keeps it, and does not wait.
        () = api.drained() => ask(Duration::ZERO).await,
    };
    match answer {
        Ok(UpdateAnswer::Done { output }) => {
            Ok(Json(Answered { workflow_id, update_id, done: Some(output) }).into_response())
        }
        Ok(UpdateAnswer::Refused { error }) => {
            let detail = format!("`{workflow_id}` refused the update `{name}`; see `refusal`");
            Err(Problem::new(kinds::UPDATE_REFUSED, detail).refusal(error))
        }
        Err(ClientError::StillOpen(_)) => {
            let answer = Answered { workflow_id, update_id, done: None };
            Ok((StatusCode::ACCEPTED, [(RETRY_AFTER, "1")], Json(answer)).into_response())
        }
        Err(error) => Err(of_payload(error)),
    }
}

/// What does not fit is the payload here.
fn of_payload(error: ClientError) -> Problem {
    match error {
        ClientError::InvalidInput(_) | ClientError::TooLarge { .. } => {
            Problem { field: Some("/payload".into()), ..error.into() }
        }
        error => error.into(),
    }
}
