//! The services of taxisvc, with real state in the schema `taxisvc`.
//!
//! Each change of state commits together with its event and its projection,
//! in one statement. Requests are deduplicated by the call they are for, also
//! while two of them run at the same time.

pub mod call;
pub mod drive;
pub mod payment;
pub mod view;

use hansom_core::Handlers;
use hansom_workflows::taxi_call::{
    CancelCall, ChargeFare, CompleteDrive, MarkCall, RefundFare, RegisterCall, ReleaseDrive,
    RequestDrive,
};
use sqlx::PgPool;

use self::call::CallService;
use self::drive::DriveService;
use self::payment::PaymentService;
use self::view::Views;

/// All of it. Clones share their state.
#[derive(Clone, Debug)]
pub struct Taxisvc {
    /// Calls, and where they are.
    pub calls: CallService,
    /// Who paid what.
    pub payments: PaymentService,
    /// Who drives whom.
    pub drives: DriveService,
    /// What the rider sees, and the feed of events. Works while the others are down.
    pub views: Views,
}

impl Taxisvc {
    /// The services on a database that [`crate::migrator`] has prepared.
    pub fn new(pool: &PgPool) -> Self {
        Self {
            calls: CallService::new(pool.clone()),
            payments: PaymentService::new(pool.clone()),
            drives: DriveService::new(pool.clone()),
            views: Views::new(pool.clone()),
        }
    }

    /// What they do for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<RegisterCall>(self.calls.clone())
            .with::<MarkCall>(self.calls.clone())
            .with::<CancelCall>(self.calls.clone())
            .with::<ChargeFare>(self.payments.clone())
            .with::<RefundFare>(self.payments.clone())
            .with::<RequestDrive>(self.drives.clone())
            .with::<ReleaseDrive>(self.drives.clone())
            .with::<CompleteDrive>(self.drives.clone())
    }
}
