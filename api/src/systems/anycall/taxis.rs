//! `/taxis`: what drivers see of a call, and what they say: that they take it, where they are,
//! that the ride starts, and that it ends.

use axum::extract::State;
use axum::response::Response;
use chrono::Utc;
use hansom_activities::anycall::taxi::{Dispatch, TaxiService};
use hansom_activities::numbers::Series;
use hansom_workflows::anycall_ride::{
    AnycallRide, Call, CallId, DriverAccept, MemberId, Position, RideEnd, RideStart, Taxi,
    TaxiServiceInfos, TaxiStatus,
};
use hansom_workflows::payment::Won;
use serde_json::Value;

use super::ask::{Asked, Not, is_at};
use super::calls::is_called;
use super::{Facade, kinds};
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;

/// In seconds. With more of them a ride of a day would not fit into a history.
const POSITION_EVERY: i64 = 2;

impl Resource for Dispatch {
    const KIND: Kind = Kind { one: "taxi", many: "taxis" };

    fn id(&self) -> i64 {
        self.call_id.0
    }

    fn body(&self) -> Value {
        serde_json::to_value(self).expect("its fields have a JSON form")
    }
}

pub(super) async fn list(
    State(taxis): State<TaxiService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &taxis.list(page).await?))
}

pub(super) async fn show(
    State(taxis): State<TaxiService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let taxi = taxis.get(CallId(id)).await?;
    taxi.map(|taxi| hal::one(&base, &taxi)).ok_or_else(|| hal::not_found::<Dispatch>(id))
}

/// As the document tests load: a taxi for a member, and no more. The row of a taxi is a call's, so
/// a call is placed; what is not said of it, the member says, or the driver hears on the phone.
pub(super) async fn call(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    is_called(&fields)?;
    let member_id = MemberId(fields.id("memberId")?);
    let (start_address, end_address) = (fields.text("startAddress")?, fields.text("endAddress")?);
    let known = facade.sagas.drawn(Series::AnycallCall, &key).await?;
    // What the member said when it was asked for first holds, whatever they say now.
    let first = match known {
        Some(number) => facade.sagas.input::<AnycallRide>(&CallId(number).workflow_id()).await?,
        None => None,
    };
    let phone_number = match first {
        Some(ride) => ride.call.phone_number,
        None => facade.payer(member_id).await?.phone_number,
    };
    let call_id = CallId(match known {
        Some(number) => number,
        None => facade.sagas.draw(Series::AnycallCall, &key).await?,
    });
    let call = Call { call_id, member_id, phone_number, start_address, end_address };
    facade.place(&call, &key).await?;
    Ok(hal::created(&base, &Dispatch::opened(call)))
}

/// `taxiStatus="배정됨" taxiNumber=… taxiInfo=…` takes the call, `taxiStatus="운행시작"` starts the
/// ride, `taxiStatus="운행종료" payAmt=…` ends it once it is paid; without a status,
/// `latitude=… longitude=…` says where the taxi is.
pub(super) async fn change(
    State(facade): State<Facade>,
    base: Base,
    Id(id): Id,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let asked = Asked { call_id: CallId(id), base, key };
    if !fields.has("taxiStatus") && fields.has("latitude") {
        facade.position(&asked, &fields).await?;
        return Ok(asked.shown(&facade.taxis, &format!("/taxis/{id}")).await);
    }
    let change = Change::read(&fields)?;
    let answer = match &change {
        Change::Taken(taxi) => facade.ask(&asked, &DriverAccept { taxi: taxi.clone() }).await,
        Change::Started => facade.ask(&asked, &RideStart {}).await,
        Change::Ended(pay_amt) => facade.end(&asked, *pay_amt).await,
    };
    if let Err(not) = answer {
        // Asked for again, or by two at a time: it may be as they want it.
        let Not::Due(problem) = not else { return Err(not.into()) };
        let row = facade.dispatch(asked.call_id).await?;
        if !row.is_some_and(|row| change.is_made(&row)) {
            return Err(problem);
        }
    }
    Ok(asked.shown(&facade.taxis, &format!("/taxis/{id}")).await)
}

