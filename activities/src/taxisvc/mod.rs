//! The services of taxisvc, with real state in the schema `taxisvc`.
//!
//! Each change of state commits together with its event, in one statement. Requests are deduplicated by the call they are for, also
//! while two of them run at the same time.

pub mod call;
pub mod drive;
pub mod feed;
pub mod payment;

use hansom_core::Handlers;
use hansom_workflows::taxi_call::{
    CancelCall, ChargeFare, CompleteDrive, MarkCall, RefundFare, RegisterCall, ReleaseDrive,
    RequestDrive,
};
use sqlx::PgPool;

use self::call::CallService;
use self::drive::DriveService;
use self::feed::Feed;
use self::payment::PaymentService;
use crate::faults::Switches;

/// All of it. Clones share their state.
#[derive(Clone, Debug)]
pub struct Taxisvc {
    /// Calls, and where they are.
    pub calls: CallService,
    /// Who paid what.
    pub payments: PaymentService,
    /// Who drives whom.
    pub drives: DriveService,
    /// The feed of events. Works while the others are down.
    pub feed: Feed,
}

impl Taxisvc {
    /// The services on a database that [`crate::migrator`] has prepared; the payment service
    /// declines as `payment` says.
    pub fn new(pool: &PgPool, payment: Switches) -> Self {
        Self {
            calls: CallService::new(pool.clone()),
            payments: PaymentService::new(pool.clone(), payment),
            drives: DriveService::new(pool.clone()),
            feed: Feed::new(pool.clone()),
        }
    }
}

impl CallService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<RegisterCall>(self.clone())
            .with::<MarkCall>(self.clone())
            .with::<CancelCall>(self.clone())
    }
}

impl PaymentService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default().with::<ChargeFare>(self.clone()).with::<RefundFare>(self.clone())
    }
}

impl DriveService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<RequestDrive>(self.clone())
            .with::<ReleaseDrive>(self.clone())
            .with::<CompleteDrive>(self.clone())
    }
}
