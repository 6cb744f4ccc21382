//! A service as the gateway sees it: in this process, or in another one over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use hansom_activities::breaker::Breaker;
use hansom_activities::forward::Elsewhere;
use reqwest::Url;
use serde::de::DeserializeOwned;
use tower::{Service, ServiceExt as _};

use super::hal::{Base, PREFIX};
use super::kinds;
use crate::http::body::MAX_BODY;
use crate::http::kinds::Kind;
use crate::http::layers::IDEMPOTENCY_KEY;
use crate::http::problem::Problem;

/// How long a service may take to answer a read, or a command of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// What of a request is carried on.
const CARRIED: [HeaderName; 4] = [CONTENT_TYPE, PREFIX, IDEMPOTENCY_KEY, ACCEPT];

/// What of an answer is carried back.
const ANSWERED: [HeaderName; 4] = [ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER];

/// One service, wherever it runs. Clones share it.
#[derive(Clone)]
pub(crate) struct Downstream {
    name: &'static str,
    place: Place,
    /// What its activities go through, when they are performed from here.
    breaker: Option<Arc<Breaker>>,
}

#[derive(Clone)]
enum Place {
    Here(Router),
    There(Elsewhere),
}

impl Downstream {
    /// The service in this process whose resources these are.
    pub(super) fn here(name: &'static str, resources: Router) -> Self {
        Self { name, place: Place::Here(resources), breaker: None }
    }

    /// The service in another process.
    pub(super) fn there(name: &'static str, place: Elsewhere) -> Self {
        Self { name, place: Place::There(place), breaker: None }
    }

    /// The same, where its activities go through this breaker.
    #[must_use]
    pub(super) fn behind(self, breaker: &Arc<Breaker>) -> Self {
        Self { breaker: Some(Arc::clone(breaker)), ..self }
    }

    /// Refuses what somebody would wait for this service with, while that is left alone: at
    /// once, and before anything is written down. A saga would only be refused as well.
    pub(super) fn ready(&self, kind: Kind) -> Result<(), Problem> {
        let Some(Err(again_in)) = self.breaker.as_ref().map(|breaker| breaker.ahead()) else {
            return Ok(());
        };
        let detail = format!(
            "the {} service is in trouble and left alone for the moment; this request asked \
             nothing of it",
            self.name
        );
        let seconds = u32::try_from(again_in.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Problem::new(kind, detail).retry_after(seconds))
    }

    /// Answers as the service does. A service that cannot be reached is a problem.
    pub(crate) async fn answer(&self, mut request: Request) -> Response {
        // What the gateway's router found in the path is nothing to the service's.
        request.extensions_mut().clear();
        match &self.place {
            Place::Here(router) => {
                match tokio::time::timeout(PATIENCE, router.clone().oneshot(request)).await {
                    Ok(Ok(response)) => response,
                    Err(_) => self.down().into_response(),
                }
            }
            Place::There(place) => match self.send(place, request).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            },
        }
    }

    /// A resource of it, as it shows it; none where it says that there is none.
    pub(super) async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Problem> {
        let request = Request::get(path).body(Body::empty()).expect("it is a path");
        let (parts, body) = self.answer(request).await.into_parts();
        if parts.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = axum::body::to_bytes(body, MAX_BODY).await.ok();
        let shown = body.filter(|_| parts.status.is_success());
        match shown.and_then(|body| serde_json::from_slice(&body).ok()) {
            Some(shown) => Ok(Some(shown)),
            None => Err(self.unusable(parts.status)),
        }
    }

    /// Answers with a resource of it as it is now, or with nothing where it shows none: what was
    /// asked for has happened, so that makes no difference.
    pub(super) async fn shown(&self, base: &Base, path: &str) -> Response {
        let request = Request::get(path).header(PREFIX, base.as_str());
        let request = request.body(Body::empty()).expect("a path, and what was a header");
        let response = self.answer(request).await;
        if response.status().is_success() {
            response
        } else {
            StatusCode::NO_CONTENT.into_response()
        }
    }

    fn unusable(&self, status: StatusCode) -> Problem {
        let detail = format!("the {} service answers with {}", self.name, status.as_u16());
        Problem::new(kinds::SERVICE_DOWN, detail).retry_after(1)
    }

    async fn send(&self, place: &Elsewhere, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| {
            Problem::new(crate::http::kinds::BODY_TOO_LARGE, "the body is too large or broken")
        })?;
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let url = same_path(place.url(), path).ok_or_else(|| {
            let detail = "the path has parts that no resource of the service has";
            Problem::new(kinds::NOT_FOUND, detail)
        })?;
        let mut sent = place.http().request(parts.method, url);
        for name in CARRIED {
            if let Some(value) = parts.headers.get(&name) {
                sent = sent.header(name, value);
            }
        }
        let answer = sent.timeout(PATIENCE).body(body).send().await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        for name in ANSWERED {
            if let Some(value) = answer.headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        *response.body_mut() = Body::from(bytes);
        Ok(response)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Problem {
        tracing::warn!(service = self.name, %error, "service_unreachable");
        self.down()
    }

    fn down(&self) -> Problem {
        let detail = format!("the {} service does not answer", self.name);
        Problem::new(kinds::SERVICE_DOWN, detail).retry_after(1)
    }

    /// Hands a route's requests to this service, whose own path begins with `prefix`.
    pub(super) fn forward(&self, prefix: &'static str) -> Forward {
        Forward { to: self.clone(), prefix }
    }
}

/// Where a path and query are of the service at `base`; nothing, if whoever reads the URL takes
/// them for another path: what a route was not made for must not reach what lies beside it.
fn same_path(base: &str, path_and_query: &str) -> Option<Url> {
    let url = Url::parse(&format!("{base}{path_and_query}")).ok()?;
    let path = path_and_query.split('?').next()?;
    let own = Url::parse(base).ok()?;
    (url.path() == format!("{}{path}", own.path().trim_end_matches('/'))).then_some(url)
}

/// Hands requests to a service.
#[derive(Clone)]
pub(super) struct Forward {
    to: Downstream,
    prefix: &'static str,
}

impl Service<Request> for Forward {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Self { to, prefix } = self.clone();
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = format!("{prefix}{path}").parse::<Uri>();
        *request.uri_mut() = uri.expect("a prefix is a path, and so is what follows");
        Box::pin(async move { Ok(to.answer(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_read_as_another_is_not_asked_for() {
        let url = |path| same_path("http://127.0.0.1:8084", path).map(String::from);
        let asked = Some("http://127.0.0.1:8084/drives/1?page=2".to_owned());
        assert_eq!(url("/drives/1?page=2"), asked);
        for path in ["/drives/../activities/end", "/drives/..\\activities\\end", "/drives/%2e%2e/x"]
        {
            assert_eq!(url(path), None, "{path}");
        }
    }
}
