//! The one shape of every error answer: RFC 9457 problem details.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hansom_core::Payload;
use serde::Serialize;
use utoipa::ToSchema;

use super::kinds::{self, Kind};

/// The media type of an error answer.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// How much of what a client sent is repeated to it.
const ECHO_CHARS: usize = 64;

/// Why a request was not carried out; `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem.
    #[serde(flatten)]
    pub kind: Box<Kind>,
    /// What was wrong this time: what was given, and what is allowed.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub instance: Option<Box<str>>,
    /// JSON pointer to the field, or the parameter's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub field: Option<Box<str>>,
    /// The limit that was passed, in the unit that `detail` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Each thing that is wrong, when there are several.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub errors: Box<[FieldError]>,
    /// Names this request in the logs, as does the answer's `x-request-id`.
    #[schema(value_type = String)]
    pub request_id: Box<str>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Why the workflow refused, in its own words: of `update.refused` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub refusal: Option<Box<Payload>>,
}

/// One of several things that are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer to the field, or the parameter's name.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem of this kind. `detail` says what was given and what is allowed.
    pub fn new(kind: Kind, detail: impl Into<Box<str>>) -> Self {
        Self {
            kind: Box::new(kind),
            detail: detail.into(),
            instance: None,
            field: None,
            limit: None,
            errors: Box::default(),
            request_id: Box::default(),
            retry_after: None,
            refusal: None,
        }
    }

    /// The field or parameter that is meant.
    #[must_use]
    pub fn field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The limit that was passed.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors.into();
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Why the workflow refused.
    #[must_use]
    pub fn refusal(mut self, refusal: Payload) -> Self {
        self.refusal = Some(Box::new(refusal));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).expect("kinds have valid statuses")
    }

    /// What an answer that carries no problem yet means: axum's own refusals.
    pub fn of_status(status: StatusCode) -> Self {
        let kind = match status.as_u16() {
            404 => kinds::ROUTE_UNKNOWN,
            405 => kinds::METHOD,
            408 => kinds::BODY_TIMEOUT,
            413 => kinds::BODY_TOO_LARGE,
            414 => kinds::URI_TOO_LONG,
            415 => kinds::CONTENT_TYPE,
            400..500 => kinds::BAD_REQUEST,
            _ => kinds::INTERNAL,
        };
        Self::new(kind, kind.title)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem holds only text and numbers");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the outermost layer, which knows the request's id and path.
        response.extensions_mut().insert(self);
        response
    }
}

/// What a client sent, safe to repeat: short, without control characters, in backticks.
pub fn echo(given: &str) -> String {
    let mut shown: String = given.chars().take(ECHO_CHARS).flat_map(char::escape_debug).collect();
    shown = shown.replace("\\'", "'").replace("\\\"", "\"");
    let more = if given.chars().nth(ECHO_CHARS).is_some() { "…" } else { "" };
    format!("`{shown}{more}`")
}

/// ", did you mean `x`?" when one of `known` is near, else "".
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match crate::nearest::nearest(given, known) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_repeated_shortened_and_without_control_characters() {
        assert_eq!(echo("a\u{202e}b\n\u{1b}[31m"), r"`a\u{202e}b\n\u{1b}[31m`");
        assert_eq!(echo(&"x".repeat(65)), format!("`{}…`", "x".repeat(64)));
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = kinds::ALL.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), kinds::ALL.len());
    }
}
