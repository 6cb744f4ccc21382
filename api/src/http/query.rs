//! What stands in the URL: ids and parameters, read as strictly as bodies.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use chrono::{DateTime, Datelike, Utc};

use super::kinds;
use super::problem::{Problem, did_you_mean, echo};
use crate::duration::{self, DurationError};

/// The longest id, in bytes.
const MAX_ID: usize = 255;

/// The longest time a request may wait for a workflow to close or to answer.
pub const MAX_WAIT: Duration = Duration::from_mins(1);

/// The longest query string, in bytes.
const MAX_QUERY: usize = 8 * 1024;

/// The largest page.
pub const MAX_LIMIT: u32 = 200;

/// The page when no limit is asked for.
pub const DEFAULT_LIMIT: u32 = 50;

/// The years that a time may be in.
pub const YEARS: Range<i32> = 2000..2200;

/// The workflow's id in the path.
#[derive(Debug)]
pub struct WorkflowId(pub String);

/// The schedule's id in the path.
#[derive(Debug)]
pub struct ScheduleId(pub String);

/// The name of a signal or an update in the path.
#[derive(Debug)]
pub struct MessageName(pub String);

/// The parameters of the query string, in order.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for WorkflowId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_id(parts, state, "id").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ScheduleId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_id(parts, state, "id").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MessageName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_id(parts, state, "name").await.map(Self)
    }
}

async fn path_id<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Problem> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let Ok(Path(mut path)) = path else {
        return Err(Problem::new(kinds::UTF8_INVALID, "the path is not UTF-8").field(name));
    };
    let id = path.remove(name).expect("the route has a parameter of that name");
    check_id(name, &id)?;
    Ok(id)
}

/// Refuses what is not 1 to 255 of `[A-Za-z0-9._:-]`.
pub fn check_id(field: &str, id: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if id.contains('\0') {
        let detail = format!("`{field}` contains NUL (U+0000)");
        return Err(Problem::new(kinds::TEXT_NUL, detail).field(field));
    }
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(allowed) {
        let detail = format!(
            "`{field}` is {} ({} bytes); an id is 1 to {MAX_ID} of A-Z a-z 0-9 . _ : -",
            echo(id),
            id.len()
        );
        return Err(Problem::new(kinds::ID_SYNTAX, detail).field(field).limit(MAX_ID as u64));
    }
    Ok(())
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let length = parts.uri.query().unwrap_or_default().len();
        if length > MAX_QUERY {
            let detail = format!("the query has {length} bytes; at most {MAX_QUERY} are read");
            return Err(Problem::new(kinds::FILTER_TOO_LONG, detail).limit(MAX_QUERY as u64));
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::new(kinds::BAD_REQUEST, "the query cannot be read"))?;
        match pairs.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            Some((name, _)) => {
                let detail = format!("parameter {} contains NUL (U+0000)", echo(name));
                Err(Problem::new(kinds::TEXT_NUL, detail).field(echo(name).replace('`', "")))
            }
            None => Ok(Self(pairs)),
        }
    }
}

impl Params {
    /// Refuses parameters that are not in `known` or begin with its entry that ends in a dot
    /// (`label.`), and repeated ones.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            let fits = |known: &&str| {
                if known.ends_with('.') {
                    name.len() > known.len() && name.starts_with(*known)
                } else {
                    *known == name
                }
            };
            if !known.iter().any(fits) {
                let near = did_you_mean(name, known.iter().copied());
                let allowed = match known {
                    [] => "there are none here".to_owned(),
                    known => {
                        format!("there are: {}", known.join(", ").replace(".,", ".<key>,"))
                    }
                };
                let detail = format!("parameter {} is not known{near} ({allowed})", echo(name));
                return Err(Problem::new(kinds::PARAMETER_UNKNOWN, detail).field(short(name)));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                let detail = format!("parameter {} stands twice; once is enough", echo(name));
                return Err(Problem::new(kinds::PARAMETER_REPEATED, detail).field(short(name)));
            }
        }
        Ok(())
    }

    /// A parameter as it stands.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every parameter that begins with `prefix`, without it.
    pub fn with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        let with = |(name, value): &(String, String)| {
            Some((name.strip_prefix(prefix)?.to_owned(), value.clone()))
        };
        self.0.iter().filter_map(with).collect()
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(given) = self.get(name) else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
            return Ok(Some(*value));
        }
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Err(not_one_of(name, given, &words))
    }

    /// `limit`: 1 to 200, 50 when it is not given.
    pub fn limit(&self) -> Result<u32, Problem> {
        let Some(given) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        given.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            let detail = format!("`limit` is {}; it is 1 to {MAX_LIMIT}", echo(given));
            Problem::new(kinds::PAGE_LIMIT, detail).field("limit").limit(u64::from(MAX_LIMIT))
        })
    }

    /// `wait`: how long to wait for a workflow to close or to answer, 60 s at most.
    pub fn wait(&self) -> Result<Option<Duration>, Problem> {
        let Some(given) = self.get("wait") else { return Ok(None) };
        let max = duration::show(MAX_WAIT);
        match duration::parse(given) {
            Ok(wait) if wait <= MAX_WAIT => Ok(Some(wait)),
            Ok(_) | Err(DurationError::TooLong) => {
                let detail = format!("`wait` is {}; it is at most {max}", echo(given));
                let problem = Problem::new(kinds::DURATION_RANGE, detail).field("wait");
                Err(problem.limit(MAX_WAIT.as_secs()))
            }
            Err(error) => {
                let detail = format!("`wait` is {}: {error}", echo(given));
                Err(Problem::new(kinds::DURATION_SYNTAX, detail).field("wait"))
            }
        }
    }

    /// A time: see [`time_of`].
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.get(name).map(|given| time_of(name, name, given)).transpose()
    }
}

/// A time: RFC 3339 with its zone, in the years 2000 to 2199.
pub fn time_of(name: &str, field: &str, given: &str) -> Result<DateTime<Utc>, Problem> {
    let Ok(time) = DateTime::parse_from_rfc3339(given) else {
        let detail = format!(
            "`{name}` is {}; a time is written as 2026-01-31T12:00:00Z, with its zone",
            echo(given)
        );
        return Err(Problem::new(kinds::TIME_SYNTAX, detail).field(field));
    };
    let time = time.to_utc();
    if !YEARS.contains(&time.year()) {
        let detail = format!("`{name}` is {}; the years 2000 to 2199 are allowed", echo(given));
        return Err(Problem::new(kinds::TIME_RANGE, detail).field(field));
    }
    Ok(time)
}

/// The refusal of a filter's word that is none of the known ones.
fn not_one_of(name: &str, given: &str, words: &[&str]) -> Problem {
    let near = did_you_mean(given, words.iter().copied());
    let detail = format!("`{name}` is {}{near} (allowed: {})", echo(given), words.join(", "));
    Problem::new(kinds::FILTER_VALUE, detail).field(name)
}

fn short(name: &str) -> String {
    name.chars().take(64).filter(|character| !character.is_control()).collect()
}
