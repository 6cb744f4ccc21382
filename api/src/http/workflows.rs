//! `/v1/workflows`: start, look at, talk to and cancel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hansom_core::Payload;
use hansom_engine::{
    ClientError, Description, HistoryEvent, IdReuse, Outcome, Page, StartRequest, UndoPlan,
};
use serde::Serialize;
use uuid::Uuid;

use super::body::{Document, OptionalDocument, required};
use super::errors::draining;
use super::kinds;
use super::problem::{Problem, did_you_mean, echo};
use super::query::{Params, SignalName, WorkflowId, check_id};
use super::schema;
use super::state::Api;

/// The most labels, and the longest key or value of one in bytes.
const MAX_LABELS: usize = 32;
const MAX_TEXT: usize = 255;

/// The longest reason for a cancellation, in bytes.
const MAX_REASON: usize = 1000;

/// What a start may say.
const START_FIELDS: [&str; 5] = ["type", "id", "input", "labels", "id_reuse"];

#[derive(Serialize)]
struct StartedAnswer {
    workflow_id: String,
    run: Uuid,
    existing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// Starts a workflow, or finds the one of that id.
///
/// The id makes it safe to repeat: the same id and input return the same run with 200. With `wait`
/// the answer comes when the workflow closes, and carries its `outcome`, or when the wait is over.
#[utoipa::path(post, path = "/v1/workflows", tag = "workflows",
    params(("wait" = Option<String>, Query, description = "Such as 30s; at most 60s")),
    request_body = schema::StartWorkflow,
    responses(
        (status = 201, description = "Started", body = schema::Started,
            headers(("Location" = String, description = "The workflow"))),
        (status = 200, description = "It was there, with the same input", body = schema::Started),
        (status = 400, body = Problem),
        (status = 409, description = "workflow.input_conflict", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn start(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Response, Problem> {
    params.only(&["wait"])?;
    let wait = params.wait()?;
    let request = start_request(&body)?;
    refuse_while_draining(&api)?;
    let workflow_id = request.workflow_id.clone();
    let (started, outcome) = match wait {
        Some(wait) => {
            let (started, ending) = api.client().start_to_end(request).await?;
            // The start is kept: whatever the wait comes to, that is what is answered.
            let outcome = tokio::select! {
                outcome = ending.outcome(wait) => outcome.ok(),
                () = api.drained() => None,
            };
            (started, outcome)
        }
        None => (api.client().start_raw(request).await?, None),
    };
    let status = if started.existing { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(LOCATION, format!("/v1/workflows/{workflow_id}"))];
    let answer =
        StartedAnswer { workflow_id, run: started.run, existing: started.existing, outcome };
    Ok((status, location, Json(answer)).into_response())
}

fn start_request(body: &Document) -> Result<StartRequest, Problem> {
    body.only(&START_FIELDS)?;
    let workflow_type = body.required_text("type")?;
    let workflow_id = body.required_text("id")?;
    check_id("/id", &workflow_id)?;
    let input = body.payload("input").ok_or_else(|| required("input"))?;
    let labels = body.texts("labels")?;
    check_labels(&labels)?;
    let id_reuse = id_reuse(body)?;
    let request = StartRequest::new(&workflow_type, &workflow_id, input);
    Ok(StartRequest { labels, id_reuse, ..request })
}

fn id_reuse(body: &Document) -> Result<IdReuse, Problem> {
    let words = ["reject", "allow_failed", "allow"];
    match body.text("id_reuse")?.as_deref() {
        None | Some("reject") => Ok(IdReuse::Reject),
        Some("allow_failed") => Ok(IdReuse::AllowFailed),
        Some("allow") => Ok(IdReuse::Allow),
        Some(given) => {
            let near = did_you_mean(given, words);
            let detail =
                format!("`id_reuse` is {}{near} (allowed: {})", echo(given), words.join(", "));
            Err(Problem::new(kinds::FIELD_VALUE, detail).field("/id_reuse"))
        }
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > MAX_LABELS {
        let detail = format!("{} labels; at most {MAX_LABELS} are kept", labels.len());
        let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/labels");
        return Err(problem.limit(MAX_LABELS as u64));
    }
    let fits = |text: &str| (1..=MAX_TEXT).contains(&text.len());
    match labels.iter().find(|(key, value)| !fits(key) || !fits(value)) {
        Some((key, _)) => {
            let detail =
                format!("the key and value of label {} have 1 to {MAX_TEXT} bytes", echo(key));
            let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/labels");
            Err(problem.limit(MAX_TEXT as u64))
        }
        None => Ok(()),
    }
}

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
        (status = 422, description = "signal.unknown", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn signal(
    State(api): State<Arc<Api>>,
    WorkflowId(id): WorkflowId,
    SignalName(name): SignalName,
    params: Params,
    headers: HeaderMap,
    OptionalDocument(body): OptionalDocument,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let mut signal_id = None;
    let mut payload = None;
    if let Some(body) = body {
        body.only(&["payload", "signal_id"])?;
        payload = body.payload("payload");
        signal_id = body.text("signal_id")?;
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let signal_id = signal_id.or(key.map(|key| key.trim_matches('"').to_owned()));
    if let Some(id) = &signal_id {
        check_id("signal_id", id)?;
    }
    let payload = payload.unwrap_or_else(|| Payload::of(&()).expect("null is JSON"));
    refuse_while_draining(&api)?;
    api.client().signal_raw(&id, &name, signal_id.as_deref(), payload).await?;
    Ok(accepted(id))
}

/// Cancels it: what it did is undone, then it closes. Repeating it changes nothing.
#[utoipa::path(post, path = "/v1/workflows/{id}/cancel", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id")),
    request_body = Option<schema::CancelWorkflow>,
    responses(
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
    let reason = match body {
        Some(body) => {
            body.only(&["reason"])?;
            body.text("reason")?
        }
        None => None,
    };
    if let Some(reason) = &reason {
        check_length("reason", reason, MAX_REASON)?;
    }
    refuse_while_draining(&api)?;
    api.client().cancel(&id, reason.as_deref()).await?;
    Ok(accepted(id))
}

fn accepted(workflow_id: String) -> Response {
    let location = [(LOCATION, format!("/v1/workflows/{workflow_id}"))];
    let answer = schema::Accepted { workflow_id, accepted: true };
    (StatusCode::ACCEPTED, location, Json(answer)).into_response()
}

fn check_length(field: &str, text: &str, max: usize) -> Result<(), Problem> {
    if (1..=max).contains(&text.len()) {
        return Ok(());
    }
    let detail = format!("`{field}` has {} bytes; it has 1 to {max}", text.len());
    Err(Problem::new(kinds::FIELD_VALUE, detail).field(format!("/{field}")).limit(max as u64))
}

fn refuse_while_draining(api: &Api) -> Result<(), Problem> {
    if api.is_draining() { Err(draining()) } else { Ok(()) }
}
