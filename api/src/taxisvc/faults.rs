//! The fault switches, for trying things out.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use hansom_activities::faults::{Faults, Switches};
use serde_json::{Value, json};

use super::fields::Fields;
use super::{Facade, kinds};
use crate::http::problem::{Problem, did_you_mean, echo};

const SERVICES: [&str; 3] = ["call", "payment", "drive"];
const SWITCHES: [&str; 4] = ["down", "latency_ms", "decline", "lose_answer"];

/// Longer than any time limit of the saga.
const MAX_LATENCY_MS: u64 = 600_000;

impl Facade {
    fn switches(&self, service: &str) -> Result<&Switches, Problem> {
        match service {
            "call" => Ok(&self.taxi.calls.faults),
            "payment" => Ok(&self.taxi.payments.faults),
            "drive" => Ok(&self.taxi.drives.faults),
            _ => {
                let near = did_you_mean(service, SERVICES);
                let there = SERVICES.join(", ");
                let detail =
                    format!("there is no service {}{near} (there are: {there})", echo(service));
                Err(Problem::new(kinds::NOT_FOUND, detail))
            }
        }
    }
}

pub(super) async fn all(State(facade): State<Facade>) -> Json<Value> {
    Json(json!({
        "call": facade.taxi.calls.faults.get(),
        "payment": facade.taxi.payments.faults.get(),
        "drive": facade.taxi.drives.faults.get(),
    }))
}

pub(super) async fn show(
    State(facade): State<Facade>,
    Path(service): Path<String>,
) -> Result<Json<Faults>, Problem> {
    Ok(Json(facade.switches(&service)?.get()))
}

/// Sets all switches of a service: those not named are off.
pub(super) async fn set(
    State(facade): State<Facade>,
    Path(service): Path<String>,
    fields: Fields,
) -> Result<Json<Faults>, Problem> {
    let switches = facade.switches(&service)?;
    fields.only(&SWITCHES)?;
    let faults = Faults {
        down: fields.flag("down")?,
        latency: latency(&fields)?,
        decline: fields.flag("decline")?,
        lose_answer: fields.flag("lose_answer")?,
    };
    if faults.decline && service != "payment" {
        return Err(fields.wrong("decline", "must be false: only the payment service can decline"));
    }
    switches.set(faults);
    tracing::info!(service, ?faults, "taxisvc.faults_set");
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
