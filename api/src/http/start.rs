//! `POST /v1/workflows`: starting.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use hansom_engine::{ClientError, IdReuse, Outcome, SignalRequest, StartRequest};
use serde::Serialize;
use uuid::Uuid;

use super::body::Document;
use super::kinds;
use super::messages::Message;
use super::problem::{Problem, did_you_mean, echo};
use super::query::{Params, YEARS, check_id, time_of};
use super::schema;
use super::state::Api;
use crate::duration::{self, DurationError};

/// The most labels, and the longest key or value of one in bytes.
const MAX_LABELS: usize = 32;
const MAX_TEXT: usize = 255;

/// What a start may say.
const START_FIELDS: [&str; 7] = ["type", "id", "input", "labels", "id_reuse", "deadline", "signal"];

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
/// With `signal` a run that is there already hears that signal, and a new one has it from the start.
#[utoipa::path(post, path = "/v1/workflows", tag = "workflows",
    params(
        ("wait" = Option<String>, Query, description = "Such as 30s; at most 60s"),
        ("Idempotency-Key" = Option<String>, Header, description = "The id of `signal`, unless that names one"),
    ),
    request_body = schema::StartWorkflow,
    responses(
        (status = 201, description = "Started", body = schema::Started,
            headers(("Location" = String, description = "The workflow"))),
        (status = 200, description = "It was there, with the same input", body = schema::Started),
        (status = 400, body = Problem),
        (status = 409, description = "workflow.input_conflict, workflow.closed", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 429, description = "signal.queue_full", body = Problem),
        (status = 503, description = "server.overloaded, draining, store.*", body = Problem),
    ))]
pub(crate) async fn start(
    State(api): State<Arc<Api>>,
    params: Params,
    headers: HeaderMap,
    body: Document,
) -> Result<Response, Problem> {
    params.only(&["wait"])?;
    let wait = params.wait()?;
    let mut request = start_request(&body, &headers)?;
    api.admit()?;
    if let Some(given) = body.text("deadline")? {
        request.deadline = Some(deadline(&api, &request, &given).await?);
    }
    let workflow_id = request.workflow_id.clone();
    let with_signal = request.signal.is_some();
    let refused = |error: ClientError| refused(error, with_signal);
    let (started, outcome) = match wait {
        Some(wait) => {
            let start = api.client().start_to_end(request).await;
            let (started, ending) = start.map_err(refused)?;
            // The start is kept: whatever the wait comes to, that is what is answered.
            let outcome = tokio::select! {
                outcome = ending.outcome(wait) => outcome.ok(),
                () = api.drained() => None,
            };
            (started, outcome)
        }
        None => (api.client().start_raw(request).await.map_err(refused)?, None),
    };
    let status = if started.existing { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(LOCATION, format!("/v1/workflows/{workflow_id}"))];
    let answer =
        StartedAnswer { workflow_id, run: started.run, existing: started.existing, outcome };
    Ok((status, location, Json(answer)).into_response())
}

fn start_request(body: &Document, headers: &HeaderMap) -> Result<StartRequest, Problem> {
    body.only(&START_FIELDS)?;
    let workflow_type = body.required_text("type")?;
    let workflow_id = body.required_text("id")?;
    check_id("/id", &workflow_id)?;
    let input = body.payload("input").ok_or_else(|| body.required("input"))?;
    let labels = body.texts("labels")?;
    check_labels(&labels)?;
    let (id_reuse, signal) = (id_reuse(body)?, signal(body, headers)?);
    let request = StartRequest::new(&workflow_type, &workflow_id, input);
    Ok(StartRequest { labels, id_reuse, signal, ..request })
}

fn signal(body: &Document, headers: &HeaderMap) -> Result<Option<SignalRequest>, Problem> {
    let Some(signal) = body.object("signal")? else { return Ok(None) };
    signal.only(&["name", "payload", "signal_id"])?;
    let name = signal.required_text("name")?;
    check_id("/signal/name", &name)?;
    let message = Message::read(Some(&signal), "signal_id", headers)?;
    Ok(Some(SignalRequest { name, id: message.id, payload: message.payload }))
}

/// A time, or so long from now, by the database's clock. What is past is no deadline, unless the
/// start is a late repetition.
async fn deadline(
    api: &Api,
    request: &StartRequest,
    given: &str,
) -> Result<DateTime<Utc>, Problem> {
    let now = api.client().now().await?;
    let time = match duration::parse(given) {
        Ok(after) => {
            TimeDelta::from_std(after).ok().and_then(|after| now.checked_add_signed(after))
        }
        Err(DurationError::TooLong) => None,
        Err(_) if DateTime::parse_from_rfc3339(given).is_err() => {
            let detail = format!(
                "`deadline` is {}; it is a time such as 2026-01-31T12:00:00Z, or a duration from \
                now on: 90s, 2h, 7d",
                echo(given)
            );
            return Err(Problem::new(kinds::TIME_SYNTAX, detail).field("/deadline"));
        }
        Err(_) => Some(time_of("deadline", "/deadline", given)?),
    };
    let Some(time) = time.filter(|time| time.year() < YEARS.end) else {
        let detail = format!("`deadline` is {}; that is too far away", echo(given));
        return Err(Problem::new(kinds::TIME_RANGE, detail).field("/deadline"));
    };
    let repeated = async || {
        request.id_reuse == IdReuse::Reject
            && api.client().watch(&request.workflow_id).await.is_ok()
    };
    if time <= now && !repeated().await {
        let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let detail = format!("`deadline` is {}, which is past: it is {now}", echo(given));
        return Err(Problem::new(kinds::TIME_RANGE, detail).field("/deadline"));
    }
    Ok(time)
}

/// The engine does not say where in the body a thing stood.
fn refused(error: ClientError, with_signal: bool) -> Problem {
    let field = match &error {
        ClientError::UnknownSignal { .. } => Some("/signal/name".into()),
        // The input's, or the signal's.
        ClientError::InvalidInput(_) if with_signal => None,
        _ => return error.into(),
    };
    Problem { field, ..error.into() }
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
