//! `/faults`: how a service misbehaves, for trying things out.

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use hansom_activities::faults::{Faults, Switches};
use hansom_activities::service::Kind;

use super::fields::Fields;
use crate::http::problem::Problem;

const SWITCHES: [&str; 5] = ["down", "latency_ms", "error_rate", "decline", "lose_answer"];

/// Longer than any time limit of a saga.
const MAX_LATENCY_MS: u64 = 600_000;

type Switched = (&'static Kind, Switches);

/// The switches of one service. They work while it is switched off.
pub(super) fn routes(kind: &'static Kind, switches: Switches) -> Router {
    let methods = get(show).put(set).post(set).patch(flip);
    Router::new().route("/faults", methods).with_state((kind, switches))
}

async fn show(State((_, switches)): State<Switched>) -> Json<Faults> {
    Json(switches.get())
}

/// Sets all switches of a service: those not named are off.
async fn set(
    State((kind, switches)): State<Switched>,
    fields: Fields,
) -> Result<Json<Faults>, Problem> {
    change(kind, &switches, |_| read(kind, &fields, Faults::default()))
}

/// Sets the switches that are named: the others stay as they are.
async fn flip(
    State((kind, switches)): State<Switched>,
    fields: Fields,
) -> Result<Json<Faults>, Problem> {
    change(kind, &switches, |now| read(kind, &fields, now))
}

fn change(
    kind: &Kind,
    switches: &Switches,
    change: impl FnOnce(Faults) -> Result<Faults, Problem>,
) -> Result<Json<Faults>, Problem> {
    let faults = switches.change(change)?;
    tracing::info!(service = kind.name, ?faults, "faults_set");
    Ok(Json(faults))
}

/// What a body says; of what it does not name, `others`.
fn read(kind: &Kind, fields: &Fields, others: Faults) -> Result<Faults, Problem> {
    fields.only(&SWITCHES)?;
    let flag = |name, other| if fields.has(name) { fields.flag(name) } else { Ok(other) };
    let faults = Faults {
        down: flag("down", others.down)?,
        latency: latency(fields)?.unwrap_or(others.latency),
        error_rate: rate(fields)?.unwrap_or(others.error_rate),
        decline: flag("decline", others.decline)?,
        lose_answer: flag("lose_answer", others.lose_answer)?,
    };
    if faults.decline && !kind.declines {
        let why = format!("must be false: the {} service cannot decline", kind.name);
        return Err(fields.wrong("decline", &why));
    }
    Ok(faults)
}

fn latency(fields: &Fields) -> Result<Option<Duration>, Problem> {
    if !fields.has("latency_ms") {
        return Ok(None);
    }
    if let Ok(millis @ ..=MAX_LATENCY_MS) = u64::try_from(fields.id("latency_ms")?) {
        return Ok(Some(Duration::from_millis(millis)));
    }
    let problem = fields.wrong("latency_ms", &format!("must be 0 to {MAX_LATENCY_MS}"));
    Err(problem.limit(MAX_LATENCY_MS))
}

fn rate(fields: &Fields) -> Result<Option<f64>, Problem> {
    let rate = fields.text("error_rate")?;
    if rate.is_empty() {
        return Ok(None);
    }
    let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.map(Some).ok_or_else(|| fields.wrong("error_rate", "must be from 0 to 1, as 0.3"))
}
