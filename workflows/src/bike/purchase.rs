//! Points are bought: take the money, give the points.
//!
//! Points that were given may be spent at once, and cannot be taken back from somebody who has
//! none left. So the charge is what decides: before it all can be undone, after it there is no
//! way back, and the points are given, once, however long that takes.

use hansom_core::{Activity, ActivityError, Ctx, Fingerprint, WhenUnavailable, Workflow};
use serde::{Deserialize, Serialize};

use super::contract::{CancelApproval, CreateApproval, IncreasePoints, Points, Purchase, Taken};
use crate::patience::persistent;
use crate::payment::{Charge, Declined, Payer, PaymentId, Refund, WasCharged};

/// Why a purchase may come to nothing.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurchaseError {
    /// It belongs to another saga, or nobody knows whether it was written down.
    #[error("approval {0}")]
    Create(#[from] ActivityError<Taken>),
    /// It was not paid, or nobody knows whether it was.
    #[error("payment {0}")]
    Payment(#[from] ActivityError<Declined>),
}

/// The saga. Its workflow id is [`ConfirmId::workflow_id`](super::ConfirmId::workflow_id).
pub struct PointPurchase;

impl Workflow for PointPurchase {
    const NAME: &'static str = "point_purchase";
    const ACTIVITIES: &'static [&'static str] = &[
        CreateApproval::NAME,
        CancelApproval::NAME,
        Charge::NAME,
        WasCharged::NAME,
        Refund::NAME,
        IncreasePoints::NAME,
    ];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[
        include_bytes!("purchase.rs"),
        include_bytes!("contract.rs"),
        include_bytes!("../patience.rs"),
    ]));
    type Input = Purchase;
    type Output = PaymentId;
    type Error = PurchaseError;

    async fn run(ctx: Ctx, purchase: Purchase) -> Result<PaymentId, PurchaseError> {
        let Purchase { confirm_id, user_id, price, .. } = purchase;
        let account = confirm_id.workflow_id();

        ctx.run(CreateApproval { purchase }).undo(CancelApproval { confirm_id }).await?;
        let payer = Payer(format!("bike.user.{}", user_id.0));
        let charge = ctx.run(Charge { account: account.clone(), payer, amount: price });
        // Nobody waits for it: it is tried until the payment service says yes or no.
        let (patient, charge) = (persistent(), charge.undo(Refund { account }));
        let charge = charge.retry(patient.retry).start_to_close(patient.start_to_close);
        let payment_id = charge.when_unavailable(WhenUnavailable::Wait).await?;

        let points = Points(price.0);
        ctx.pivot().run(IncreasePoints { confirm_id, user_id, points }).await;
        Ok(payment_id)
    }
}
