//! `/movers`: call one, look at it, cancel it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use hansom_activities::move24mall::mover::{Mover, MoverService};
use hansom_activities::numbers::Series;
use hansom_core::Status;
use hansom_engine::ClientError;
use hansom_workflows::move_order::{
    CompleteMove, MoveType, MoverInfos, Order, OrderId, OrderStatus, Policy,
};
use hansom_workflows::payment::Won;
use serde_json::{Map, Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;
use crate::systems::kinds::{SERVICE_DOWN, kinds};
use crate::systems::sagas::{Begun, Cancelled, Sagas};

kinds! {
    COMPLETED = 409 "move.completed" "The move is done";
    TAKEN = 409 "move.taken" "The order belongs to another saga";
    PENDING = 504 "move.pending" "The order is not settled yet";
}

/// Longer than both attempts to ask the manager, and all that there are to write the order down.
const PATIENCE_PLACE: Duration = Duration::from_secs(15);

/// How long the answer to an order with the fallback waits for the manager.
const PATIENCE_FALLBACK: Duration = Duration::from_millis(610);

impl Resource for Mover {
    const KIND: Kind = Kind { one: "mover", many: "movers" };

    fn id(&self) -> i64 {
        self.order_id.0
    }

    fn body(&self) -> Value {
        json!({
            "id": self.order_id,
            "tel": self.tel,
            "location": self.location,
            "status": self.status,
            "cost": self.cost,
            "moveType": self.move_type,
        })
    }
}

pub(super) async fn list(
    State(movers): State<MoverService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &movers.list(page).await?))
}

pub(super) async fn show(
    State(movers): State<MoverService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mover = movers.get(OrderId(id)).await?;
    mover.map(|mover| hal::one(&base, &mover)).ok_or_else(|| hal::not_found::<Mover>(id))
}

/// What is ordered, but for its number. The status that the documents' client sends is where
/// every order begins.
fn read(fields: &Fields) -> Result<Order, Problem> {
    let tel = fields.text("tel")?;
    if tel.is_empty() {
        return Err(fields.wrong("tel", "must not be empty"));
    }
    let cost = if fields.has("cost") { fields.id("cost")? } else { 0 };
    if !(0..=Won::MOST.0).contains(&cost) {
        return Err(fields.wrong("cost", &format!("must be 0 to {}", Won::MOST.0)));
    }
    let move_type = match fields.text("moveType")?.as_str() {
        "" => None,
        text => {
            let known = MoveType::parse(text);
            Some(known.ok_or_else(|| fields.wrong("moveType", "must be 포장 or 반포장"))?)
        }
    };
    let policy = match fields.text("policy")?.as_str() {
        "" | "strict" => Policy::Strict,
        "fallback" => Policy::Fallback,
        _ => return Err(fields.wrong("policy", "must be strict or fallback")),
    };
    let (order_id, location) = (OrderId(0), fields.text("location")?);
    Ok(Order { order_id, tel, location, cost: Won(cost), move_type, policy })
}

/// Answers when the order is taken, or is not going to be.
pub(super) async fn place(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let order = read(&fields)?;
    let sagas = facade.sagas;
    let known = sagas.drawn(Series::MoveOrder, &key).await?;
    let number = if let Some(number) = known {
        number
    } else {
        facade.movers.ready(SERVICE_DOWN)?;
        if order.policy == Policy::Strict && facade.manages.ready(SERVICE_DOWN).is_err() {
            // Nothing is begun: the key, if there is one, stands for nothing yet.
            return Ok(refused(&base, &Key::default()));
        }
        sagas.draw(Series::MoveOrder, &key).await?
    };
    let order_id = OrderId(number);
    let order = Order { order_id, ..order };
    let id = order_id.workflow_id();
    let is_placed = |row: &Map<String, Value>| (row[MoverInfos::PLACED] == true).then_some(());
    let same = PartialEq::eq;
    let begun = sagas.begin::<MoverInfos, ()>((&id, &order), &key, PATIENCE_PLACE, same, is_placed);
    match begun.await? {
        Begun::Decided(()) => {}
        Begun::Ended => return Ok(refused(&base, &key)),
        Begun::Taken => {
            return Err(key.refused(TAKEN, &format!("order {} is another's", order_id.0)));
        }
        Begun::Pending => {
            let about = format!("order {} is still being worked on", order_id.0);
            return Ok(hal::pending::<Mover>(&base, order_id.0, key.pending(PENDING, &about)));
        }
    }
    if order.policy == Policy::Fallback {
        look_out_for_the_manager(&sagas, &order).await;
    }
    // As it was when it was placed: it may have moved on since.
    let Order { order_id, tel, location, cost, move_type, .. } = order;
    let status = OrderStatus::Called;
    Ok(hal::created(&base, &Mover { order_id, tel, location, cost, move_type, status }))
}

