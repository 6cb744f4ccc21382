//! A bundled service with its resources: served beside the engine, or as a process of its own.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hansom_activities::StoreError;
use hansom_activities::faults::{Fault, Switches};
use hansom_activities::forward::{Elsewhere, Order, Reply};
use hansom_activities::service::{Kind, Service};
use hansom_core::{Attempt, Handlers};
use serde_json::json;

use super::downstream::Downstream;
use super::{faults, kinds};
use crate::http::problem::{Problem, did_you_mean, echo};

/// A service, and what it shows.
#[derive(Clone)]
pub(crate) struct Bundled {
    pub(super) service: Service,
    resources: Router,
}

impl Bundled {
    /// With the routes of its resources.
    pub(super) fn new(service: Service, resources: Router) -> Self {
        Self { service, resources }
    }

    /// Where it is asked, and what performs its activities: here, or at `place`.
    pub(super) fn at(&self, place: Option<Elsewhere>) -> (Downstream, Handlers) {
        let name = self.service.kind.name;
        match place {
            None => (Downstream::here(name, self.routes()), self.service.here()),
            Some(place) => (Downstream::there(name, place.clone()), self.service.there(place)),
        }
    }

    /// Its resources and its fault switches, as they answer with those switches.
    fn routes(&self) -> Router {
        let Service { kind, faults, .. } = &self.service;
        let misbehaving = (*kind, faults.clone());
        self.resources
            .clone()
            .layer(from_fn_with_state(misbehaving, misbehave))
            .merge(faults::routes(kind, faults.clone()))
    }

    /// All that a process of its own serves.
    pub(super) fn alone(&self) -> Router {
        let handlers = Arc::new(self.service.here());
        let well = async || Json(json!({ "status": "ok" }));
        Router::new()
            .route("/activities/{name}", post(perform).with_state(handlers))
            .route("/livez", get(well))
            .route("/readyz", get(well))
            .merge(self.routes())
    }
}

/// Makes one attempt for an engine elsewhere.
async fn perform(
    State(handlers): State<Arc<Handlers>>,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<Json<Reply>, Problem> {
    let Some(handler) = handlers.get(&name) else {
        let near = did_you_mean(&name, handlers.names());
        let detail = format!("this service does not perform {}{near}", echo(&name));
        return Err(Problem::new(kinds::NOT_FOUND, detail));
    };
    let (request, cx) = order.into_parts();
    match handler.handle(&request, cx).await {
        Attempt::Done(output) => Ok(Json(Reply::Done(output))),
        Attempt::Refused(error) => Ok(Json(Reply::Refused(error))),
        // To whoever asked it was sent.
        Attempt::Failed { reason, retry_after }
        | Attempt::Unavailable { reason, after: retry_after } => {
            let problem = Problem::new(kinds::SERVICE_DOWN, reason);
            let seconds = retry_after.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX));
            Err(seconds.into_iter().fold(problem, Problem::retry_after))
        }
    }
}

/// Lets a service answer as its switches say.
async fn misbehave(
    State((kind, switches)): State<(&'static Kind, Switches)>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !request.method().is_safe();
    let lost = changes && switches.get().lose_answer;
    if let Err(fault) = switches.hold_up().await {
        return failed(kind, fault);
    }
    let response = next.run(request).await;
    if lost { failed(kind, Fault::AnswerLost) } else { response }
}

fn failed(kind: &Kind, fault: Fault) -> Response {
    let why = match fault {
        Fault::Down => "is switched off",
        Fault::Error => "fails, as it was told to",
        Fault::AnswerLost => "lost its answer, as it was told to",
    };
    let detail = format!("the {} service {why}", kind.name);
    Problem::new(kinds::SERVICE_DOWN, detail).retry_after(1).into_response()
}

/// A service's database does not answer. Its words go to the log only.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = ?error, "service_store");
        Self::new(kinds::SERVICE_DOWN, "the service's database does not answer").retry_after(2)
    }
}
