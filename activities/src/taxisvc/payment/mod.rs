//! The payment service: a ledger of charges, refunds, and charges that will never be.

mod store;

use chrono::{DateTime, Utc};
use hansom_core::{ActivityContext, Failure, Handler, Never};
use hansom_workflows::taxi_call::{CallId, ChargeFare, Fare, PayId, PaymentDeclined, RefundFare};
use sqlx::PgPool;

use self::store::{Standing, Store};
use crate::StoreError;
use crate::faults::Switches;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct PaymentService {
    store: Store,
    /// Whether it declines.
    faults: Switches,
}

/// A charge, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The payment.
    pub pay_id: PayId,
    /// What was paid for.
    pub call_id: CallId,
    /// How much.
    pub fare: Fare,
    /// When.
    pub paid_at: DateTime<Utc>,
    /// How it went back, if it did.
    pub refund: Option<Refund>,
}

/// A fare that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// How much.
    pub fare: Fare,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

const DECLINED: &str = "declined";
const CANCELLED: &str = "the call was cancelled";

impl PaymentService {
    pub(super) fn new(pool: PgPool, faults: Switches) -> Self {
        Self { store: Store(pool), faults }
    }

    /// The payment of that id.
    pub async fn get(&self, id: PayId) -> Result<Option<Payment>, StoreError> {
        self.store.get(id).await
    }

    /// All payments, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Payment>, StoreError> {
        self.store.list(page).await
    }
}

/// A refusal is final, so it is written down: an earlier attempt that is still
/// on its way must not charge after all. A call that is charged by another run,
/// or with another fare, is not charged again, and that will not change.
async fn charge(
    store: &Store,
    ask: ChargeFare,
    run: &str,
    decline: bool,
) -> Result<PayId, Failure<PaymentDeclined>> {
    if decline {
        store.void(ask.call_id, run, DECLINED).await?;
    } else if let Some(pay_id) = store.charge(ask.call_id, run, ask.fare).await? {
        return Ok(pay_id);
    }
    match store.standing(ask.call_id, run).await? {
        Standing::Charged { pay_id, fare } if fare == ask.fare => return Ok(pay_id),
        Standing::Charged { fare, .. } => {
            tracing::warn!(
                call = ask.call_id.0,
                fare = fare.0,
                "taxisvc.charged_with_another_fare"
            );
        }
        Standing::Taken => tracing::warn!(call = ask.call_id.0, "taxisvc.charged_by_another_run"),
        Standing::Void => {}
    }
    Err(Failure::Refused(PaymentDeclined))
}

impl Handler<ChargeFare> for PaymentService {
    async fn handle(
        &self,
        ask: ChargeFare,
        cx: ActivityContext,
    ) -> Result<PayId, Failure<PaymentDeclined>> {
        charge(&self.store, ask, &cx.run, self.faults.get().decline).await
    }
}

impl Handler<RefundFare> for PaymentService {
    async fn handle(&self, ask: RefundFare, cx: ActivityContext) -> Result<(), Failure<Never>> {
        self.store.void(ask.call_id, &cx.run, CANCELLED).await?;
        Ok(self.store.refund(ask.call_id, &cx.run, CANCELLED).await?)
    }
}
