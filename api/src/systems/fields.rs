//! Bodies as the documents' clients send them: every value may be a JSON
//! string, and fields that are not needed are ignored.

use axum::extract::{FromRequest, Request};
use hansom_workflows::taxi_call::Distance;

use super::kinds;
use crate::http::body::Document;
use crate::http::problem::{Problem, echo};

/// The longest text that is kept, in bytes.
const MAX_TEXT: usize = 255;

/// The field whose value no answer repeats: the number of a card, also where it is none.
pub(super) const CARD: &str = "creditCardNumber";

/// The fields of a body.
pub(super) struct Fields(Document);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Document::from_request(request, state).await.map(Self)
    }
}

/// A value that stands for itself.
enum Scalar {
    Text(String),
    /// As it was written.
    Number(String),
    Flag(bool),
}

impl Fields {
    /// A text; a number counts as one, and nothing as an empty one.
    pub(super) fn text(&self, key: &str) -> Result<String, Problem> {
        let text = match self.scalar(key)? {
            None => String::new(),
            Some(Scalar::Text(text) | Scalar::Number(text)) => text,
            Some(Scalar::Flag(_)) => return Err(self.wrong(key, "must be a text")),
        };
        if text.len() > MAX_TEXT {
            let problem = self.wrong(key, &format!("must be at most {MAX_TEXT} bytes long"));
            return Err(problem.limit(MAX_TEXT as u64));
        }
        Ok(text)
    }

    /// A text that must be there, and say something.
    pub(super) fn needed(&self, key: &str) -> Result<String, Problem> {
        let text = self.text(key)?;
        if text.trim().is_empty() { Err(missing(key)) } else { Ok(text) }
    }

    /// One of these words, that must be there.
    pub(super) fn literal<'a>(&self, key: &str, words: &[&'a str]) -> Result<&'a str, Problem> {
        let text = self.needed(key)?;
        let word = words.iter().copied().find(|word| *word == text);
        word.ok_or_else(|| self.wrong(key, &format!("must be one of {}", words.join(", "))))
    }

    /// An angle that must be there, at most so many degrees to either side.
    pub(super) fn degrees(&self, key: &str, most: f64) -> Result<f64, Problem> {
        let degrees = self.needed(key)?.trim().parse().ok();
        let degrees = degrees.filter(|degrees: &f64| degrees.abs() <= most);
        degrees.ok_or_else(|| self.wrong(key, &format!("must be from -{most} to {most}")))
    }

    /// A whole number that must be there.
    pub(super) fn id(&self, key: &str) -> Result<i64, Problem> {
        let id = match self.scalar(key)? {
            None => return Err(missing(key)),
            Some(Scalar::Text(text) | Scalar::Number(text)) => text.trim().parse().ok(),
            Some(Scalar::Flag(_)) => None,
        };
        id.ok_or_else(|| self.wrong(key, "must be a whole number"))
    }

    /// A distance in kilometres that must be there.
    pub(super) fn distance(&self, key: &str) -> Result<Distance, Problem> {
        let text = match self.scalar(key)? {
            None => return Err(missing(key)),
            Some(Scalar::Text(text)) => text.trim().to_owned(),
            Some(Scalar::Number(number)) => plain(number),
            Some(Scalar::Flag(_)) => return Err(self.wrong(key, "must be a number")),
        };
        text.parse().map_err(|error| self.wrong(key, &format!("{error}")))
    }

    /// Yes or no; no when it is not there.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Problem> {
        match self.scalar(key)? {
            None => Ok(false),
            Some(Scalar::Flag(flag)) => Ok(flag),
            Some(Scalar::Text(text) | Scalar::Number(text)) => {
                text.parse().map_err(|_| self.wrong(key, "must be true or false"))
            }
        }
    }

    /// Refuses every field that is not one of `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        self.0.only(known)
    }

    /// Whether the field is there, and is not `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.raw(key).is_some_and(|raw| raw != "null")
    }

    fn scalar(&self, key: &str) -> Result<Option<Scalar>, Problem> {
        let Some(raw) = self.0.raw(key) else { return Ok(None) };
        match raw.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b't') => Ok(Some(Scalar::Flag(true))),
            Some(b'f') => Ok(Some(Scalar::Flag(false))),
            Some(b'"') => Ok(self.0.text(key)?.map(Scalar::Text)),
            Some(b'[' | b'{') => Err(self.wrong(key, "must be a single value")),
            _ => Ok(Some(Scalar::Number(raw.to_owned()))),
        }
    }

    /// The refusal of a field's value.
    pub(super) fn wrong(&self, key: &str, why: &str) -> Problem {
        let detail = match self.0.raw(key) {
            Some(given) if key != CARD => format!("`{key}` is {}; it {why}", echo(given)),
            _ => format!("`{key}` {why}"),
        };
        Problem::new(kinds::FIELD, detail).field(format!("/{key}"))
    }
}

fn missing(key: &str) -> Problem {
    Problem::new(kinds::FIELD, format!("`{key}` is missing")).field(format!("/{key}"))
}

/// A JSON number without an exponent: `1e2` is `100`.
fn plain(number: String) -> String {
    if !number.contains(['e', 'E']) {
        return number;
    }
    match number.parse::<f64>() {
        Ok(value) => value.to_string(),
        Err(_) => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields(Document::parse(text.into()).unwrap())
    }

    fn distance(value: &str) -> Result<String, String> {
        let parsed = fields(&format!(r#"{{"distance":{value}}}"#)).distance("distance");
        parsed.map(|distance| distance.to_string()).map_err(|problem| problem.detail.into())
    }

    #[test]
    fn a_number_may_come_as_a_text_and_is_the_same() {
        for value in ["20", "\"20\"", "20.0", "\" 20.00 \"", "2e1", "0.2E+2"] {
            assert_eq!(distance(value), Ok("20.00".to_owned()), "{value}");
        }
        assert_eq!(distance("100.01"), Ok("100.01".to_owned()));
        assert_eq!(fields(r#"{"callId":"7"}"#).id("callId").unwrap(), 7);
        assert_eq!(fields(r#"{"userId":1}"#).text("userId").unwrap(), "1");
        assert!(fields(r#"{"down":"true"}"#).flag("down").unwrap());
    }

    #[test]
    fn a_distance_that_is_none_is_refused_by_its_name() {
        assert_eq!(distance("null"), Err("`distance` is missing".to_owned()));
        assert_eq!(distance("0"), Err("`distance` is `0`; it must be greater than 0".to_owned()));
        for value in ["-1", "\"ten\"", "\"\"", "true", "[20]", "{}", "1e300", "1.005", "\"NaN\""] {
            assert!(distance(value).is_err(), "{value}");
        }
        let problem = fields("{}").distance("distance").unwrap_err();
        assert_eq!((problem.kind.status, problem.field.as_deref()), (400, Some("/distance")));
    }

    #[test]
    fn an_id_is_a_whole_number() {
        for value in ["1.5", "\"one\"", "99999999999999999999", "true"] {
            assert!(fields(&format!(r#"{{"callId":{value}}}"#)).id("callId").is_err(), "{value}");
        }
    }

    #[test]
    fn a_text_is_at_most_255_bytes() {
        let long = format!(r#"{{"userName":"{}"}}"#, "x".repeat(256));
        assert!(fields(&long).text("userName").is_err());
        assert_eq!(fields("{}").text("userName").unwrap(), "");
    }
}
