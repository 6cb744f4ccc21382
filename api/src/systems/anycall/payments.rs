//! `/payments`: what rides cost, and what went back.

use axum::extract::State;
use axum::response::Response;
use hansom_activities::anycall::member::masked_payer;
use hansom_activities::page::Paged;
use hansom_activities::payment::{Payment, PaymentService};
use hansom_workflows::payment::PaymentId;
use serde_json::{Value, json};

use super::{OURS, is_ours};
use crate::http::problem::Problem;
use crate::systems::fields::CARD;
use crate::systems::hal::{self, Base, Id, Kind, Pages, Resource};

/// In the words of this system.
struct Paid(Payment);

impl Resource for Paid {
    const KIND: Kind = Kind { one: "payment", many: "payments" };

    fn id(&self) -> i64 {
        self.0.payment_id.0
    }

    fn body(&self) -> Value {
        let Payment { payment_id, account, payer, amount, paid_at, refund } = &self.0;
        let call_id = account.rsplit('.').next().and_then(|id| id.parse::<i64>().ok());
        json!({
            "paymentId": payment_id,
            "callId": call_id,
            "payDate": paid_at.format("%Y-%m-%d").to_string(),
            "payAmt": amount,
            "payStatus": if refund.is_some() { "결제취소" } else { "결제승인" },
            CARD: masked_payer(payer),
        })
    }
}

pub(super) async fn list(
    State(payments): State<PaymentService>,
    base: Base,
    Pages(page): Pages,
) -> Result<Response, Problem> {
    let Paged { items, total } = payments.list(OURS, page).await?;
    let items = items.into_iter().map(Paid).collect();
    Ok(hal::many(&base, page, &Paged { items, total }))
}

pub(super) async fn show(
    State(payments): State<PaymentService>,
    base: Base,
    Id(id): Id,
) -> Result<Response, Problem> {
    let payment = payments.get(PaymentId(id)).await?;
    let payment = payment.filter(|payment| is_ours(&payment.account));
    let paid = payment.map(|payment| hal::one(&base, &Paid(payment)));
    paid.ok_or_else(|| hal::not_found::<Paid>(id))
}
