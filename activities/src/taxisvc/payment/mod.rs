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
    /// What is wrong with it.
    pub faults: Switches,
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

/// The call was charged before, with another fare: a fault of the caller's code.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the call was charged with another fare, {} won", .0.0)]
struct FareConflict(Fare);

const DECLINED: &str = "declined";
const CANCELLED: &str = "the call was cancelled";

impl PaymentService {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { store: Store(pool), faults: Switches::default() }
    }

    /// The payment of that id.
    pub async fn get(&self, id: PayId) -> Result<Option<Payment>, StoreError> {
        self.store.get(id).await
    }

    /// Whether this call's payment was declined, as opposed to never having been answered.
    pub async fn declined(&self, id: CallId) -> Result<bool, StoreError> {
        self.store.is_void(id, DECLINED).await
    }

    /// All payments, the oldest first.
    pub async fn list(&self, page: Page) -> Result<Paged<Payment>, StoreError> {
        self.store.list(page).await
    }
}

/// A refusal is final, so it is written down: an earlier attempt that is still
/// on its way must not charge after all.
async fn charge(
    store: Store,
    ask: ChargeFare,
    decline: bool,
) -> Result<PayId, Failure<PaymentDeclined>> {
    if decline {
        store.void(ask.call_id, DECLINED).await?;
    } else if let Some(pay_id) = store.charge(ask.call_id, ask.fare).await? {
        return Ok(pay_id);
    }
    match store.standing(ask.call_id).await? {
        Standing::Charged { pay_id, fare } if fare == ask.fare => Ok(pay_id),
        Standing::Charged { fare, .. } => Err(FareConflict(fare).into()),
        Standing::Void => Err(Failure::Refused(PaymentDeclined)),
    }
}

impl Handler<ChargeFare> for PaymentService {
    async fn handle(
        &self,
        ask: ChargeFare,
        _: ActivityContext,
    ) -> Result<PayId, Failure<PaymentDeclined>> {
        let decline = self.faults.get().decline;
        self.faults.serve(charge(self.store.clone(), ask, decline)).await
    }
}

impl Handler<RefundFare> for PaymentService {
    async fn handle(&self, ask: RefundFare, _: ActivityContext) -> Result<(), Failure<Never>> {
        let store = self.store.clone();
        let refund = async move {
            store.void(ask.call_id, CANCELLED).await?;
            Ok(store.refund(ask.call_id, CANCELLED).await?)
        };
        self.faults.serve(refund).await
    }
}
