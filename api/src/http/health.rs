//! For load balancers and supervisors, and the kinds of problems.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::errors::draining;
use super::kinds::{self, Kind};
use super::problem::{Problem, echo};
use super::state::Api;

/// It is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Well {
    /// Always `ok`; anything else is a problem.
    status: &'static str,
}

const WELL: Json<Well> = Json(Well { status: "ok" });

/// Whether the process lives. Never asks the database.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Well)))]
pub(crate) async fn livez() -> Json<Well> {
    WELL
}

/// Whether traffic should be sent here: the lease lives, the database answers, nothing drains.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Well), (status = 503, body = Problem)))]
pub(crate) async fn readyz(State(api): State<Arc<Api>>) -> Result<Json<Well>, Problem> {
    if api.is_draining() {
        return Err(draining());
    }
    if !api.is_ready() {
        let detail = "the worker has no lease yet, or the database does not answer";
        return Err(Problem::new(kinds::STORE_UNAVAILABLE, detail).retry_after(1));
    }
    api.client().ping().await?;
    Ok(WELL)
}

/// Which server this is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Server {
    /// Of the binary.
    version: &'static str,
    /// What the place where it runs is called, if it is set.
    landscape: Option<String>,
}

/// Which server answers: its version, and the landscape that it is set to be of.
#[utoipa::path(get, path = "/v1/server", tag = "health", responses((status = 200, body = Server)))]
pub(crate) async fn server(State(api): State<Arc<Api>>) -> Json<Server> {
    let landscape = api.landscape().map(str::to_owned);
    Json(Server { version: env!("CARGO_PKG_VERSION"), landscape })
}

/// What a problem's `type` points to.
#[utoipa::path(get, path = "/problems/{code}", tag = "health",
    params(("code" = String, Path, description = "A problem's code")),
    responses((status = 200, body = Kind), (status = 404, body = Problem)))]
pub(crate) async fn kind(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
) -> Result<Json<Kind>, Problem> {
    let kind = kinds::ALL.iter().chain(api.problems()).find(|kind| kind.code == code);
    kind.copied().map(Json).ok_or_else(|| {
        Problem::new(kinds::ROUTE_UNKNOWN, format!("there is no problem {}", echo(&code)))
    })
}
