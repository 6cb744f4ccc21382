//! Bodies: read under limits, then taken apart without being re-encoded.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use futures_util::StreamExt;
use hansom_core::Payload;
use serde::de::DeserializeOwned;

use super::json::{self, Member};
use super::kinds;
use super::problem::{FieldError, Problem, did_you_mean, echo};

/// The largest body, in bytes: the largest payload, and room for what is said beside it.
pub const MAX_BODY: usize = Payload::MAX + 64 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A JSON object as it was sent.
#[derive(Debug)]
pub struct Document {
    text: String,
    members: Vec<Member>,
    /// Where it stands, when it is not a body: a JSON pointer.
    within: String,
}

/// A JSON object, or no body at all.
#[derive(Debug)]
pub struct OptionalDocument(pub Option<Document>);

impl Document {
    /// Checks the bytes of a body.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Problem> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            Problem::new(kinds::UTF8_INVALID, format!("the body is not UTF-8 at offset {offset}"))
        })?;
        let members = json::read_object(&text)?;
        Ok(Self { text, members, within: String::new() })
    }

    /// Refuses every field that is not one of `known`, all at once.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown = self.members.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        let errors: Vec<_> = unknown
            .map(|(key, _)| FieldError {
                field: self.pointer(key),
                detail: format!(
                    "{} is not known{}",
                    echo(key),
                    did_you_mean(key, known.iter().copied())
                ),
            })
            .collect();
        let Some(first) = errors.first() else { return Ok(()) };
        let detail = match errors.len() {
            1 => format!("{} The fields are: {}", sentence(&first.detail), known.join(", ")),
            more => format!("{more} fields are not known; the fields are: {}", known.join(", ")),
        };
        let field = first.field.clone();
        let errors = if errors.len() == 1 { Vec::new() } else { errors };
        Err(Problem::new(kinds::FIELD_UNKNOWN, detail).field(field).errors(errors))
    }

    /// The JSON of a field.
    pub fn raw(&self, key: &str) -> Option<&str> {
        let (_, at) = self.members.iter().find(|(name, _)| name == key)?;
        Some(&self.text[at.clone()])
    }

    /// A field as it was sent, to be carried on.
    pub fn payload(&self, key: &str) -> Option<Payload> {
        let raw = self.raw(key)?.to_owned();
        Some(Payload::parse(raw).expect("the strict reader accepts nothing that serde refuses"))
    }

    /// A text; `null` is as good as none.
    pub fn text(&self, key: &str) -> Result<Option<String>, Problem> {
        self.decode(key, "a string")
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str) -> Result<String, Problem> {
        self.text(key)?.ok_or_else(|| self.required(key))
    }

    /// An object whose values are texts; none is as good as an empty one.
    pub fn texts(&self, key: &str) -> Result<BTreeMap<String, String>, Problem> {
        Ok(self.decode(key, "an object of strings")?.unwrap_or_default())
    }

    /// A list of texts; `null` is as good as none.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, Problem> {
        self.decode(key, "a list of strings")
    }

    /// A whole number, zero or more; `null` is as good as none.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Problem> {
        self.decode(key, "a whole number")
    }

    /// True or false; `null` is as good as none.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Problem> {
        self.decode(key, "true or false")
    }

    /// An object that stands in a field, with members of its own; `null` is as good as none.
    pub fn object(&self, key: &str) -> Result<Option<Self>, Problem> {
        let raw = match self.raw(key) {
            None | Some("null") => return Ok(None),
            Some(raw) => raw,
        };
        if !raw.starts_with('{') {
            let detail = format!("`{key}` is {}; it must be an object", echo(raw));
            return Err(Problem::new(kinds::FIELD_TYPE, detail).field(self.pointer(key)));
        }
        let object = Self::parse(raw.into())?;
        Ok(Some(Self { within: self.pointer(key), ..object }))
    }

    /// The refusal of a body that lacks `key`.
    pub fn required(&self, key: &str) -> Problem {
        let detail = format!("`{key}` is missing");
        Problem::new(kinds::FIELD_REQUIRED, detail).field(self.pointer(key))
    }

    /// Where a field stands: a JSON pointer.
    pub fn pointer(&self, key: &str) -> String {
        let key: String = key.chars().take(64).collect();
        format!("{}/{}", self.within, key.replace('~', "~0").replace('/', "~1"))
    }

    fn decode<T: DeserializeOwned>(&self, key: &str, wanted: &str) -> Result<Option<T>, Problem> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        serde_json::from_str(raw).map_err(|_| {
            let detail = format!("`{key}` is {}; it must be {wanted}", echo(raw));
            Problem::new(kinds::FIELD_TYPE, detail).field(self.pointer(key))
        })
    }
}

