//! What the façade asks of the engine, and waits for.

use std::time::Duration;

use hansom_core::{ActivityError, Status};
use hansom_engine::ClientError;
use hansom_workflows::taxi_call::{
    Call, CallError, CallId, CallStatus, CallTaken, CallViews, DriveId, EndDrive, TaxiCall,
};
use serde_json::{Map, Value};

use super::Facade;
use super::drives::Shown;
use crate::http::problem::Problem;
use crate::systems::key::Key;
use crate::systems::sagas::Begun;

/// Longer than both attempts to charge and the wait between them.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// It could not even be registered.
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
    let declined = row.get("payment")? == "declined";
    failed.then_some(if declined { Placed::Declined } else { Placed::Unpaid })
}

impl Facade {
    /// Starts the saga, and waits until the payment is decided.
    pub(super) async fn place(&self, call: &Call, key: &Key) -> Result<Placed, Problem> {
        let id = call.call_id.workflow_id();
        Ok(match self.sagas.begin::<CallViews, _>(&id, call, key, PATIENCE, placed).await? {
            Begun::Decided(placed) => placed,
            Begun::Ended => self.ended(&id).await?,
            Begun::Pending => Placed::Pending,
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
            Some(_) => Placed::Nowhere,
            None => Placed::Pending,
        })
    }

    /// Where the call is, as its row says.
    pub(super) async fn status(&self, id: CallId) -> Result<Option<CallStatus>, Problem> {
        let record = self.sagas.client().view::<CallViews>(id.0).await?;
        let ours = record.filter(|record| record.workflow_id == id.workflow_id());
        let status =
            ours.and_then(|record| record.row.get("callStatus")?.as_str().map(str::to_owned));
        Ok(status.as_deref().and_then(CallStatus::parse))
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
            Err(ClientError::NotFound(_) | ClientError::Closed { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        if self.sagas.closed(&id).await?.is_some() {
            return Ok(true);
        }
        Ok(self.drive(drive_id).await?.is_none_or(|drive| !drive.is_under_way()))
    }
}
