//! `/v1/views`: read models, and how they change.

mod feed;
pub mod schema;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use hansom_engine::{ViewInfo, ViewPage, ViewQuery, ViewRecord};
use serde::Serialize;
use serde_json::Value;

use super::kinds;
use super::problem::{Problem, echo};
use super::query::{Params, check_id};
use super::state::Api;

pub(crate) use feed::Feeds;
// The router looks for what describes a route beside its handler.
pub(crate) use feed::{__path_events, events};

/// The most fields that rows are found by.
const MAX_FIELDS: usize = 32;

/// The views of this server.
#[derive(Serialize)]
pub(crate) struct Views {
    items: Vec<ViewInfo>,
}

/// The name of a view in the path.
pub(crate) struct ViewName(pub(crate) String);

/// The name of a view and the key of a row in the path.
pub(crate) struct RowPlace(String, i64);

impl<S: Send + Sync> FromRequestParts<S> for ViewName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path(parts, state).await.map(|(name, _)| Self(name))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RowPlace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (name, key) = path(parts, state).await?;
        let given = key.unwrap_or_default();
        let key = given.parse().map_err(|_| {
            let detail = format!("`key` is {}; it is a number", echo(&given));
            Problem::new(kinds::FIELD_VALUE, detail).field("key")
        })?;
        Ok(Self(name, key))
    }
}

async fn path<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<(String, Option<String>), Problem> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let Ok(Path(mut path)) = path else {
        return Err(Problem::new(kinds::UTF8_INVALID, "the path is not UTF-8").field("name"));
    };
    let name = path.remove("name").expect("the route has a parameter of that name");
    check_id("name", &name)?;
    Ok((name, path.remove("key")))
}

/// The views of this server, and how many rows each has.
#[utoipa::path(get, path = "/v1/views", tag = "views",
    responses((status = 200, body = schema::Views), (status = 503, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Json<Views>, Problem> {
    params.only(&[])?;
    Ok(Json(Views { items: api.client().all_views().await? }))
}

/// Rows of a view, in the order of their keys.
///
/// Any number of `field.<name>=<value>` may be given: rows whose field has that value. A value is
/// read as JSON where it is JSON (`true`, `7`, `"7"`), and as text where it is not.
#[utoipa::path(get, path = "/v1/views/{name}", tag = "views",
    params(
        ("name" = String, Path, description = "The view"),
        ("field.<name>" = Option<String>, Query, description = "With this value in this field"),
        ("offset" = Option<u32>, Query, description = "So many come before these; 0 when it is not given"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::ViewPage),
        (status = 404, description = "view.not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn rows(
    State(api): State<Arc<Api>>,
    ViewName(name): ViewName,
    params: Params,
) -> Result<Json<ViewPage>, Problem> {
    params.only(&["field.", "offset", "limit"])?;
    let offset = params.get("offset").map_or(Ok(0), |given| {
        // As the database counts rows, and as far as anybody turns pages.
        given.parse().map_err(|_| {
            let detail = format!("`offset` is {}; it is 0 to {}", echo(given), u32::MAX);
            Problem::new(kinds::FILTER_VALUE, detail).field("offset")
        })
    })?;
    let fields = params.with_prefix("field.");
    if fields.len() > MAX_FIELDS {
        let detail = format!("{} fields; at most {MAX_FIELDS} are compared", fields.len());
        return Err(Problem::new(kinds::FILTER_TOO_LONG, detail).limit(MAX_FIELDS as u64));
    }
    let filter = fields.into_iter().map(|(field, text)| Ok((field.clone(), value(&field, text)?)));
    let filter = filter.collect::<Result<_, Problem>>()?;
    let query = ViewQuery { limit: params.limit()?, offset, filter };
    Ok(Json(api.client().views_named(&name, &query).await?))
}

/// What a field is compared with: JSON, or else the text as it is.
fn value(field: &str, text: String) -> Result<Value, Problem> {
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    // An escape in JSON is one that the query's own letters do not show.
    if has_nul(&value) {
        let detail = format!("field {} is compared with NUL (U+0000)", echo(field));
        return Err(Problem::new(kinds::TEXT_NUL, detail).field(format!("field.{field}")));
    }
    Ok(value)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        _ => false,
    }
}

/// One row of a view.
#[utoipa::path(get, path = "/v1/views/{name}/{key}", tag = "views",
    params(
        ("name" = String, Path, description = "The view"),
        ("key" = i64, Path, description = "The number of the row"),
    ),
    responses(
        (status = 200, body = schema::ViewRecord),
        (status = 404, description = "view.not_found, view.row_not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn row(
    State(api): State<Arc<Api>>,
    RowPlace(name, key): RowPlace,
    params: Params,
) -> Result<Json<ViewRecord>, Problem> {
    params.only(&[])?;
    let row = api.client().view_named(&name, key).await?;
    row.map(Json).ok_or_else(|| {
        let detail = format!("{} has no row {key}", echo(&name));
        Problem::new(kinds::VIEW_ROW_NOT_FOUND, detail).field("key")
    })
}