fn sentence(text: &str) -> String {
    if text.ends_with('?') { text.to_owned() } else { format!("{text}.") }
}

impl<S: Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        // Nothing at all is a body that is no object, whatever it is announced as.
        if !is_empty(request.headers()) {
            check_headers(request.headers())?;
        }
        Self::parse(read(request).await?)
    }
}

impl<S: Sync> FromRequest<S> for OptionalDocument {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if is_empty(request.headers()) {
            return Ok(Self(None));
        }
        check_headers(request.headers())?;
        Document::parse(read(request).await?).map(Some).map(Self)
    }
}

fn is_empty(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).map(|length| length.as_bytes() == b"0");
    length.unwrap_or_else(|| {
        !headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(CONTENT_TYPE)
    })
}

/// Refuses what is not announced as plain JSON, and what is announced as too large.
fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let given = echo(&String::from_utf8_lossy(encoding.as_bytes()));
        let detail = format!("Content-Encoding is {given}; send the body as it is");
        return Err(Problem::new(kinds::ENCODING, detail).field("Content-Encoding"));
    }
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    if !content_type.is_some_and(is_json) {
        let given =
            content_type.map_or("missing".to_owned(), |given| format!("is {}", echo(given)));
        let detail = format!("Content-Type {given}; send application/json");
        return Err(Problem::new(kinds::CONTENT_TYPE, detail).field("Content-Type"));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    Ok(())
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| {
            let parameter = parameter.to_ascii_lowercase().replace('"', "");
            !parameter.starts_with("charset=") || parameter == "charset=utf-8"
        })
}

fn too_large() -> Problem {
    let detail = format!("the body has more than {MAX_BODY} bytes");
    Problem::new(kinds::BODY_TOO_LARGE, detail).limit(MAX_BODY as u64)
}

async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    let late = |_| {
        let detail = format!("the body took longer than {} s", BODY_TIME.as_secs());
        Problem::new(kinds::BODY_TIMEOUT, detail).limit(BODY_TIME.as_secs())
    };
    tokio::time::timeout(BODY_TIME, collect(request)).await.map_err(late)?
}

async fn collect(request: Request) -> Result<Vec<u8>, Problem> {
    let mut stream = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(kinds::BODY_BROKEN, "the connection ended within the body")
        })?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text.into()).unwrap()
    }

    #[test]
    fn the_input_is_carried_on_byte_by_byte() {
        let body = document(r#"{"input": {"b" : 1.50, "a":"\u00e9"} }"#);
        assert_eq!(body.payload("input").unwrap().get(), r#"{"b" : 1.50, "a":"\u00e9"}"#);
    }

    #[test]
    fn an_unknown_field_is_answered_with_the_nearest_known_one() {
        let body = document(r#"{"type":"t","lables":{}}"#);
        let problem = body.only(&["type", "labels"]).unwrap_err();
        assert_eq!(problem.kind.code, "field.unknown");
        assert_eq!(problem.field.as_deref(), Some("/lables"));
        assert_eq!(
            &*problem.detail,
            "`lables` is not known, did you mean `labels`? The fields are: type, labels"
        );
    }

    #[test]
    fn all_unknown_fields_are_named_at_once() {
        let problem = document(r#"{"x":1,"y":2}"#).only(&["type"]).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["/x", "/y"]);
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named_with_what_was_given() {
        let problem = document(r#"{"id":7}"#).required_text("id").unwrap_err();
        assert_eq!(problem.kind.code, "field.type");
        assert_eq!(&*problem.detail, "`id` is `7`; it must be a string");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
        let problem = Document::parse(b"{\"a\":\"\xff\"}".to_vec()).unwrap_err();
        assert_eq!(problem.kind.code, "utf8.invalid");
        assert_eq!(&*problem.detail, "the body is not UTF-8 at offset 6");
    }

    #[test]
    fn only_json_in_utf8_is_a_content_type() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["text/plain", "", "application/json; charset=utf-16", "application/jsonx"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