/// What a driver says.
enum Change {
    Taken(Taxi),
    Started,
    Ended(Won),
}

impl Change {
    fn read(fields: &Fields) -> Result<Self, Problem> {
        let literals: Vec<_> = TaxiStatus::ALL.iter().map(|status| status.as_str()).collect();
        Ok(match TaxiStatus::parse(fields.literal("taxiStatus", &literals)?) {
            Some(TaxiStatus::Ended) => {
                let pay_amt = fields.id("payAmt")?;
                if !(1..=Won::MOST.0).contains(&pay_amt) {
                    return Err(fields.wrong("payAmt", &format!("must be 1 to {}", Won::MOST.0)));
                }
                Self::Ended(Won(pay_amt))
            }
            Some(TaxiStatus::InService) => Self::Started,
            Some(TaxiStatus::Assigned) | None => {
                let taxi_number = fields.needed("taxiNumber")?;
                Self::Taken(Taxi { taxi_number, taxi_info: fields.text("taxiInfo")? })
            }
        })
    }

    /// Whether it is so already.
    fn is_made(&self, row: &Dispatch) -> bool {
        match self {
            Self::Taken(taxi) => row.taxi_number.as_ref() == Some(&taxi.taxi_number),
            Self::Started => is_at(row, TaxiStatus::InService),
            Self::Ended(Won(amount)) => row.pay_amt == Some(*amount),
        }
    }
}

impl Facade {
    /// Ends a ride that is under way, unless nothing can be paid at present. What comes with a key
    /// may have been asked for before: what became of that the ride knows.
    async fn end(&self, asked: &Asked, pay_amt: Won) -> Result<(), Not> {
        if !asked.key.is_given()
            && let Err(problem) = self.payment.ready(kinds::PAYMENT_UNAVAILABLE)
            && self.taxi_status(asked.call_id).await.map_err(Not::Else)?
                == Some(TaxiStatus::InService)
        {
            return Err(Not::Else(problem));
        }
        self.ask(asked, &RideEnd { pay_amt }).await.map(drop)
    }

    /// Where a call's taxi is with it, as the view says; none while none has it.
    async fn taxi_status(&self, id: CallId) -> Result<Option<TaxiStatus>, Problem> {
        let info = self.sagas.client().view::<TaxiServiceInfos>(id.0).await?;
        let info = info.ok_or_else(|| hal::not_found::<Dispatch>(id.0))?;
        let status = info.row.get("taxiStatus").and_then(Value::as_str);
        Ok(status.and_then(TaxiStatus::parse))
    }

    /// Keeps the position of a taxi that has this call, one in [`POSITION_EVERY`] and no more:
    /// each is an event of the ride's history, and that has a bound. What the view says is enough
    /// to refuse the others: one that is late all the same it ignores.
    async fn position(&self, asked: &Asked, fields: &Fields) -> Result<(), Problem> {
        let position = Position {
            latitude: fields.degrees("latitude", 90.0)?,
            longitude: fields.degrees("longitude", 180.0)?,
        };
        self.sagas.refuse_while_draining()?;
        let status = self.taxi_status(asked.call_id).await?;
        if !matches!(status, Some(TaxiStatus::Assigned | TaxiStatus::InService)) {
            let detail = format!("call {}: no taxi is on its way with it", asked.call_id.0);
            return Err(Problem::new(kinds::STAGE, detail));
        }
        // One of an id that was heard is dropped by the engine, whichever server it is sent by.
        let id = format!("position.{}", Utc::now().timestamp() / POSITION_EVERY);
        let workflow_id = asked.call_id.workflow_id();
        Ok(self.sagas.client().signal(&workflow_id, &position, Some(&id)).await?)
    }
}
