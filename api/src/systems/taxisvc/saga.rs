//! What the façade asks of the engine, and waits for.

use std::time::Duration;

use hansom_core::{ActivityError, Cause, Command, Event, Status};
use hansom_engine::{ClientError, HistoryEvent};
use hansom_workflows::taxi_call::{
    Call, CallError, CallId, CallStatus, CallTaken, CallViews, DriveId, EndDrive, TaxiCall,
};
use serde_json::{Map, Value};

use super::drives::Shown;
use super::{Facade, kinds};
use crate::http::problem::Problem;
use crate::systems::key::Key;
use crate::systems::sagas::Begun;

/// Longer than all attempts to write the call down and to charge it, and the waits between them:
/// 12.4 s and 3.3 s. What comes then is told.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a call that was just placed.
pub(super) enum Placed {
    /// It is paid, and a driver is asked for.
    Paid,
    /// The payment service said no.
    Declined,
    /// The payment service did not answer.
    Unpaid,
    /// Someone cancelled it first.
    Cancelled,
    /// Its id belongs to another saga, which someone started by hand.
    Taken,
    /// Someone closed it where it was: nothing of it is undone.
    Terminated,
    /// It failed before its payment was decided: it could not be written down. What it may have
    /// left may still be being undone.
    Nowhere,
    /// None of it, so far.
    Pending,
}

/// What the row of a call says of its payment.
fn placed(row: &Map<String, Value>) -> Option<Placed> {
    if row.get("placed") == Some(&Value::Bool(true)) {
        return Some(Placed::Paid);
    }
    let failed = row.get("callStatus")? == CallStatus::PayFail.as_str();
    failed.then(|| unpaid(row).unwrap_or(Placed::Unpaid))
}

/// The same of what was not paid, also while the call cannot be marked so.
fn unpaid(row: &Map<String, Value>) -> Option<Placed> {
    match row.get("payment")?.as_str()? {
        "declined" => Some(Placed::Declined),
        "unanswered" => Some(Placed::Unpaid),
        _ => None,
    }
}

impl Facade {
    /// Starts the saga, and waits until the payment is decided.
    pub(super) async fn place(&self, call: &Call, key: &Key) -> Result<Placed, Problem> {
        let id = call.call_id.workflow_id();
        let begun =
            self.sagas.begin::<CallViews, _>((&id, call), key, PATIENCE, PartialEq::eq, placed);
        Ok(match begun.await? {
            Begun::Decided(placed) => placed,
            Begun::Ended => self.ended(&id).await?,
            // Whether its row can be read or not, it is on its way.
            Begun::Pending => match self.row(call.call_id).await {
                Ok(row) => row.as_ref().and_then(unpaid).unwrap_or(Placed::Pending),
                Err(_) => Placed::Pending,
            },
            Begun::Taken => Placed::Taken,
        })
    }

    /// Why a call came to its end before its payment was decided.
    async fn ended(&self, id: &str) -> Result<Placed, Problem> {
        Ok(match self.sagas.closed(id).await? {
            Some(Status::Failed) => {
                let error = self.sagas.error::<TaxiCall>(id).await?;
                let taken = CallError::Register(ActivityError::Refused(CallTaken));
                if error == Some(taken) { Placed::Taken } else { Placed::Nowhere }
            }
            Some(Status::Cancelled) => Placed::Cancelled,
            Some(Status::Terminated) => Placed::Terminated,
            Some(_) | None if self.is_cancelled(id).await? => Placed::Cancelled,
            Some(_) | None => Placed::Nowhere,
        })
    }

    /// Whether it unwinds because someone asked for that. The history of a call that is not paid
    /// yet is short.
    async fn is_cancelled(&self, id: &str) -> Result<bool, Problem> {
        let history = self.sagas.client().history(id, None, 100).await?;
        let cancelled = |event: &HistoryEvent| {
            matches!(event.what, Event::Asked(Command::Unwind { cause: Cause::Cancelled }))
        };
        Ok(history.items.iter().any(cancelled))
    }

    /// Where the call is, as its row says.
    pub(super) async fn status(&self, id: CallId) -> Result<Option<CallStatus>, Problem> {
        let row = self.row(id).await?;
        Ok(row.and_then(|row| CallStatus::parse(row.get("callStatus")?.as_str()?)))
    }

    async fn row(&self, id: CallId) -> Result<Option<Map<String, Value>>, Problem> {
        let record = self.sagas.client().view::<CallViews>(id.0).await?;
        let ours = record.filter(|record| record.workflow_id == id.workflow_id());
        Ok(ours.map(|record| record.row))
    }

    /// The drive of that id, as its service shows it.
    pub(super) async fn drive(&self, id: DriveId) -> Result<Option<Shown>, Problem> {
        self.drives.look(&format!("/drives/{}", id.0)).await
    }

    /// Tells the saga that the driver has arrived, and waits a little until
    /// the drive has ended.
    pub(super) async fn end(&self, drive_id: DriveId, call_id: CallId) -> Result<bool, Problem> {
        let id = call_id.workflow_id();
        // The same for every repetition: a drive ends once.
        let signal_id = format!("end_drive.{}", drive_id.0);
        let end = EndDrive { drive_id };
        let client = self.sagas.client();
        match client.signal::<EndDrive>(&id, &end, Some(&signal_id)).await {
            Ok(()) => {}
            Err(ClientError::Closed { status: Status::Terminated, .. }) => {
                return Err(terminated(call_id));
            }
            Err(ClientError::NotFound(_) | ClientError::Closed { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        match self.sagas.closed(&id).await? {
            Some(Status::Terminated) => Err(terminated(call_id)),
            Some(_) => Ok(true),
            None => Ok(self.drive(drive_id).await?.is_none_or(|drive| !drive.is_under_way())),
        }
    }
}

/// Nobody ends or undoes what was left so.
pub(super) fn terminated(call: CallId) -> Problem {
    let detail = format!("call {} was terminated by an operator, and is left as it was", call.0);
    Problem::new(kinds::CALL_TERMINATED, detail)
}
