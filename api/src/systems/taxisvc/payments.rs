//! `/payments`: who paid what, and what went back.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::taxisvc::payment::{Payment, PaymentService};
use hansom_workflows::taxi_call::PayId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

impl Resource for Payment {
    const KIND: Kind = Kind { one: "payment", many: "payments" };

    fn id(&self) -> i64 {
        self.pay_id.0
    }

    fn body(&self) -> Value {
        let refund = self.refund.as_ref().map(
            |refund| json!({ "fare": refund.fare, "refundedAt": refund.at, "reason": refund.reason }),
        );
        json!({
            "payId": self.pay_id,
            "callId": self.call_id,
            "fare": self.fare,
            "status": if refund.is_some() { "REFUNDED" } else { "PAID" },
            "paidAt": self.paid_at,
            "refund": refund,
        })
    }
}

pub(super) async fn list(
    State(payments): State<PaymentService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    Ok(hal::many(&base, page, &payments.list(page).await?))
}

pub(super) async fn show(
    State(payments): State<PaymentService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let payment = payments.get(PayId(id)).await?;
    payment.map(|payment| hal::one(&base, &payment)).ok_or_else(|| hal::not_found::<Payment>(id))
}
