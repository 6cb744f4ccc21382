//! The bundled systems: their services, and a façade for each in front of its sagas.
//!
//! A façade has the documents' own REST, word for word. What changes something it asks of
//! the engine; what shows something it asks of the service that keeps it, which may run in
//! this process or in another.

mod anycall;
mod bike;
mod downstream;
mod faults;
mod fields;
mod hal;
mod key;
mod kinds;
mod move24mall;
mod notices;
mod notification;
mod payment;
mod rows;
mod sagas;
mod service;
mod taxisvc;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use futures_util::future::join_all;
use hansom_activities::breaker::{BreakerSettings, Breakers};
use hansom_activities::forward::Elsewhere;
use hansom_activities::service::{self as services, Kind};
use hansom_core::Handlers;
use hansom_engine::{EngineError, Registry};
use hansom_workflows::anycall_ride::Terms;
use serde_json::{Value, json};
use sqlx::PgPool;

use self::downstream::Downstream;
use self::hal::{PREFIX, instead};
use self::service::Bundled;
use crate::config::Gateway;
use crate::http::Api;
use crate::http::health::readyz;
use crate::http::problem::{Problem, did_you_mean, echo};

/// How long the switches of one service are waited for, where all are asked for.
const PATIENCE_FAULTS: Duration = Duration::from_secs(1);

/// What does what is not done for all services at once.
const FAULTS: &str = "the switches of a service are set by PUT, POST or PATCH /faults/{service}";

/// Where services run that do not run here: their URLs, by name.
pub type Urls = BTreeMap<&'static str, String>;

/// Every bundled service, and where it is.
#[derive(Clone)]
pub struct Systems {
    pool: PgPool,
    places: Places,
    handlers: Handlers,
    breakers: Breakers,
    rides: Terms,
}

