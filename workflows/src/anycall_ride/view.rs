//! What the customer sees of a ride, in one place, from the call to the review.

use hansom_core::{Fact, Patch, View};

use super::{
    AnycallRide, AssignTaxi, CallStatus, LoadMember, MarkCancelled, MarkEnded, MarkStarted,
    PlaceCall, Position, ReviewCall, Ride, Rider, ScoreTaxi, TaxiStatus, UnassignTaxi,
    WithdrawCall,
};

/// `/taxiServiceInfos`: the call, its member, its taxi and where that is. `callStatus` is null of
/// a call that is not placed yet, `taxiStatus` of one that no taxi has; the card is
/// masked.
pub struct TaxiServiceInfos;

const CALL_STATUS: &str = "callStatus";
const TAXI_STATUS: &str = "taxiStatus";
/// What is not known from the start.
const LATER: [&str; 12] = [
    CALL_STATUS,
    TAXI_STATUS,
    "taxiNumber",
    "taxiInfo",
    "memberName",
    "friendPhoneNumber",
    "creditCardNumber",
    "payAmt",
    "estimateScore",
    "latitude",
    "longitude",
    "updatedAt",
];

impl View for TaxiServiceInfos {
    const NAME: &'static str = "taxi_service_infos";
    type Workflow = AnycallRide;

    fn key(ride: &Ride) -> i64 {
        ride.call.call_id.0
    }

    fn start(Ride { call, .. }: &Ride) -> Patch {
        let row = Patch::new().set("callId", call.call_id).set("memberId", call.member_id);
        let row = row.set("phoneNumber", &call.phone_number);
        let row = row.set("startAddress", &call.start_address).set("endAddress", &call.end_address);
        LATER.iter().fold(row, |row, field| row.set(field, None::<&str>))
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let changed = call(fact).or_else(|| taxi(fact)).or_else(|| position(fact))?;
        // Milliseconds since 1970, as the documents' events have it.
        Some(changed.set("updatedAt", fact.at().0 / 1_000))
    }
}

fn call(fact: &Fact<'_>) -> Option<Patch> {
    let patch = Patch::new();
    if fact.done::<PlaceCall>().is_some() {
        return Some(patch.set(CALL_STATUS, CallStatus::Called));
    }
    if fact.done::<MarkCancelled>().is_some() || fact.undone::<WithdrawCall>().is_some() {
        return Some(patch.set(CALL_STATUS, CallStatus::Cancelled));
    }
    if fact.done::<ReviewCall>().is_some() {
        return Some(patch.set(CALL_STATUS, CallStatus::Reviewed));
    }
    if let Some(ScoreTaxi { estimate_score, .. }) = fact.asked() {
        return Some(patch.set("estimateScore", estimate_score));
    }
    let (_, Rider { member, .. }) = fact.done::<LoadMember>()?;
    let patch = patch.set("memberName", member.name).set("creditCardNumber", member.masked_card);
    Some(patch.set("friendPhoneNumber", member.friend_phone_number))
}

fn taxi(fact: &Fact<'_>) -> Option<Patch> {
    let status = |status: TaxiStatus| Patch::new().set(TAXI_STATUS, status);
    if let Some((AssignTaxi { taxi, .. }, ())) = fact.done() {
        let patch = status(TaxiStatus::Assigned).set("taxiNumber", taxi.taxi_number);
        return Some(patch.set("taxiInfo", taxi.taxi_info));
    }
    if fact.undone::<UnassignTaxi>().is_some() {
        let none = None::<&str>;
        let patch = Patch::new().set(TAXI_STATUS, none).set("taxiNumber", none);
        return Some(patch.set("taxiInfo", none));
    }
    if fact.done::<MarkStarted>().is_some() {
        return Some(status(TaxiStatus::InService));
    }
    let (MarkEnded { pay_amt, .. }, ()) = fact.done()?;
    Some(status(TaxiStatus::Ended).set("payAmt", pay_amt))
}

/// Where a taxi is concerns the customer while it comes and while they are in it.
fn position(fact: &Fact<'_>) -> Option<Patch> {
    let Position { latitude, longitude } = fact.signal()?;
    match fact.field(TAXI_STATUS)? {
        TaxiStatus::Assigned | TaxiStatus::InService => {
            Some(Patch::new().set("latitude", latitude).set("longitude", longitude))
        }
        TaxiStatus::Ended => None,
    }
}
