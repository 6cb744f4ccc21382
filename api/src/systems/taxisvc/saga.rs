//! What the façade asks of the engine, and waits for.

use std::time::{Duration, Instant};

use hansom_core::{ActivityError, Status};
use hansom_engine::ClientError;
use hansom_workflows::taxi_call::{
    Call, CallError, CallId, CallStatus, CallTaken, DriveId, EndDrive, TaxiCall,
};

use super::Facade;
use super::drives::Shown;
use crate::http::problem::Problem;

/// Longer than both attempts to charge and the wait between them.
const PATIENCE_PLACE: Duration = Duration::from_secs(10);

/// A server that is being stopped has handed the saga over: its answer is
/// worth a short wait, for a call that is repeated is a second call.
const PATIENCE_DRAIN: Duration = Duration::from_secs(3);

/// What comes after a cancel or an end is quick, while all services are up.
const PATIENCE_SETTLE: Duration = Duration::from_secs(5);

/// How often is looked without a hint: another process may own the workflow.
const LOOK: Duration = Duration::from_millis(200);

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

/// What became of a cancel.
pub(super) enum Cancelled {
    /// Nothing is left to do.
    Settled,
    /// It is on its way.
    Pending,
    /// The call is past its point of no return.
    TooLate,
}

impl Facade {
    /// Starts the saga, and waits until the payment is decided.
    pub(super) async fn place(&self, call: &Call) -> Result<Placed, Problem> {
        let (client, id) = (self.api.client(), call.call_id.workflow_id());
        let run = match client.start::<TaxiCall>(&id, call).await {
            Ok(started) if !started.existing => started.run.to_string(),
            Ok(_) | Err(ClientError::InputConflict { .. }) => return Ok(Placed::Taken),
            Err(error) => return Err(error.into()),
        };
        let mut news = client.watch(&id).await?;
        let mut deadline = Instant::now() + PATIENCE_PLACE;
        let mut drain_deadline = None;
        loop {
            if let Some(placed) = self.placed(call.call_id, &run).await? {
                return Ok(placed);
            }
            let now = Instant::now();
            if self.api.is_draining() {
                deadline = deadline.min(*drain_deadline.get_or_insert(now + PATIENCE_DRAIN));
            }
            if now >= deadline {
                return Ok(Placed::Pending);
            }
            news.changed(LOOK.min(deadline - now)).await;
        }
    }

    async fn placed(&self, id: CallId, run: &str) -> Result<Option<Placed>, Problem> {
        let call = self.taxi.calls.get_of(id, run).await?;
        match call.map(|call| (call.placed, call.status)) {
            Some((true, _)) => Ok(Some(Placed::Paid)),
            Some((false, Some(CallStatus::PayFail))) => {
                let declined = self.taxi.payments.declined(id).await?;
                Ok(Some(if declined { Placed::Declined } else { Placed::Unpaid }))
            }
            Some((false, Some(_))) => Ok(Some(Placed::Cancelled)),
            Some((false, None)) => Ok(None),
            None => self.unregistered(id).await,
        }
    }

    async fn unregistered(&self, id: CallId) -> Result<Option<Placed>, Problem> {
        let (client, id) = (self.api.client(), id.workflow_id());
        match client.describe(&id).await?.status {
            Status::Running => Ok(None),
            Status::Failed => {
                let error = client.result(&id, Duration::ZERO).await?.error;
                let error = error.and_then(|error| error.decode::<CallError>().ok());
                let taken = CallError::Register(ActivityError::Refused(CallTaken));
                Ok(Some(if error == Some(taken) { Placed::Taken } else { Placed::Nowhere }))
            }
            _ => Ok(Some(Placed::Nowhere)),
        }
    }

    /// Cancels the saga, and waits a little until all it did is undone.
    pub(super) async fn cancel(&self, id: CallId) -> Result<Cancelled, Problem> {
        let id = id.workflow_id();
        match self.api.client().cancel(&id, Some("the rider cancelled")).await {
            Ok(_) => {}
            Err(ClientError::NotFound(_)) => return Ok(Cancelled::Settled),
            Err(ClientError::AfterPivot(_)) => return Ok(Cancelled::TooLate),
            Err(ClientError::Closed { status, .. }) => {
                let completed = status == Status::Completed;
                return Ok(if completed { Cancelled::TooLate } else { Cancelled::Settled });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(match self.closed(&id).await? {
            // The driver arrived while the cancel was on its way.
            Some(Status::Completed) => Cancelled::TooLate,
            Some(_) => Cancelled::Settled,
            None => Cancelled::Pending,
        })
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
        let signalled = self
            .api
            .client()
            .signal::<EndDrive>(&id, &EndDrive { drive_id }, Some(&signal_id))
            .await;
        match signalled {
            Ok(()) => {}
            Err(ClientError::NotFound(_) | ClientError::Closed { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        if self.closed(&id).await?.is_some() {
            return Ok(true);
        }
        Ok(self.drive(drive_id).await?.is_none_or(|drive| !drive.is_under_way()))
    }

    /// How it closed, if it does so soon.
    async fn closed(&self, id: &str) -> Result<Option<Status>, Problem> {
        let result = tokio::select! {
            result = self.api.client().result(id, PATIENCE_SETTLE) => result,
            () = self.api.drained() => return Ok(None),
        };
        match result {
            Ok(outcome) => Ok(Some(outcome.status)),
            Err(ClientError::StillOpen(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