/// Where each service is asked.
#[derive(Clone)]
pub(crate) struct Places(Arc<BTreeMap<&'static str, Downstream>>);

impl Places {
    /// That of a kind.
    fn of(&self, kind: &Kind) -> &Downstream {
        self.0.get(kind.name).expect("there is a service of every kind")
    }
}

/// Every service, on a database that [`hansom_activities::migrator`] has prepared.
fn all(pool: &PgPool) -> Vec<Bundled> {
    let shared = [payment::service(pool), notification::service(pool)];
    let taxis = taxisvc::services(pool).into_iter().chain(anycall::services(pool));
    let others = move24mall::services(pool).into_iter().chain(bike::services(pool));
    shared.into_iter().chain(taxis).chain(others).collect()
}

/// The kinds of problem that façades have, beside those of [`crate::http::kinds`].
pub fn problems() -> Vec<kinds::Kind> {
    let facades = [anycall::KINDS, taxisvc::KINDS, move24mall::KINDS, bike::KINDS];
    [kinds::KINDS].iter().chain(facades.into_iter().flatten()).copied().flatten().copied().collect()
}

impl Systems {
    /// The services: those in `elsewhere` at their URLs, the others in this process.
    pub fn new(pool: &PgPool, elsewhere: &Urls) -> Self {
        Self::with_breakers(pool, elsewhere, &BTreeMap::new())
    }

    /// The same, with these breakers; of services that are not named, the breakers are as in
    /// [`BreakerSettings::default`].
    pub fn with_breakers(
        pool: &PgPool,
        elsewhere: &Urls,
        settings: &BTreeMap<&'static str, BreakerSettings>,
    ) -> Self {
        let mut handlers = Handlers::default();
        let mut places = BTreeMap::new();
        let mut breakers = Breakers::default();
        for bundled in all(pool) {
            let name = bundled.service.kind.name;
            let url = elsewhere.get(name).cloned();
            let (place, performed) = bundled.at(url.map(Elsewhere::new));
            let settings = settings.get(name).copied().unwrap_or_default();
            let guarded = breakers.guard(name, settings, performed);
            let breaker = breakers.get(name).expect("it has just been put there");
            places.insert(name, place.behind(breaker));
            handlers = handlers.and(guarded);
        }
        let (places, rides) = (Places(Arc::new(places)), Terms::default());
        Self { pool: pool.clone(), places, handlers, breakers, rides }
    }

    /// With these terms for the rides that anycall's façade starts.
    #[must_use]
    pub fn with_rides(self, rides: Terms) -> Self {
        Self { rides, ..self }
    }

    /// The breakers of the services, wherever those run.
    pub fn breakers(&self) -> Breakers {
        self.breakers.clone()
    }

    /// What the services do for the sagas.
    pub fn handlers(&self) -> Handlers {
        self.handlers.clone()
    }

    /// All sagas with these handlers, and what is done in the engine's own database.
    ///
    /// # Errors
    ///
    /// [`EngineError`], when an activity has no handler, or two.
    pub fn registry(&self, handlers: Handlers) -> Result<Registry, EngineError> {
        Registry::with_transactions(hansom_workflows::all(), handlers, notices::transactions())
    }

    /// All façades under their names, one of them at the bare paths too, `/faults`, and a probe.
    pub fn routes(&self, api: &Arc<Api>, gateway: Gateway) -> Router {
        let facades = [
            (Gateway::Taxisvc, "/taxisvc", self.taxisvc(api)),
            (Gateway::Anycall, "/anycall", self.anycall(api)),
            (Gateway::Move, "/move", self.move24mall(api)),
            (Gateway::Bike, "/bike", self.bike(api)),
        ];
        let mut routes = Router::new()
            .route("/faults", get(every_fault).fallback(instead(FAULTS)))
            .route("/faults/{service}", any(fault))
            .with_state(self.places.clone())
            .route("/actuator/health", get(probe).with_state(Arc::clone(api)));
        for (name, prefix, facade) in facades {
            if name == gateway {
                routes = routes.merge(below("", facade.clone()));
            }
            routes = routes.nest(prefix, below(prefix, facade));
        }
        routes
    }

    fn taxisvc(&self, api: &Arc<Api>) -> Router {
        taxisvc::facade(Arc::clone(api), &self.pool, &self.places)
    }

    fn anycall(&self, api: &Arc<Api>) -> Router {
        anycall::facade(Arc::clone(api), &self.pool, &self.places, self.rides)
    }

    fn move24mall(&self, api: &Arc<Api>) -> Router {
        move24mall::facade(Arc::clone(api), &self.pool, &self.places)
    }

    fn bike(&self, api: &Arc<Api>) -> Router {
        bike::facade(Arc::clone(api), &self.pool, &self.places)
    }
}

/// The one service of a kind, as its own process serves it.
pub(crate) fn alone(kind: &Kind, pool: &PgPool) -> Router {
    let service = all(pool).into_iter().find(|bundled| bundled.service.kind == kind);
    service.expect("there is a service of every kind").alone()
}

/// A façade whose links begin with `prefix`.
fn below(prefix: &'static str, facade: Router) -> Router {
    facade.layer(from_fn_with_state(prefix, known_as))
}

async fn known_as(
    State(prefix): State<&'static str>,
    mut request: Request,
    next: Next,
) -> Response {
    request.headers_mut().insert(PREFIX, HeaderValue::from_static(prefix));
    next.run(request).await
}

/// `/readyz`, as the documents' deployments ask for it.
async fn probe(api: State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    readyz(api).await.map(|_| Json(json!({ "status": "UP" })))
}

/// The switches of all services; null where one does not answer soon.
async fn every_fault(State(places): State<Places>) -> Json<Value> {
    let shown = places.0.iter().map(async |(name, place)| {
        let shown = tokio::time::timeout(PATIENCE_FAULTS, place.look("/faults")).await;
        ((*name).to_owned(), shown.ok().and_then(Result::ok).flatten().unwrap_or(Value::Null))
    });
    Json(join_all(shown).await.into_iter().collect())
}

/// The switches of one service, wherever it runs.
async fn fault(
    State(places): State<Places>,
    Path(name): Path<String>,
    mut request: Request,
) -> Response {
    let Some(place) = places.0.get(name.as_str()) else {
        let names: Vec<_> = services::ALL.iter().map(|kind| kind.name).collect();
        let near = did_you_mean(&name, names.iter().copied());
        let detail =
            format!("there is no service {}{near} (there are: {})", echo(&name), names.join(", "));
        return Problem::new(kinds::NOT_FOUND, detail).into_response();
    };
    *request.uri_mut() = "/faults".parse().expect("it is a path");
    place.answer(request).await
}
