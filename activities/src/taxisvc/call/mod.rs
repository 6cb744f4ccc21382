//! The call service: what was called, and where it is.

mod store;

use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::taxi_call::{
    CallId, CallStatus, CallTaken, CancelCall, Distance, MarkCall, RegisterCall,
};
use sqlx::PgPool;

use self::store::{Move, Store};
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct CallService {
    store: Store,
}

/// A call as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub call_id: CallId,
    /// Who called.
    pub user_id: String,
    /// What to call them.
    pub user_name: String,
    /// How far.
    pub distance: Distance,
    /// Where it is; none until it is paid or not.
    pub status: Option<CallStatus>,
}

/// A status of before it is paid or not, as the guards write it.
const REGISTERED: &str = "registered";
const DRIVE_REQUEST: &str = CallStatus::DriveRequest.as_str();
const DRIVE_START: &str = CallStatus::DriveStart.as_str();

/// The statuses from which a call may be marked with this one. Never from one
/// that is final, so a mark that comes late, or twice, changes nothing.
fn guard(status: CallStatus) -> &'static [&'static str] {
    match status {
        CallStatus::DriveRequest | CallStatus::PayFail => &[REGISTERED],
        CallStatus::DriveStart => &[DRIVE_REQUEST],
        CallStatus::DriveComplete => &[DRIVE_REQUEST, DRIVE_START],
        CallStatus::RequestCancel => &[REGISTERED, DRIVE_REQUEST, DRIVE_START],
    }
}

/// What is published when a call gets this status.
fn event(status: CallStatus) -> Option<&'static str> {
    match status {
        CallStatus::DriveRequest => Some("CallPlaced"),
        CallStatus::RequestCancel => Some("CallCancelled"),
        _ => None,
    }
}

impl CallService {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// The call of that id.
    pub async fn get(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        self.store.get(id).await
    }

    /// All calls, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Call>, StoreError> {
        self.store.list(page).await
    }
}

async fn move_to(
    store: &Store,
    call_id: CallId,
    run: &str,
    to: CallStatus,
) -> Result<(), Failure<Never>> {
    let step = Move { to: to.as_str(), from: guard(to), event: event(to) };
    Ok(store.move_to(call_id, run, step).await?)
}

impl Handler<RegisterCall> for CallService {
    async fn handle(
        &self,
        ask: RegisterCall,
        cx: ActivityContext,
    ) -> Result<(), Failure<CallTaken>> {
        let ours = self.store.register(&ask.call, &cx.run).await?;
        if ours { Ok(()) } else { Err(Failure::Refused(CallTaken)) }
    }
}

impl Handler<MarkCall> for CallService {
    async fn handle(&self, ask: MarkCall, cx: ActivityContext) -> Result<(), Failure<Never>> {
        move_to(&self.store, ask.call_id, &cx.run, ask.status).await
    }
}

impl Handler<CancelCall> for CallService {
    async fn handle(&self, ask: CancelCall, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.store.cancel_unregistered(ask.call_id, &cx.run).await?;
        move_to(&self.store, ask.call_id, &cx.run, CallStatus::RequestCancel).await
    }
}