/// Says in the log when the order is taken without the manager.
async fn look_out_for_the_manager(sagas: &Sagas, order: &Order) {
    let (id, key) = (order.order_id.workflow_id(), order.order_id.0);
    let has_heard = |row: &Map<String, Value>| row["lastMessage"].as_str().map(drop);
    let heard = sagas.watched::<MoverInfos, ()>(&id, key, PATIENCE_FALLBACK, has_heard).await;
    if !matches!(heard, Ok(Begun::Decided(()))) {
        tracing::warn!("Circuit breaker has been opened. Fallback returned instead. {key}");
    }
}

/// As upstream words it, when the manager does not take the order.
fn refused(base: &Base, key: &Key) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "the movemanage service did not take the request; no order was made";
    let body = json!({
        "timestamp": Utc::now().to_rfc3339(),
        "status": status.as_u16(),
        "error": status.canonical_reason(),
        "message": format!("{message}{}", key.when_refused()),
        "path": hal::path::<Mover>(base),
    });
    let answer = (status, Json(body)).into_response();
    if key.is_given() { answer } else { ([(RETRY_AFTER, "1")], answer).into_response() }
}

/// 204 when the order is cancelled and all it did is undone, also when it was before; 202 when
/// that takes longer.
pub(super) async fn cancel(
    State(facade): State<Facade>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let cancelled =
        facade.sagas.cancel(&OrderId(id).workflow_id(), "the customer cancelled").await?;
    match cancelled {
        Cancelled::Settled | Cancelled::Over(Status::Cancelled) => Ok(StatusCode::NO_CONTENT),
        Cancelled::Pending => Ok(StatusCode::ACCEPTED),
        Cancelled::Over(Status::Completed) => {
            let detail = format!("move {id} is done; it cannot be cancelled any more");
            Err(Problem::new(COMPLETED, detail))
        }
        // What was refused is no order, and never was.
        Cancelled::Unknown | Cancelled::Over(_) => Err(hal::not_found::<Mover>(id)),
    }
}

/// The move is done: 204, also when it was before.
pub(super) async fn complete(
    State(Facade { sagas, .. }): State<Facade>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    sagas.refuse_while_draining()?;
    let workflow_id = OrderId(id).workflow_id();
    let told = sagas.client().signal(&workflow_id, &CompleteMove {}, Some("complete")).await;
    match told {
        Ok(()) => {}
        Err(ClientError::Closed { status: Status::Completed, .. }) => {
            return Ok(StatusCode::NO_CONTENT);
        }
        Err(ClientError::NotFound(_) | ClientError::Closed { .. }) => {
            return Err(hal::not_found::<Mover>(id));
        }
        Err(error) => return Err(error.into()),
    }
    match sagas.closed(&workflow_id).await? {
        Some(Status::Completed) => Ok(StatusCode::NO_CONTENT),
        // Nobody is assigned yet: it ends when somebody is.
        None => Ok(StatusCode::ACCEPTED),
        Some(_) => Err(hal::not_found::<Mover>(id)),
    }
}
