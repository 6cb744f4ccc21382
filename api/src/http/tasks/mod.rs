//! `/v1/tasks`: attempts of activities that are performed by workers elsewhere, in any language.

pub mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use hansom_core::{Payload, RetryPolicy};
use hansom_engine::{ActivityInfo, ClaimRequest, Task, TaskBeat, TaskToken};
use serde::Serialize;

use super::body::Document;
use super::errors::draining;
use super::kinds;
use super::problem::{Problem, echo};
use super::query::{MAX_WAIT, Params, check_id};
use super::state::Api;
use crate::duration;

/// The most queues of one claim, and the most tasks.
const MAX_CLAIM: u32 = 100;
/// The longest name of a worker, in bytes.
const MAX_NAME: usize = 255;
/// The longest reason of a failure, in bytes.
const MAX_REASON: usize = 2_000;

/// What was claimed.
#[derive(Serialize)]
pub(crate) struct Claimed {
    tasks: Vec<Task>,
}

/// The activities of this server.
#[derive(Serialize)]
pub(crate) struct Activities {
    items: Vec<Shown>,
}

/// An activity, and the breaker that it goes through when it is performed here.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    activity: ActivityInfo,
    breaker: Option<schema::Breaker>,
}

/// Claims attempts that wait to be performed, and waits for some if there are none.
///
/// Whoever claims one has until its `deadline` to complete or fail it, and sends heartbeats
/// meanwhile if it says how often. After that it is another's, and the token is worth nothing.
#[utoipa::path(post, path = "/v1/tasks/claim", tag = "tasks",
    request_body = schema::ClaimTasks,
    responses(
        (status = 200, description = "What was claimed; nothing when the wait is over",
            body = schema::ClaimedTasks),
        (status = 400, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn claim(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Json<Claimed>, Problem> {
    params.only(&[])?;
    let request = claim_request(&body)?;
    if api.is_draining() {
        return Err(draining());
    }
    let tasks = tokio::select! {
        tasks = api.client().claim_tasks(&request) => tasks?,
        () = api.drained() => Vec::new(),
    };
    Ok(Json(Claimed { tasks }))
}

fn claim_request(body: &Document) -> Result<ClaimRequest, Problem> {
    body.only(&["queue", "queues", "worker", "limit", "wait"])?;
    let queues = match (body.text("queue")?, body.list("queues")?) {
        (Some(queue), None) => vec![queue],
        (None, Some(queues)) => queues,
        (None, None) => return Err(body.required("queues")),
        (Some(_), Some(_)) => {
            let detail = "`queue` and `queues` say the same; one of them is enough";
            return Err(Problem::new(kinds::FIELD_VALUE, detail).field("/queue"));
        }
    };
    if queues.is_empty() || queues.len() > MAX_CLAIM as usize {
        let detail = format!("`queues` has {} names; it has 1 to {MAX_CLAIM}", queues.len());
        let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/queues");
        return Err(problem.limit(u64::from(MAX_CLAIM)));
    }
    queues.iter().try_for_each(|queue| check_id("/queues", queue))?;
    let worker = body.required_text("worker")?;
    check_length("worker", &worker, MAX_NAME)?;
    let limit = body.number("limit")?.unwrap_or(1);
    if !(1..=u64::from(MAX_CLAIM)).contains(&limit) {
        let detail = format!("`limit` is {limit}; it is 1 to {MAX_CLAIM}");
        let problem = Problem::new(kinds::FIELD_VALUE, detail).field("/limit");
        return Err(problem.limit(u64::from(MAX_CLAIM)));
    }
    let wait = duration_in(body, "wait", MAX_WAIT)?.unwrap_or_default();
    let limit = u32::try_from(limit).unwrap_or(MAX_CLAIM);
    Ok(ClaimRequest { queues, worker, limit, wait })
}

/// Says that an attempt is alive and how far it is, and hears whether it is still needed.
#[utoipa::path(post, path = "/v1/tasks/heartbeat", tag = "tasks",
    request_body = schema::BeatTask,
    responses(
        (status = 200, body = schema::TaskBeat),
        (status = 400, body = Problem),
        (status = 409, description = "task.lost", body = Problem),
        (status = 413, description = "payload.too_large", body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn heartbeat(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Json<TaskBeat>, Problem> {
    params.only(&[])?;
    body.only(&["token", "details"])?;
    let token = token(&body)?;
    let details = given(&body, "details");
    Ok(Json(api.client().beat_task(&token, details.as_ref()).await?))
}

/// An attempt is done. Its output is checked here: what does not fit is refused, and the claim is
/// kept.
#[utoipa::path(post, path = "/v1/tasks/complete", tag = "tasks",
    request_body = schema::CompleteTask,
    responses(
        (status = 200, body = schema::Settled),
        (status = 400, body = Problem),
        (status = 409, description = "task.lost", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "answer.invalid", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn complete(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Json<schema::Settled>, Problem> {
    params.only(&[])?;
    body.only(&["token", "output"])?;
    let token = token(&body)?;
    let output = body.payload("output");
    let output = output.unwrap_or_else(|| Payload::of(&()).expect("null is JSON"));
    api.client().complete_task(&token, output).await?;
    Ok(Json(schema::Settled { settled: true }))
}

/// An attempt is not done: it failed technically (`reason`), or the business says no (`refused`).
#[utoipa::path(post, path = "/v1/tasks/fail", tag = "tasks",
    request_body = schema::FailTask,
    responses(
        (status = 200, body = schema::Settled),
        (status = 400, body = Problem),
        (status = 409, description = "task.lost", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, description = "answer.invalid", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn fail(
    State(api): State<Arc<Api>>,
    params: Params,
    body: Document,
) -> Result<Json<schema::Settled>, Problem> {
    params.only(&[])?;
    body.only(&["token", "reason", "retry_after", "refused"])?;
    let token = token(&body)?;
    let retry_after = duration_in(&body, "retry_after", RetryPolicy::RETRY_AFTER_MAX)?;
    match (body.text("reason")?, body.payload("refused")) {
        (Some(reason), None) => {
            check_length("reason", &reason, MAX_REASON)?;
            api.client().fail_task(&token, &reason, retry_after).await?;
        }
        (None, Some(refusal)) => api.client().refuse_task(&token, refusal).await?,
        (None, None) => return Err(body.required("reason")),
        (Some(_), Some(_)) => {
            let detail = "`reason` asks for another attempt and `refused` for none; give one";
            return Err(Problem::new(kinds::FIELD_VALUE, detail).field("/refused"));
        }
    }
    Ok(Json(schema::Settled { settled: true }))
}

/// The activities of this server: how many attempts wait for remote workers, and the breaker of
/// the service behind each that is performed here.
#[utoipa::path(get, path = "/v1/activities", tag = "tasks",
    responses(
        (status = 200, body = schema::Activities),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn activities(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Json<Activities>, Problem> {
    params.only(&[])?;
    let shown = |activity: ActivityInfo| {
        let breaker = api.breakers().of_activity(activity.name).filter(|_| !activity.remote);
        let breaker = breaker.map(|breaker| schema::Breaker::of(breaker));
        Shown { activity, breaker }
    };
    let items = api.client().activities().await?.into_iter().map(shown).collect();
    Ok(Json(Activities { items }))
}

fn token(body: &Document) -> Result<TaskToken, Problem> {
    Ok(body.required_text("token")?.parse()?)
}

/// A field that is more than `null`.
fn given(body: &Document, key: &str) -> Option<Payload> {
    body.payload(key).filter(|payload| payload.get() != "null")
}

fn duration_in(body: &Document, key: &str, max: Duration) -> Result<Option<Duration>, Problem> {
    let Some(text) = body.text(key)? else { return Ok(None) };
    let field = format!("/{key}");
    match duration::parse(&text) {
        Ok(given) if given <= max => Ok(Some(given)),
        Ok(_) | Err(duration::DurationError::TooLong) => {
            let detail =
                format!("`{key}` is {}; it is at most {}", echo(&text), duration::show(max));
            let problem = Problem::new(kinds::DURATION_RANGE, detail).field(field);
            Err(problem.limit(max.as_secs()))
        }
        Err(error) => {
            let detail = format!("`{key}` is {}: {error}", echo(&text));
            Err(Problem::new(kinds::DURATION_SYNTAX, detail).field(field))
        }
    }
}

fn check_length(field: &str, text: &str, max: usize) -> Result<(), Problem> {
    if (1..=max).contains(&text.len()) {
        return Ok(());
    }
    let detail = format!("`{field}` has {} bytes; it has 1 to {max}", text.len());
    Err(Problem::new(kinds::FIELD_VALUE, detail).field(format!("/{field}")).limit(max as u64))
}
