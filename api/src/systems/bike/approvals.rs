//! `/approvals`: buy points.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use hansom_activities::bike::approval::{Approval, ApprovalService};
use hansom_activities::numbers::Series;
use hansom_workflows::bike::{ConfirmId, PointPurchases, Purchase, UserId};
use hansom_workflows::payment::Won;
use serde_json::{Map, Value, json};

use super::Facade;
use crate::http::problem::Problem;
use crate::systems::fields::Fields;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};
use crate::systems::key::Key;
use crate::systems::kinds::{SERVICE_DOWN, kinds};
use crate::systems::sagas::Begun;

kinds! {
    TAKEN = 409 "bike.approval_taken" "The purchase belongs to another saga";
    PENDING = 504 "bike.approval_pending" "The purchase is not written down yet";
}

/// Longer than all attempts to write it down.
const PATIENCE_CREATE: Duration = Duration::from_secs(15);

impl Resource for Approval {
    const KIND: Kind = Kind { one: "approval", many: "approvals" };

    fn id(&self) -> i64 {
        self.purchase.confirm_id.0
    }

    fn body(&self) -> Value {
        json!({
            "confirmId": self.purchase.confirm_id,
            "userId": self.purchase.user_id,
            "price": self.purchase.price,
            "approveDate": self.purchase.approve_date,
            "cancelled": self.is_cancelled,
        })
    }
}

pub(super) async fn list(
    State(approvals): State<ApprovalService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &approvals.list(page).await?))
}

pub(super) async fn show(
    State(approvals): State<ApprovalService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let found = approvals.get(ConfirmId(id)).await?;
    found.map(|found| hal::one(&base, &found)).ok_or_else(|| hal::not_found::<Approval>(id))
}

/// Answers when it is written down; it is paid, and the points given, behind that.
pub(super) async fn buy(
    State(facade): State<Facade>,
    base: Base,
    key: Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let (user_id, price) = (UserId(fields.id("userId")?), fields.id("price")?);
    if !(1..=Won::MOST.0).contains(&price) {
        return Err(fields.wrong("price", &format!("must be 1 to {}", Won::MOST.0)));
    }
    let approve_date = fields.text("approveDate")?;
    let known = facade.sagas.drawn(Series::BikeApproval, &key).await?;
    let number = if let Some(number) = known {
        number
    } else {
        facade.approvals.ready(SERVICE_DOWN)?;
        facade.sagas.draw(Series::BikeApproval, &key).await?
    };
    let confirm_id = ConfirmId(number);
    let purchase = Purchase { confirm_id, user_id, price: Won(price), approve_date };
    let id = confirm_id.workflow_id();
    let is_created = |row: &Map<String, Value>| row[PointPurchases::PROGRESS].as_str().map(drop);
    let begun = facade.sagas.begin::<PointPurchases, ()>(
        (&id, &purchase),
        &key,
        PATIENCE_CREATE,
        PartialEq::eq,
        is_created,
    );
    let about = format!("purchase {}", confirm_id.0);
    match begun.await? {
        Begun::Decided(()) => Ok(hal::created(&base, &Approval { purchase, is_cancelled: false })),
        Begun::Ended => {
            let detail = format!("{about} could not be written down; nothing is charged");
            Err(key.refused(SERVICE_DOWN, &detail))
        }
        Begun::Taken => Err(key.refused(TAKEN, &format!("{about} is another's"))),
        Begun::Pending => {
            let problem = key.pending(PENDING, &format!("{about} is still being worked on"));
            Ok(hal::pending::<Approval>(&base, confirm_id.0, problem))
        }
    }
}
