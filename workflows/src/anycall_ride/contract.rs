//! What the ride needs of the call, taxi and membership services.
//!
//! Every request is addressed by the call: a second request for the same call changes nothing,
//! and an undo that comes before its action makes the action come too late. What is written for
//! a call belongs to the run that wrote it first: another run changes nothing of it.

use hansom_core::{Activity, ActivityOptions, Harmless, Never};
use serde::{Deserialize, Serialize};

use super::{Call, CallId, MemberId};
use crate::patience::persistent;
use crate::payment::{Payer, Won};

/// Gives activities that are tried until they succeed their names and answers.
macro_rules! persistent {
    ($($activity:ty = $name:literal -> $output:ty;)+) => {$(
        impl Activity for $activity {
            const NAME: &'static str = $name;
            type Output = $output;
            type Error = Never;

            fn options() -> ActivityOptions {
                persistent()
            }
        }
    )+};
}

persistent! {
    MarkCancelled = "mark_cancelled" -> ();
    OpenDispatch = "open_dispatch" -> ();
    AttachMember = "attach_member" -> ();
    AssignTaxi = "assign_taxi" -> ();
    MarkStarted = "mark_started" -> ();
    MarkEnded = "mark_ended" -> ();
    ReviewCall = "review_call" -> ();
    ScoreTaxi = "score_taxi" -> ();
    RecordTrip = "record_trip" -> TripCount;
}

/// Write the call down: 택시호출. Undone by [`WithdrawCall`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceCall {
    /// What is asked for.
    #[serde(flatten)]
    pub call: Call,
}

/// The call was placed, or withdrawn, by another run. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the call belongs to another ride")]
pub struct CallTaken;

impl Activity for PlaceCall {
    const NAME: &'static str = "place_call";
    type Output = ();
    type Error = CallTaken;

    /// The customer has been told that the call is accepted.
    fn options() -> ActivityOptions {
        persistent()
    }
}

/// Mark the call 호출취소, whether it was placed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawCall {
    /// Which call.
    pub call_id: CallId,
}

impl Activity for WithdrawCall {
    const NAME: &'static str = "withdraw_call";
    type Output = ();
    type Error = Never;
}

/// Mark a call that was placed 호출취소, before anything is undone: the customer looks there
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkCancelled {
    /// Which call.
    pub call_id: CallId,
}

impl Harmless for MarkCancelled {}

/// Show the call to the taxis: 택시호출. Undone by [`CloseDispatch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDispatch {
    /// What is asked for.
    #[serde(flatten)]
    pub call: Call,
}

/// Show it no more: 택시호출취소; if it never was shown, see to it that it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseDispatch {
    /// Which call.
    pub call_id: CallId,
}

impl Activity for CloseDispatch {
    const NAME: &'static str = "close_dispatch";
    type Output = ();
    type Error = Never;
}

/// Look a member up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadMember {
    /// Whom.
    pub member_id: MemberId,
}

/// A member, as far as a ride concerns them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What to call them.
    pub name: String,
    /// Their own number.
    pub phone_number: String,
    /// The card that pays, as it may be shown: its number is nobody's but the membership's.
    pub masked_card: String,
    /// Who is to know where they are; empty when nobody is.
    pub friend_phone_number: String,
}

/// A member who can pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rider {
    /// Who.
    pub member: Member,
    /// Their card; another is another.
    pub payer: Payer,
}

/// There is no such member, or they have no card. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("nobody who can pay is registered under this number")]
pub struct MemberGone;

impl Activity for LoadMember {
    const NAME: &'static str = "load_member";
    type Output = Rider;
    type Error = MemberGone;

    fn options() -> ActivityOptions {
        persistent()
    }
}

impl Harmless for LoadMember {}

/// Tell the dispatch who calls. What it writes is closed with the dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachMember {
    /// Which call.
    pub call_id: CallId,
    /// Who calls.
    pub member: Member,
}

impl Harmless for AttachMember {}

/// A taxi, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taxi {
    /// The number plate.
    pub taxi_number: String,
    /// Company, driver, kind.
    pub taxi_info: String,
}

/// Give the call to a taxi: 배정됨. Undone by [`UnassignTaxi`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignTaxi {
    /// Which call.
    pub call_id: CallId,
    /// Which taxi.
    pub taxi: Taxi,
}

/// Take the call from its taxi; if none has it, see to it that none gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnassignTaxi {
    /// Which call.
    pub call_id: CallId,
}

impl Activity for UnassignTaxi {
    const NAME: &'static str = "unassign_taxi";
    type Output = ();
    type Error = Never;
}

/// Under way: 운행시작. What was driven stays driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkStarted {
    /// Which call.
    pub call_id: CallId,
}

impl Harmless for MarkStarted {}

/// Arrived and paid: 운행종료.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkEnded {
    /// Which call.
    pub call_id: CallId,
    /// What was paid.
    pub pay_amt: Won,
}

/// Mark the call 서비스평가.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCall {
    /// Which call.
    pub call_id: CallId,
}

/// Tell the taxi how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreTaxi {
    /// Which call.
    pub call_id: CallId,
    /// As the customer wrote it.
    pub estimate_score: String,
}

/// Count the trip among those of its member, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTrip {
    /// Which call.
    pub call_id: CallId,
    /// Whose.
    pub member_id: MemberId,
    /// What it cost.
    pub pay_amt: Won,
}

/// How many trips a member has made, this one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TripCount(pub i64);
