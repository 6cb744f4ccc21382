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
    Router::new().route("/faults", get(show).put(set).post(set)).with_state((kind, switches))
}

async fn show(State((_, switches)): State<Switched>) -> Json<Faults> {
    Json(switches.get())
}

/// Sets all switches of a service: those not named are off.
async fn set(
    State((kind, switches)): State<Switched>,
    fields: Fields,
) -> Result<Json<Faults>, Problem> {
    fields.only(&SWITCHES)?;
    let faults = Faults {
        down: fields.flag("down")?,
        latency: latency(&fields)?,
        error_rate: rate(&fields)?,
        decline: fields.flag("decline")?,
        lose_answer: fields.flag("lose_answer")?,
    };
    if faults.decline && !kind.declines {
        let why = format!("must be false: the {} service cannot decline", kind.name);
        return Err(fields.wrong("decline", &why));
    }
    switches.set(faults);
    tracing::info!(service = kind.name, ?faults, "faults_set");
    Ok(Json(faults))
}

fn latency(fields: &Fields) -> Result<Duration, Problem> {
    if !fields.has("latency_ms") {
        return Ok(Duration::ZERO);
    }
    if let Ok(millis @ ..=MAX_LATENCY_MS) = u64::try_from(fields.id("latency_ms")?) {
        return Ok(Duration::from_millis(millis));
    }
    let problem = fields.wrong("latency_ms", &format!("must be 0 to {MAX_LATENCY_MS}"));
    Err(problem.limit(MAX_LATENCY_MS))
}

fn rate(fields: &Fields) -> Result<f64, Problem> {
    let rate = fields.text("error_rate")?;
    if rate.is_empty() {
        return Ok(0.0);
    }
    let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| fields.wrong("error_rate", "must be from 0 to 1, as 0.3"))
}
