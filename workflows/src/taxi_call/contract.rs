//! What the saga needs of the call, payment and drive services.
//!
//! Every request is addressed by the call: a second request for the same call
//! changes nothing, and an undo that comes before its action makes the action
//! come too late. A call belongs to the run that registered it: what another
//! run asks of it is refused, and what it would undo is left alone.

use std::time::Duration;

use hansom_core::{Activity, ActivityError, ActivityOptions, Harmless, Never, RetryPolicy, Signal};
use serde::{Deserialize, Serialize};

use super::{Distance, Fare};
use crate::patience::{persistent, quick, synchronous};

/// A call. The façade draws it from a sequence before it starts the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub i64);

/// A payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayId(pub i64);

/// A drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DriveId(pub i64);

impl CallId {
    /// The id of the workflow that serves this call.
    pub fn workflow_id(self) -> String {
        format!("taxisvc.call.{}", self.0)
    }
}

/// What the rider asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call.
    pub call_id: CallId,
    /// Who calls, as the rider's app names them.
    pub user_id: String,
    /// What to call them; may be empty.
    pub user_name: String,
    /// How far they want to go.
    pub distance: Distance,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The call.
    pub call_id: CallId,
    /// How it was paid.
    pub pay_id: PayId,
    /// Who drove.
    pub drive_id: DriveId,
    /// What it cost.
    pub fare: Fare,
}

/// Where a call is. A call that is only registered has no status yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallStatus {
    /// Paid; a driver is asked for.
    DriveRequest,
    /// Not paid. Final.
    PayFail,
    /// Under way.
    DriveStart,
    /// Arrived. Final.
    DriveComplete,
    /// Cancelled, by the rider or for want of a driver. Final.
    RequestCancel,
}

impl CallStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DriveRequest => "driveRequest",
            Self::PayFail => "payFail",
            Self::DriveStart => "driveStart",
            Self::DriveComplete => "driveComplete",
            Self::RequestCancel => "requestCancel",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::DriveRequest,
            Self::PayFail,
            Self::DriveStart,
            Self::DriveComplete,
            Self::RequestCancel,
        ];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// Why a call may come to nothing.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallError {
    /// The fare was not paid, or nobody knows whether it was.
    #[error("payment {0}")]
    Payment(#[from] ActivityError<PaymentDeclined>),
    /// No driver.
    #[error("drive {0}")]
    Drive(#[from] ActivityError<DriveNotAvailable>),
    /// It belongs to another saga, or nobody knows whether it was registered.
    #[error("registration {0}")]
    Register(#[from] ActivityError<CallTaken>),
    /// The call service did not keep up.
    #[error("call {0}")]
    Call(#[from] ActivityError<Never>),
}

/// The call was registered, or cancelled, by another run. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the call belongs to another saga")]
pub struct CallTaken;

/// The payment service says no. Final for this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the payment was declined")]
pub struct PaymentDeclined;

/// No driver goes that far. Final for this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("no driver is available for this fare")]
pub struct DriveNotAvailable;

/// The driver has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndDrive {
    /// The drive that ends; the end of another drive is ignored.
    pub drive_id: DriveId,
}

impl Signal for EndDrive {
    const NAME: &'static str = "end_drive";
}

/// Write the call down. Undone by [`CancelCall`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterCall {
    /// What is asked for.
    #[serde(flatten)]
    pub call: Call,
}

impl Activity for RegisterCall {
    const NAME: &'static str = "register_call";
    type Output = ();
    type Error = CallTaken;

    fn options() -> ActivityOptions {
        quick()
    }
}

/// Take the fare. Undone by [`RefundFare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeFare {
    /// For which call.
    pub call_id: CallId,
    /// How much.
    pub fare: Fare,
}

impl Activity for ChargeFare {
    const NAME: &'static str = "charge_fare";
    type Output = PayId;
    type Error = PaymentDeclined;

    /// As the documents have it, whose second attempt comes later than elsewhere.
    fn options() -> ActivityOptions {
        let patience = synchronous();
        let retry = RetryPolicy {
            initial_interval: Duration::from_secs(2),
            maximum_interval: Duration::from_secs(5),
            ..patience.retry
        };
        ActivityOptions { retry, ..patience }
    }
}

/// Give the fare back; if it was never taken, see to it that it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFare {
    /// For which call.
    pub call_id: CallId,
}

impl Activity for RefundFare {
    const NAME: &'static str = "refund_fare";
    type Output = ();
    type Error = Never;
}

/// Tell the rider where the call is. A status only ever moves forward: a
/// request that comes late changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkCall {
    /// Which call.
    pub call_id: CallId,
    /// The new status; [`CallStatus::RequestCancel`] is [`CancelCall`]'s alone.
    pub status: CallStatus,
}

impl Activity for MarkCall {
    const NAME: &'static str = "mark_call";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for MarkCall {}

/// Mark the call cancelled, unless it is final already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelCall {
    /// Which call.
    pub call_id: CallId,
}

impl Activity for CancelCall {
    const NAME: &'static str = "cancel_call";
    type Output = ();
    type Error = Never;
}

/// Ask for a driver. Undone by [`ReleaseDrive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDrive {
    /// For which call.
    pub call_id: CallId,
    /// What the ride is worth.
    pub fare: Fare,
}

/// Who drives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// The drive.
    pub drive_id: DriveId,
    /// The driver.
    pub driver_name: String,
    /// The number plate.
    pub taxi_num: String,
}

impl Activity for RequestDrive {
    const NAME: &'static str = "request_drive";
    type Output = Drive;
    type Error = DriveNotAvailable;

    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Let the driver go; if none was found, see to it that none comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDrive {
    /// For which call.
    pub call_id: CallId,
}

impl Activity for ReleaseDrive {
    const NAME: &'static str = "release_drive";
    type Output = ();
    type Error = Never;
}

/// Close the drive: the rider has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteDrive {
    /// For which call.
    pub call_id: CallId,
}

impl Activity for CompleteDrive {
    const NAME: &'static str = "complete_drive";
    type Output = ();
    type Error = Never;

    fn options() -> ActivityOptions {
        persistent()
    }
}
