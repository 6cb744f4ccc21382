//! The REST API: `/v1`, health, and the shape of every error.

pub mod body;
mod cursor;
pub mod errors;
pub(crate) mod health;
mod json;
pub mod kinds;
pub(crate) mod layers;
mod list;
mod messages;
pub(crate) mod metrics;
pub mod problem;
pub mod query;
pub mod schedules;
pub mod schema;
mod start;
mod state;
pub mod tasks;
mod verbs;
pub mod views;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::state::Api;

/// What the document says about the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hansom",
        description = "Durable sagas on Postgres. Every error answer is application/problem+json \
            with a stable `code`; clients must ignore fields they do not know. The id of a workflow \
            is the idempotency key of its start: repeating a start with the same id and input \
            returns the same run.",
    ),
    tags(
        (name = "workflows", description = "Start, look at, talk to and cancel workflows"),
        (name = "tasks", description = "For remote workers: claim attempts, perform and answer them"),
        (name = "schedules", description = "Workflows that the clock starts"),
        (name = "views", description = "Read models: rows that follow the history of workflows"),
        (name = "health", description = "For load balancers and supervisors"),
    )
)]
struct Document;

/// The API with `others` (the façades) beside it.
pub fn app(api: Arc<Api>, others: Router) -> Router {
    metrics::recorder();
    let (router, document) = documented().with_state(api).split_for_parts();
    // Rendered once: it changes only with the binary.
    let document = document.to_pretty_json().expect("an OpenAPI document is JSON");
    let json = [("content-type", "application/json")];
    let document = get(async move || (json, document.clone()));
    shaped(router.route("/openapi.json", document).merge(others))
}

/// What surrounds every router that is served: one shape for every error.
pub(crate) fn shaped(router: Router) -> Router {
    router
        .fallback(layers::no_route)
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(axum::middleware::from_fn(layers::finish))
}

/// Every route of the document, with its handler.
fn documented() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(start::start, list::list))
        .routes(routes!(workflows::describe))
        .routes(routes!(workflows::history))
        .routes(routes!(workflows::result))
        .routes(routes!(workflows::undo_plan))
        .routes(routes!(workflows::state))
        .routes(routes!(messages::signal))
        .routes(routes!(messages::update))
        .routes(routes!(verbs::cancel))
        .routes(routes!(verbs::terminate))
        .routes(routes!(verbs::retry))
        .routes(routes!(tasks::claim))
        .routes(routes!(tasks::heartbeat))
        .routes(routes!(tasks::complete))
        .routes(routes!(tasks::fail))
        .routes(routes!(tasks::activities))
        .routes(routes!(schedules::create, schedules::list))
        .routes(routes!(schedules::describe, schedules::update, schedules::delete))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::trigger))
        .routes(routes!(schedules::backfill))
        .routes(routes!(schedules::fires))
        .routes(routes!(views::list))
        .routes(routes!(views::rows))
        .routes(routes!(views::row))
        .routes(routes!(views::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::server))
        .routes(routes!(health::kind))
}
