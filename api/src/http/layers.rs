//! Around every handler: a request id, the accepted formats, and one shape for every error.

use std::any::Any;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::kinds;
use super::metrics::REQUEST_SECONDS;
use super::problem::{PROBLEM_JSON, Problem, echo};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest `Idempotency-Key`, in bytes.
pub(crate) const MAX_KEY: usize = 255;

/// The longest path and query, in bytes.
const MAX_URI: usize = 16 * 1024;

/// Gives every request an id, and every error answer its shape.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let path = request.uri().path().to_owned();
    let asked = Asked::of(&request);
    let response = match refuse(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let mut response = shape(response, &id, &path);
    asked.answered(response.status(), &id);
    let value = HeaderValue::from_str(&id).expect("a UUID is ASCII");
    response.headers_mut().insert(REQUEST_ID, value);
    // Payloads are nobody else's business, and a status is old at once.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
    response
}

/// A request that is being answered, as it is counted and logged.
struct Asked {
    began: Instant,
    method: Method,
    /// The route, with the names of its variables: what is asked for has no end of values.
    route: Option<MatchedPath>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let (method, route) = (request.method().clone(), request.extensions().get().cloned());
        Self { began: Instant::now(), method, route }
    }

    fn answered(self, status: StatusCode, request_id: &str) {
        let took = self.began.elapsed();
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let labels = [
            ("method", method_label(&self.method).to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        metrics::histogram!(REQUEST_SECONDS, &labels).record(took.as_secs_f64());
        tracing::debug!(
            request_id, method = %self.method, route, status = status.as_u16(), ?took, "request"
        );
    }
}

/// Methods that are counted by name; a client may make up any other.
fn method_label(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

/// What is refused before any route looks at it.
fn refuse(request: &Request) -> Option<Problem> {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI {
        let detail = format!("the URL has {length} bytes; at most {MAX_URI} are read");
        return Some(Problem::new(kinds::URI_TOO_LONG, detail).limit(MAX_URI as u64));
    }
    if !is_local(request.headers()) {
        let detail = "it was sent to another name than localhost; without authentication only \
            programs of this machine are answered. A proxy in front has to set Host: localhost";
        return Some(Problem::new(kinds::CSRF, detail).field("Host"));
    }
    if !request.method().is_safe() && from_elsewhere(request.headers()) {
        let detail = "a browser sent it for a page of another site; pages may only ask their own";
        return Some(Problem::new(kinds::CSRF, detail).field("Origin"));
    }
    if !request.uri().path().starts_with("/v1/") {
        return None;
    }
    not_acceptable(request.uri().path(), request.headers()).or_else(|| bad_key(request.headers()))
}

/// Whether the request names this machine. A page whose name was pointed at a loopback address
/// (DNS rebinding) is of the same origin to a browser, but its name gives it away.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether a browser says that another site's page sends this. On a loopback address without
/// authentication, any page that is open in a browser could cancel workflows otherwise.
fn from_elsewhere(headers: &HeaderMap) -> bool {
    let text =
        |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    let origin = text(&ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || origin.is_some_and(|origin| Some(origin) != text(&HOST))
}

fn not_acceptable(path: &str, headers: &HeaderMap) -> Option<Problem> {
    // The one answer that is not JSON, and what a browser asks for it.
    let told = path.starts_with("/v1/views/") && path.ends_with("/events");
    let ours = if told { "text/event-stream" } else { "application/json" };
    let accepted: Vec<_> =
        headers.get_all(ACCEPT).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let ranges = || accepted.iter().flat_map(|value| value.split(','));
    let fits = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        let whole = if told { "text/*" } else { "application/*" };
        ["*/*", whole, ours, PROBLEM_JSON].iter().any(|ours| range.eq_ignore_ascii_case(ours))
    };
    if accepted.is_empty() || ranges().any(fits) {
        return None;
    }
    let detail = format!("Accept is {}; answers are {ours}", echo(&accepted.join(", ")));
    Some(Problem::new(kinds::ACCEPT, detail).field("Accept"))
}

fn bad_key(headers: &HeaderMap) -> Option<Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let length = keys.next()?.len();
    if keys.next().is_some() {
        let detail = "a request is known by one Idempotency-Key; leave the others out";
        return Some(Problem::new(kinds::KEY_TWICE, detail).field("Idempotency-Key"));
    }
    if (1..=MAX_KEY).contains(&length) {
        return None;
    }
    let detail = format!("the Idempotency-Key has {length} bytes; it has 1 to {MAX_KEY}");
    Some(Problem::new(kinds::KEY_LENGTH, detail).field("Idempotency-Key").limit(MAX_KEY as u64))
}

/// Writes id and path into a problem, and makes one of axum's own bare refusals.
fn shape(mut response: Response, id: &str, path: &str) -> Response {
    let status = response.status();
    let mut problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.as_u16() >= 400 && is_bare(response.headers()) => Problem::of_status(status),
        None => return response,
    };
    problem.request_id = id.into();
    problem.instance = Some(path.chars().take(512).collect::<String>().into());
    if status.is_server_error() {
        tracing::warn!(request_id = id, path, code = problem.kind.code, "request.failed");
    }
    let body = serde_json::to_vec(&problem).expect("a problem holds only text and numbers");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.remove(CONTENT_LENGTH);
    *response.status_mut() = problem.status();
    *response.body_mut() = Body::from(body);
    response
}

/// Whether a façade said nothing of its own: its JSON errors stay as they are.
fn is_bare(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// Nothing is served at this path.
pub(crate) async fn no_route(uri: Uri) -> Problem {
    let path = uri.path();
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_version = first.strip_prefix('v').is_some_and(|version| {
        !version.is_empty() && version.bytes().all(|digit| digit.is_ascii_digit())
    });
    if is_version && first != "v1" {
        let detail = format!("{} is not served; the version is /v1", echo(first));
        return Problem::new(kinds::API_VERSION, detail);
    }
    let detail = format!("nothing is served at {}; see /openapi.json", echo(path));
    Problem::new(kinds::ROUTE_UNKNOWN, detail)
}

/// A handler panicked. The words go to the log only.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(panic = text, "request.panicked");
    Problem::new(kinds::INTERNAL, "see the server's log for this request id").into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn ask(path: &str) -> (StatusCode, HeaderMap, serde_json::Value) {
        let router: Router = Router::new()
            .route("/panic", get(|| async { panic!("the secret") as () }))
            .fallback(no_route)
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn(finish));
        let request = Request::builder().uri(path).method("GET").body(Body::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let (status, headers, body) = ask("/panic").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(headers[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(body["code"], "internal");
        assert_eq!(body["request_id"], headers["x-request-id"].to_str().unwrap());
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_unknown_path_and_an_unknown_version_are_told_apart() {
        assert_eq!(ask("/nothing").await.2["code"], "route.unknown");
        assert_eq!(ask("/v2/workflows").await.2["code"], "api.version");
        assert_eq!(ask("/vx").await.2["code"], "route.unknown");
    }

    #[tokio::test]
    async fn a_very_long_url_is_refused() {
        let (status, _, body) = ask(&format!("/{}", "x".repeat(20_000))).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (414, Some("uri.too_long")));
    }
}
