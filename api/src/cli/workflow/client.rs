//! Talks REST to a server.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{CliError, Exit};
use super::{Format, ServerArg};
use crate::config::{Config, Key, Sources};

/// How long an answer may take beyond what it was asked to wait.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server, and how its refusals are shown.
pub(crate) struct Rest {
    base: reqwest::Url,
    /// What paths are about.
    noun: &'static str,
    http: reqwest::Client,
    format: Format,
}

/// What a server answered.
pub(crate) struct Answer {
    /// 200, 201 or 202.
    pub(crate) status: StatusCode,
    /// The bytes as they came.
    pub(crate) body: Vec<u8>,
}

/// What of a problem is shown.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    refusal: Option<Box<RawValue>>,
}

impl Answer {
    /// The answer as data.
    pub(crate) fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CliError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            CliError::new(Exit::Unexpected, "the answer is not what this version understands")
                .cause(error.to_string())
                .hint("`-o json` shows it as it is")
        })
    }
}

impl Rest {
    /// The server that the flag or the settings name, and its workflows.
    pub(crate) fn new(server: &ServerArg) -> Result<Self, CliError> {
        Self::of("workflows", server)
    }

    /// The server that the flag or the settings name, and its resources of that name.
    pub(crate) fn of(noun: &'static str, server: &ServerArg) -> Result<Self, CliError> {
        let flags = server.url.iter().map(|url| (Key::Url, url.clone())).collect();
        let sources = Sources::of_process(flags, None)
            .map_err(|error| CliError::new(Exit::Usage, "settings cannot be read").cause(error))?;
        let config = Config::resolve(&sources)?;
        let base = reqwest::Url::parse(&config.url).expect("the settings hold only good URLs");
        // A proxy cannot reach this machine's own addresses.
        let is_near = base
            .host_str()
            .is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]");
        let http = reqwest::Client::builder();
        let http = if is_near { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| {
            CliError::new(Exit::Unexpected, "no HTTP client").cause(error.to_string())
        })?;
        Ok(Self { base, noun, http, format: server.output })
    }

    /// Asks, and turns a refusal into an error.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(String, String)],
        wait: Duration,
    ) -> Result<Answer, CliError> {
        self.send(Method::GET, path, query, None, wait).await
    }

    /// Sends a body, and turns a refusal into an error.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        query: &[(String, String)],
        body: String,
        wait: Duration,
    ) -> Result<Answer, CliError> {
        self.send(Method::POST, path, query, Some(body), wait).await
    }

    /// Sends what is to stand there from now on, and turns a refusal into an error.
    pub(crate) async fn put(&self, path: &[&str], body: String) -> Result<Answer, CliError> {
        self.send(Method::PUT, path, &[], Some(body), Duration::ZERO).await
    }

    /// Has it forgotten, and turns a refusal into an error.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Answer, CliError> {
        self.send(Method::DELETE, path, &[], None, Duration::ZERO).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(String, String)],
        body: Option<String>,
        wait: Duration,
    ) -> Result<Answer, CliError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("http URLs have a path")
            .pop_if_empty()
            .extend(["v1", self.noun])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).timeout(wait + PATIENCE);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?.to_vec();
        if status.is_success() {
            Ok(Answer { status, body })
        } else {
            Err(self.refused(status, body))
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        // The innermost cause is what the system said.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        CliError::new(Exit::Unreachable, format!("no answer from {}", self.base))
            .cause(cause.to_string())
            .hint("start a server with `hansom dev`, or name one with --url or HANSOM_URL")
    }

    fn refused(&self, status: StatusCode, body: Vec<u8>) -> CliError {
        let exit = match status.as_u16() {
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            409 | 412 | 428 => Exit::Conflict,
            400..500 => Exit::Usage,
            503 | 504 => Exit::Unreachable,
            _ => Exit::Unexpected,
        };
        let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
            return CliError::new(exit, format!("{} answered {status}", self.base))
                .hint("is that a Hansom server?");
        };
        // An answer that is no, and not a request that is wrong.
        let exit = if problem.refusal.is_some() { Exit::Conflict } else { exit };
        let code = problem.code.map_or(String::new(), |code| format!(" ({code})"));
        let mut error = CliError::new(exit, format!("{}{code}", problem.title));
        let detail = problem.detail.filter(|detail| *detail != problem.title);
        if let Some(cause) = problem.refusal.map(|refusal| refusal.get().to_owned()).or(detail) {
            error = error.cause(cause);
        }
        if let Some(id) = problem.request_id {
            error = error.request_id(id);
        }
        if matches!(self.format, Format::Json | Format::Jsonl) {
            error.problem(body)
        } else {
            error
        }
    }
}
