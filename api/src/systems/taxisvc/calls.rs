//! `/calls`: place one, look at it, cancel it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use hansom_activities::numbers::Series;
use hansom_activities::taxisvc::call::{Call, CallService};
use hansom_core::Status;
use hansom_workflows::taxi_call::{self, CallId, CallStatus, Distance};
use serde_json::{Value, json};

use super::saga::{Placed, terminated};
use super::{Facade, kinds};
use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;
use crate::systems::kinds::SERVICE_DOWN;
use crate::systems::sagas::Cancelled;

impl Resource for Call {
    const KIND: Kind = Kind { one: "call", many: "calls" };

    fn id(&self) -> i64 {
        self.call_id.0
    }

    fn body(&self) -> Value {
        json!({
            "callId": self.call_id,
            "userId": self.user_id,
            "userName": self.user_name,
            "callStatus": self.status,
            "distance": kilometres(self.distance),
        })
    }
}

/// For show; what is paid for is computed in whole numbers.
fn kilometres(distance: Distance) -> f64 {
    distance.to_string().parse().expect("it is shown as a decimal number")
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
    call.map(|call| hal::one(&base, &call)).ok_or_else(|| hal::not_found::<Call>(id))
}

/// Answers when it is paid, or is not going to be.
pub(super) async fn place(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let (user_id, user_name) = (fields.text("userId")?, fields.text("userName")?);
    let distance = fields.distance("distance")?;
    let known = facade.sagas.drawn(Series::TaxisvcCall, &key).await?;
    let number = if let Some(number) = known {
        number
    } else {
        facade.calls.ready(SERVICE_DOWN)?;
        facade.payment.ready(kinds::PAYMENT_UNAVAILABLE)?;
        facade.sagas.draw(Series::TaxisvcCall, &key).await?
    };
    let call_id = CallId(number);
    let call = taxi_call::Call { call_id, user_id, user_name, distance };
    let kind = match facade.place(&call, &key).await? {
        Placed::Paid => {
            // As it was when CallPlaced was published: it may have moved on since.
            let status = Some(CallStatus::DriveRequest);
            let taxi_call::Call { user_id, user_name, .. } = call;
            let call = Call { call_id, user_id, user_name, distance, status };
            return Ok(hal::created(&base, &call));
        }
        Placed::Declined => kinds::PAYMENT_DECLINED,
        Placed::Unpaid => kinds::PAYMENT_UNAVAILABLE,
        Placed::Cancelled => kinds::CALL_CANCELLED,
        Placed::Terminated => kinds::CALL_TERMINATED,
        Placed::Taken => {
            let detail = format!(
                "call {} was taken by another saga before it could be placed; nothing was charged",
                call_id.0
            );
            return Err(key.refused(kinds::CALL_TAKEN, &detail));
        }
        Placed::Nowhere => SERVICE_DOWN,
        Placed::Pending => kinds::CALL_PENDING,
    };
    let status = facade.status(call_id).await.unwrap_or_default();
    Ok(Unplaced { kind, call_id, status }.answer(&base, &key))
}

/// A call that is not placed, or not yet.
struct Unplaced {
    kind: crate::http::kinds::Kind,
    call_id: CallId,
    status: Option<CallStatus>,
}

impl Unplaced {
    /// A problem that says what became of the call.
    fn answer(self, base: &Base, key: &Key) -> Response {
        let Self { kind, call_id, status } = self;
        let (detail, then) = match kind {
            kinds::PAYMENT_DECLINED => ("nothing was charged", key.when_refused()),
            kinds::PAYMENT_UNAVAILABLE => {
                ("if it was charged after all, it is refunded", key.when_refused())
            }
            kinds::CALL_CANCELLED => {
                ("what was charged, if anything, is refunded", key.when_refused())
            }
            kinds::CALL_TERMINATED => {
                ("what was charged, if anything, is not given back by that", key.when_refused())
            }
            SERVICE_DOWN => (
                "it could not be placed; what was charged, if anything, is refunded",
                key.when_refused(),
            ),
            _ => ("it is still being worked on, and may be cancelled; ", key.while_pending()),
        };
        let href = format!("{}/{}", hal::path::<Call>(base), call_id.0);
        let body = json!({
            "type": kind.uri,
            "title": kind.title,
            "status": kind.status,
            "code": kind.code,
            "detail": format!("call {}: {detail}{then}", call_id.0),
            "instance": href,
            "callId": call_id,
            "callStatus": status,
        });
        let status = StatusCode::from_u16(kind.status).expect("kinds have valid statuses");
        let headers = [(CONTENT_TYPE, PROBLEM_JSON.to_owned()), (LOCATION, href)];
        let answer = (status, headers, body.to_string()).into_response();
        // Where a key stands for the answer, no time makes it better.
        let passes = kind == kinds::CALL_PENDING || (kind.status == 503 && !key.is_given());
        if passes { ([(RETRY_AFTER, "2")], answer).into_response() } else { answer }
    }
}

/// 200 when the call is cancelled and all it did is undone, and when there is
/// nothing to cancel; 202 when that takes longer.
pub(super) async fn cancel(
    State(facade): State<Facade>,
    fields: Fields,
) -> Result<StatusCode, Problem> {
    let call_id = CallId(fields.id("callId")?);
    let id = call_id.workflow_id();
    match facade.sagas.cancel(&id, "the rider cancelled").await? {
        Cancelled::Over(Status::Completed) => {
            let detail = format!("call {} has arrived; it cannot be cancelled", call_id.0);
            Err(Problem::new(kinds::CALL_COMPLETED, detail).field("/callId"))
        }
        Cancelled::Over(Status::Terminated) => Err(terminated(call_id).field("/callId")),
        Cancelled::Settled | Cancelled::Unknown | Cancelled::Over(_) => Ok(StatusCode::OK),
        Cancelled::Pending => Ok(StatusCode::ACCEPTED),
    }
}
