//! HAL, as Spring Data REST writes it.

use std::future::{Ready, ready};

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use hansom_activities::page::{Page, Paged};
use serde_json::{Value, json};

use super::kinds;
use crate::http::kinds::METHOD;
use crate::http::problem::{Problem, echo};

/// The largest page; a larger one is cut to it, as upstream does.
const MAX_SIZE: u32 = 1_000;

const HAL_JSON: &str = "application/hal+json";

/// Says under which path the client knows a façade. Set by the gateway, for services too.
pub(super) const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Under which path the client knows the façade: all links stay there.
#[derive(Clone)]
pub(super) struct Base(String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let prefix = parts.headers.get(PREFIX).and_then(|prefix| prefix.to_str().ok());
        Ok(Self(prefix.unwrap_or_default().to_owned()))
    }
}

impl Base {
    /// As the header has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A kind of resource: how one is called, and many.
pub(super) struct Kind {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
}

/// Something that is shown as a resource.
pub(super) trait Resource {
    const KIND: Kind;
    fn id(&self) -> i64;
    /// Its fields, as a JSON object.
    fn body(&self) -> Value;
}

/// Where the resources of a kind are.
pub(super) fn path<R: Resource>(base: &Base) -> String {
    format!("{}/{}", base.0, R::KIND.many)
}

fn with_links<R: Resource>(base: &Base, resource: &R) -> (Value, String) {
    let href = format!("{}/{}", path::<R>(base), resource.id());
    let mut body = resource.body();
    body["_links"] = json!({ "self": { "href": href }, R::KIND.one: { "href": href } });
    (body, href)
}

fn hal(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, HAL_JSON)], body.to_string()).into_response()
}

/// One resource.
pub(super) fn one<R: Resource>(base: &Base, resource: &R) -> Response {
    hal(StatusCode::OK, &with_links(base, resource).0)
}

/// One resource that was just made.
pub(super) fn created<R: Resource>(base: &Base, resource: &R) -> Response {
    let (body, href) = with_links(base, resource);
    ([(LOCATION, href)], hal(StatusCode::CREATED, &body)).into_response()
}

/// The problem of one that is still being made, and where it will be.
pub(super) fn pending<R: Resource>(base: &Base, id: i64, problem: Problem) -> Response {
    ([(LOCATION, format!("{}/{id}", path::<R>(base)))], problem).into_response()
}

/// One page of resources.
pub(super) fn many<R: Resource>(base: &Base, page: Page, paged: &Paged<R>) -> Response {
    let path = path::<R>(base);
    let size = i64::from(page.size);
    let count = (paged.total + size - 1) / size;
    let link = |number: i64| json!({ "href": format!("{path}?page={number}&size={size}") });
    let number = i64::from(page.number);
    let mut links = json!({ "self": link(number) });
    if count > 1 {
        links["first"] = link(0);
        links["last"] = link(count - 1);
    }
    if number > 0 {
        links["prev"] = link(number - 1);
    }
    if number + 1 < count {
        links["next"] = link(number + 1);
    }
    let items: Vec<_> = paged.items.iter().map(|item| with_links(base, item).0).collect();
    let body = json!({
        "_embedded": { R::KIND.many: items },
        "_links": links,
        "page": { "size": size, "totalElements": paged.total, "totalPages": count, "number": number },
    });
    hal(StatusCode::OK, &body)
}

/// The refusal of an id that nothing has.
pub(super) fn not_found<R: Resource>(id: i64) -> Problem {
    not_found_as(R::KIND.one, id)
}

/// The same, of something that this process need not show itself.
pub(super) fn not_found_as(one: &str, id: i64) -> Problem {
    Problem::new(kinds::NOT_FOUND, format!("there is no {one} {id}"))
}

/// What is done another way: 405, with what does it instead.
pub(super) fn instead(
    what: &'static str,
) -> impl FnOnce() -> Ready<Problem> + Clone + Send + Sync + 'static {
    move || ready(Problem::new(METHOD, what))
}

/// The id in the path.
pub(super) struct Id(pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let given = path.map(|Path(given)| given).unwrap_or_default();
        given.parse().map(Self).map_err(|_| {
            let detail = format!("{} is not an id; ids are whole numbers", echo(&given));
            Problem::new(kinds::NOT_FOUND, detail)
        })
    }
}

/// A number in the query, or `default`.
pub(super) fn number<T: std::str::FromStr>(
    query: &[(String, String)],
    name: &'static str,
    default: T,
) -> Result<T, Problem> {
    match query.iter().find(|(key, _)| key == name) {
        None => Ok(default),
        Some((_, given)) => given.parse().map_err(|_| {
            let detail = format!("`{name}` is {}; it must be a whole number", echo(given));
            Problem::new(kinds::PARAMETER, detail).field(name)
        }),
    }
}

/// `page` and `size` of the query; other parameters are ignored, as upstream does.
pub(super) struct Pages(pub(super) Page);

impl<S: Send + Sync> FromRequestParts<S> for Pages {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Params(query) = Params::read(parts)?;
        let all = Page::default();
        let size: u32 = number(&query, "size", all.size)?;
        let page = number(&query, "page", all.number)?;
        Ok(Self(Page { number: page, size: size.clamp(1, MAX_SIZE) }))
    }
}

/// The query, in order.
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl Params {
    fn read(parts: &Parts) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        let query = query.map_err(|_| Problem::new(kinds::PARAMETER, "the query cannot be read"));
        Ok(Self(query?.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts)
    }
}
