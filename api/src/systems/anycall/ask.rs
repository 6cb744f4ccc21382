//! What the façade asks of a ride, and waits for.

use std::time::Duration;

use axum::response::Response;
use hansom_activities::anycall::taxi::Dispatch;
use hansom_core::{Status, Update};
use hansom_engine::ClientError;
use hansom_workflows::anycall_ride::{CallId, Refusal, Stage, TaxiStatus};

use super::{Facade, kinds};
use crate::http::errors::draining;
use crate::http::problem::Problem;
use crate::systems::downstream::Downstream;
use crate::systems::hal::{self, Base};
use crate::systems::key::Key;
use crate::systems::kinds::FIELD;

/// Longer than all attempts to charge, and to find out whether it was charged.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is asked of which ride, and by whom.
pub(super) struct Asked {
    pub(super) call_id: CallId,
    pub(super) base: Base,
    pub(super) key: Key,
}

/// Why it did not happen.
pub(super) enum Not {
    /// It is not where this may be asked; it may have happened before.
    Due(Problem),
    /// Anything else.
    Else(Problem),
}

impl From<Not> for Problem {
    fn from(not: Not) -> Self {
        match not {
            Not::Due(problem) | Not::Else(problem) => problem,
        }
    }
}

impl Facade {
    /// Asks, and waits for the ride's answer.
    pub(super) async fn ask<U: Update<Error = Refusal>>(
        &self,
        asked: &Asked,
        update: &U,
    ) -> Result<U::Output, Not> {
        self.sagas.refuse_while_draining().map_err(Not::Else)?;
        let (id, client) = (asked.call_id.workflow_id(), self.sagas.client());
        let words = serde_json::to_vec(update).expect("an update has a JSON form");
        let key = asked.key.id(U::NAME, &words);
        let answer = tokio::select! {
            answer = client.update(&id, update, key.as_deref(), PATIENCE) => answer,
            () = self.sagas.drained() => return Err(Not::Else(draining())),
        };
        match answer {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(Refusal::Stage(stage))) => Err(Not::Due(not_due(asked, stage))),
            Ok(Err(refusal)) => Err(Not::Else(refused(asked, refusal))),
            Err(ClientError::Closed { status, .. }) => Err(Not::Due(over(asked.call_id, status))),
            Err(ClientError::NotFound(_)) => {
                Err(Not::Else(hal::not_found_as("call", asked.call_id.0)))
            }
            Err(ClientError::StillOpen(_)) => Err(self.unanswered(asked).await),
            Err(error) => Err(Not::Else(error.into())),
        }
    }

    /// A ride that unwinds answers nothing any more; any other may yet.
    async fn unanswered(&self, asked: &Asked) -> Not {
        match self.sagas.client().describe(&asked.call_id.workflow_id()).await {
            Ok(ride) if ride.status == Status::Compensating => {
                Not::Due(over(asked.call_id, ride.status))
            }
            Ok(_) => Not::Else(pending(asked)),
            Err(error) => Not::Else(error.into()),
        }
    }

    /// The row of the taxis, as their service shows it.
    pub(super) async fn dispatch(&self, id: CallId) -> Result<Option<Dispatch>, Problem> {
        self.taxis.look(&format!("/taxis/{}", id.0)).await
    }
}

impl Asked {
    /// Answers with a resource as it is now, or with nothing.
    pub(super) async fn shown(&self, of: &Downstream, path: &str) -> Response {
        of.shown(&self.base, path).await
    }
}

/// Whether the taxi is at that status, as [`Dispatch::taxi_status`] has it.
pub(super) fn is_at(row: &Dispatch, status: TaxiStatus) -> bool {
    row.taxi_status.as_deref() == Some(status.as_str())
}

fn not_due(Asked { call_id, key, .. }: &Asked, stage: Stage) -> Problem {
    key.stands(kinds::STAGE, &format!("call {} is {}", call_id.0, stage.as_str()))
}

fn over(call: CallId, status: Status) -> Problem {
    let how = match status {
        Status::Completed => "has ended",
        Status::Terminated => "was terminated by an operator",
        _ => "was cancelled",
    };
    Problem::new(kinds::OVER, format!("call {} {how}", call.0))
}

fn pending(asked: &Asked) -> Problem {
    let call = asked.call_id.0;
    let about = format!("call {call}: it was asked for, and is done when its services answer");
    asked.key.pending(kinds::PENDING, &about)
}

fn refused(asked: &Asked, refusal: Refusal) -> Problem {
    let Asked { call_id, key, .. } = asked;
    let open = |why: &str| format!("call {}: {why}; the ride stays open", call_id.0);
    let why = open(&refusal.to_string());
    match refusal {
        Refusal::Declined => key.stands(kinds::DECLINED, &why),
        Refusal::Unavailable => {
            key.refused(kinds::PAYMENT_UNAVAILABLE, &open("payment did not answer"))
        }
        Refusal::Closed => key.stands(kinds::CLOSED, &why),
        Refusal::Stands(_) => key.stands(kinds::STANDS, &why).field("/payAmt"),
        Refusal::Amount => key.stands(FIELD, &refusal.to_string()).field("/payAmt"),
        Refusal::Stage(stage) => not_due(asked, stage),
    }
}
