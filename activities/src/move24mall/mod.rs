//! The services of move24mall, with real state in the schema `move`.
//!
//! Requests are deduplicated by the order they are for, also while two of them run at the
//! same time; an undo that comes first leaves a tombstone.

pub mod moveassign;
pub mod movemanage;
pub mod mover;

use hansom_core::Handlers;
use hansom_workflows::move_order::{
    CancelOrder, CancelRequest, ConfirmOrder, ConfirmRequest, PickMover, PlaceOrder, ReleaseMover,
    RequestAssignment,
};

use self::moveassign::AssignService;
use self::movemanage::ManageService;
use self::mover::MoverService;

impl MoverService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<PlaceOrder>(self.clone())
            .with::<ConfirmOrder>(self.clone())
            .with::<CancelOrder>(self.clone())
    }
}

impl ManageService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<RequestAssignment>(self.clone())
            .with::<ConfirmRequest>(self.clone())
            .with::<CancelRequest>(self.clone())
    }
}

impl AssignService {
    /// What it does for the saga.
    pub fn handlers(&self) -> Handlers {
        Handlers::default().with::<PickMover>(self.clone()).with::<ReleaseMover>(self.clone())
    }
}
