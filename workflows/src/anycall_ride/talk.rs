//! What a ride is asked and told from outside, and what it says of itself.

use std::time::Duration;

use hansom_core::{ActivityError, Never, Signal, Update};
use serde::{Deserialize, Serialize};

use super::{CallTaken, MemberGone, Taxi};
use crate::payment::{PaymentId, Won};

/// A call. The façade draws it from a sequence before it starts the ride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub i64);

impl CallId {
    /// The id of the workflow that serves this call.
    pub fn workflow_id(self) -> String {
        format!("anycall.call.{}", self.0)
    }
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub i64);

/// What the customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call.
    pub call_id: CallId,
    /// Who calls.
    pub member_id: MemberId,
    /// Where they are reached while they wait and ride.
    pub phone_number: String,
    /// From where.
    pub start_address: String,
    /// To where.
    pub end_address: String,
}

/// What a ride is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ride {
    /// What is asked for.
    #[serde(flatten)]
    pub call: Call,
    /// How long things take.
    pub terms: Terms,
}

/// How long the ride waits for what; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// From one notice that a taxi is still looked for to the next. Default 30 s.
    pub notice_every_ms: u64,
    /// A call that no taxi took for so long is given up. Default 2 h.
    pub give_up_after_ms: u64,
    /// A taxi that has not started for so long since it was assigned is let go. Default 1 h.
    pub no_show_after_ms: u64,
    /// So long a ride may be reviewed. Default 7 d.
    pub review_for_ms: u64,
}

/// The most notices of one search: each is a handful of events of its history, which has to have
/// room for the positions of a day as well.
const NOTICES: u64 = 1_000;

impl Default for Terms {
    fn default() -> Self {
        Self {
            notice_every_ms: 30_000,
            give_up_after_ms: 2 * 3_600_000,
            no_show_after_ms: 3_600_000,
            review_for_ms: 7 * 24 * 3_600_000,
        }
    }
}

impl Terms {
    /// At least a tenth of a second, for each notice costs a saga; and so that what is given up
    /// has not filled its history with them.
    pub(super) fn notice_every(self) -> Duration {
        Duration::from_millis(self.notice_every_ms.max(100).max(self.give_up_after_ms / NOTICES))
    }

    pub(super) fn give_up_after(self) -> Duration {
        Duration::from_millis(self.give_up_after_ms)
    }

    pub(super) fn no_show_after(self) -> Duration {
        Duration::from_millis(self.no_show_after_ms)
    }

    pub(super) fn review_for(self) -> Duration {
        Duration::from_millis(self.review_for_ms)
    }
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// The call.
    pub call_id: CallId,
    /// How it was paid.
    pub payment_id: PaymentId,
    /// What it cost.
    pub pay_amt: Won,
    /// How it was found, if the customer said.
    pub estimate_score: Option<String>,
}

/// Why a ride may come to nothing.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RideError {
    /// No taxi took it in time.
    #[error("no taxi took the call")]
    NoTaxi,
    /// The taxi that took it did not come.
    #[error("the taxi did not come")]
    NoShow,
    /// It belongs to another run, or nobody knows whether it was placed.
    #[error("call {0}")]
    Place(#[from] ActivityError<CallTaken>),
    /// Nobody would pay.
    #[error("member {0}")]
    Member(#[from] ActivityError<MemberGone>),
    /// A service did not keep up.
    #[error("step {0}")]
    Step(#[from] ActivityError<Never>),
}

/// Where a ride is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// No taxi has it yet.
    Unassigned,
    /// A taxi is on its way.
    Assigned,
    /// Under way.
    InService,
    /// Arrived and paid; it may be reviewed.
    Ended,
    /// Reviewed, or too late for that.
    Over,
}

impl Stage {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "not assigned",
            Self::Assigned => "assigned",
            Self::InService => "in service",
            Self::Ended => "ended",
            Self::Over => "over",
        }
    }
}

/// Why a ride does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is too early for that, or too late.
    #[error("the ride is {}", .0.as_str())]
    Stage(Stage),
    /// The card was declined. The ride stays open: another card may be registered.
    #[error("the card was declined")]
    Declined,
    /// Payment did not keep up. The ride stays open.
    #[error("payment is unavailable")]
    Unavailable,
    /// Of an earlier attempt nobody knows yet whether it was paid: only the same amount may be
    /// asked for until that is known.
    #[error("{} won were asked for, and may have been paid: ask for the same", .0.0)]
    Stands(Won),
    /// The account of the ride belongs to another run, or was refunded: it cannot be paid any more.
    #[error("the account of the ride is closed")]
    Closed,
    /// Nothing is charged for that.
    #[error("the amount must be 1 to {}", Won::MOST.0)]
    Amount,
}

/// A driver takes the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverAccept {
    /// With which taxi.
    #[serde(flatten)]
    pub taxi: Taxi,
}

/// The customer does not want it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerCancel {}

/// The customer is on board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RideStart {}

/// They have arrived; the ride ends when it is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RideEnd {
    /// What it costs.
    pub pay_amt: Won,
}

/// How the customer found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// As the customer wrote it.
    pub estimate_score: String,
}

/// Gives the updates their names and answers.
macro_rules! updates {
    ($($update:ty = $name:literal -> $output:ty;)+) => {$(
        impl Update for $update {
            const NAME: &'static str = $name;
            type Output = $output;
            type Error = Refusal;
        }
    )+};
}

updates! {
    DriverAccept = "driver_accept" -> ();
    CustomerCancel = "customer_cancel" -> ();
    RideStart = "ride_start" -> ();
    RideEnd = "ride_end" -> PaymentId;
    Review = "review" -> ();
}

/// Where the taxi is. Kept for the view, and costs an event of the history each: whoever sends
/// them sees to it that they are few.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Signal for Position {
    const NAME: &'static str = "position";
}
