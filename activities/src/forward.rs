//! Activities of a service that runs in another process, over HTTP.
//!
//! `POST {service}/activities/{name}` with an [`Order`] answers 200 with a [`Reply`]. What cannot be
//! sent, because nobody takes the connection, is no attempt; everything else is a technical
//! failure, and `Retry-After` is heard. The service keeps what it did
//! under the request's business key, as it does in process: a lost answer is asked for again.

use std::time::Duration;

use hansom_core::{ActivityContext, Ask, Attempt, Direction, Payload, Seq};
use reqwest::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};

/// How long a connection may take. An answer has the time limit of its activity.
const CONNECT: Duration = Duration::from_secs(3);

/// How much of a service's error text is repeated.
const REASON_CHARS: usize = 300;

/// One attempt, as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The encoded request.
    pub request: Payload,
    /// The workflow that asks.
    pub workflow_id: String,
    /// Its run.
    pub run: String,
    /// The command this serves.
    pub seq: u32,
    /// Whether it is done or undone.
    pub direction: Direction,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// How it ended, where it did not fail.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// With this output.
    Done(Payload),
    /// With this refusal.
    Refused(Payload),
}

impl Order {
    /// Its parts, for the handler.
    pub fn into_parts(self) -> (Payload, ActivityContext) {
        let Self { request, workflow_id, run, seq, direction, attempt } = self;
        (request, ActivityContext::new(workflow_id, run, Seq(seq), direction, attempt))
    }
}

/// A service in another process. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    url: String,
    http: reqwest::Client,
}

impl Elsewhere {
    /// The service at `url`, which ends without a slash.
    pub fn new(url: String) -> Self {
        // What is sent there is meant for nobody else, wherever an answer points.
        let nowhere_else = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(nowhere_else);
        let http = http.connect_timeout(CONNECT).build();
        Self { url, http: http.expect("only a TLS provider can be missing, and main installs it") }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its connections.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Has one attempt made there.
    pub async fn forward(self, ask: Ask) -> Attempt {
        match self.send(ask).await {
            Ok(attempt) => attempt,
            Err(error) => {
                let reason = format!("{}: {}", self.url, root(&error));
                // Without a connection nothing was sent: nothing can have happened.
                if error.is_connect() {
                    return Attempt::Unavailable { reason, after: None };
                }
                Attempt::failed(reason)
            }
        }
    }

    async fn send(&self, ask: Ask) -> reqwest::Result<Attempt> {
        let Ask { activity, request, cx, .. } = ask;
        let url = format!("{}/activities/{activity}", self.url);
        let key = cx.idempotency_key();
        let ActivityContext { workflow_id, run, seq, direction, attempt, .. } = cx;
        let order = Order { request, workflow_id, run, seq: seq.0, direction, attempt };
        let asked = self.http.post(url).header("idempotency-key", key).json(&order);
        let response = asked.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(match response.json().await? {
                Reply::Done(output) => Attempt::Done(output),
                Reply::Refused(error) => Attempt::Refused(error),
            });
        }
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let text: String = response.text().await?.chars().take(REASON_CHARS).collect();
        Ok(Attempt::Failed { reason: format!("{status}: {text}"), retry_after })
    }
}

/// What lies at the bottom of an error: its upper layers only say that a request failed.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
