//! `/calls`: place one, look at it, cancel it, review it.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use hansom_activities::anycall::call::{CallService, Placed};
use hansom_activities::numbers::Series;
use hansom_core::ActivityError;
use hansom_workflows::anycall_ride::{
    AnycallRide, Call, CallId, CallStatus, CallTaken, CustomerCancel, MemberId, Review, Ride,
    RideError, TaxiServiceInfos,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::{Asked, Not};
use super::{Facade, kinds};
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;
use crate::systems::kinds::SERVICE_DOWN;
use crate::systems::sagas::Begun;

/// A call that is accepted is soon written down, where its service runs.
const PATIENCE: Duration = Duration::from_secs(2);

impl Resource for Placed {
    const KIND: Kind = Kind { one: "call", many: "calls" };

    fn id(&self) -> i64 {
        self.call.call_id.0
    }

    fn body(&self) -> Value {
        json!({
            "callId": self.call.call_id,
            "memberId": self.call.member_id.0.to_string(),
            "phoneNumber": self.call.phone_number,
            "startAddress": self.call.start_address,
            "endAddress": self.call.end_address,
            "callStatus": self.status,
        })
    }
}

pub(super) async fn list(
    State(calls): State<CallService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &calls.list(page).await?))
}

pub(super) async fn show(
    State(calls): State<CallService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let call = calls.get(CallId(id)).await?;
    call.map(|call| hal::one(&base, &call)).ok_or_else(|| hal::not_found::<Placed>(id))
}

/// Answers as soon as the call is accepted: taxis need not be there for that.
pub(super) async fn place(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    is_called(&fields)?;
    let member_id = MemberId(fields.id("memberId")?);
    let phone_number = fields.needed("phoneNumber")?;
    let start_address = fields.needed("startAddress")?;
    let end_address = fields.needed("endAddress")?;
    let known = facade.sagas.drawn(Series::AnycallCall, &key).await?;
    let number = if let Some(number) = known {
        number
    } else {
        facade.check_member(member_id).await?;
        facade.sagas.draw(Series::AnycallCall, &key).await?
    };
    let call_id = CallId(number);
    let call = Call { call_id, member_id, phone_number, start_address, end_address };
    facade.place(&call, &key).await?;
    Ok(hal::created(&base, &Placed { call, status: CallStatus::Called }))
}

/// The document's client says so itself; whatever else it says is no call.
pub(super) fn is_called(fields: &Fields) -> Result<(), Problem> {
    if fields.has("callStatus") {
        fields.literal("callStatus", &[CallStatus::Called.as_str()])?;
    }
    Ok(())
}

/// `callStatus="호출취소"` cancels it, `callStatus="서비스평가" estimateScore=…` reviews it.
pub(super) async fn change(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let asked = Asked { call_id: CallId(id), base, key };
    let literals = [CallStatus::Cancelled.as_str(), CallStatus::Reviewed.as_str()];
    let to = fields.literal("callStatus", &literals)?;
    // And what the view says when it has happened.
    let (answer, field, made) = if to == CallStatus::Cancelled.as_str() {
        (facade.ask(&asked, &CustomerCancel {}).await, "callStatus", to.to_owned())
    } else {
        let estimate_score = fields.needed("estimateScore")?;
        let review = Review { estimate_score };
        (facade.ask(&asked, &review).await, "estimateScore", review.estimate_score)
    };
    match answer {
        Ok(()) => {}
        // Asked for again, or by two at a time: it is as they want it.
        Err(Not::Due(_)) if facade.info(asked.call_id, field).await? == Some(made) => {}
        Err(not) => return Err(not.into()),
    }
    Ok(asked.shown(&facade.calls, &format!("/calls/{id}")).await)
}

/// What of a member the façade looks at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) phone_number: String,
    credit_card_number: String,
}

impl Facade {
    /// Refuses calls of whoever cannot pay. While nobody can say, they are accepted, and the
    /// saga finds out.
    async fn check_member(&self, id: MemberId) -> Result<(), Problem> {
        match self.payer(id).await {
            Err(problem) if *problem.kind == SERVICE_DOWN => {
                tracing::warn!(why = %problem.detail, "anycall.member_not_checked");
                Ok(())
            }
            payer => payer.map(drop),
        }
    }

    /// Who calls, unless they cannot pay.
    pub(super) async fn payer(&self, id: MemberId) -> Result<Shown, Problem> {
        match self.members.look::<Shown>(&format!("/memberShips/{}", id.0)).await? {
            None => Err(hal::not_found_as("member", id.0).field("/memberId")),
            Some(member) if member.credit_card_number.is_empty() => {
                let detail = format!("member {} has no card to pay with", id.0);
                Err(Problem::new(kinds::NO_CARD, detail).field("/memberId"))
            }
            Some(member) => Ok(member),
        }
    }

    /// Starts the ride, and waits a little until its call can be seen. It is accepted either way:
    /// it is written down when its service is there.
    pub(super) async fn place(&self, call: &Call, key: &Key) -> Result<(), Problem> {
        let id = call.call_id.workflow_id();
        let ride = Ride { call: call.clone(), terms: self.terms };
        let is_seen = |row: &Map<String, Value>| row["callStatus"].as_str().map(drop);
        // The terms are the server's.
        let same = |one: &Ride, other: &Ride| one.call == other.call;
        let begun =
            self.sagas.begin::<TaxiServiceInfos, ()>((&id, &ride), key, PATIENCE, same, is_seen);
        let taken = match begun.await? {
            Begun::Decided(()) | Begun::Pending => false,
            Begun::Ended => {
                let taken = RideError::Place(ActivityError::Refused(CallTaken));
                self.sagas.error::<AnycallRide>(&id).await? == Some(taken)
            }
            Begun::Taken => true,
        };
        if !taken {
            return Ok(());
        }
        let detail = format!("call {} was taken; nothing has happened", call.call_id.0);
        Err(key.refused(kinds::TAKEN, &detail))
    }

    /// A text that the view says of a ride, if it does.
    async fn info(&self, id: CallId, field: &str) -> Result<Option<String>, Problem> {
        let info = self.sagas.client().view::<TaxiServiceInfos>(id.0).await?;
        Ok(info.and_then(|info| Some(info.row.get(field)?.as_str()?.to_owned())))
    }
}
