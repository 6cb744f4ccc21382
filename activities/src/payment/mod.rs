//! The payment service, shared by all systems: a ledger of charges, refunds, and charges that
//! will never be.

mod store;

use chrono::{DateTime, Utc};
use hansom_core::{ActivityContext, Failure, Handler, Handlers, Never, Verdict};
use hansom_workflows::payment::{Charge, Declined, Payer, PaymentId, Refund, WasCharged, Won};
use sqlx::PgPool;

use self::store::{Step, Store};
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
    pub payment_id: PaymentId,
    /// The workflow id of what was paid for.
    pub account: String,
    /// Who paid.
    pub payer: Payer,
    /// How much.
    pub amount: Won,
    /// When.
    pub paid_at: DateTime<Utc>,
    /// How it went back, if it did.
    pub refund: Option<Refunded>,
}

/// An amount that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    /// How much.
    pub amount: Won,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// Tokens of cards that end so are always declined, for trying things out.
pub const DECLINED_CARD: &str = "_0002";

impl PaymentService {
    /// The service on a database that [`crate::migrator`] has prepared; it declines as `faults`
    /// say.
    pub fn new(pool: PgPool, faults: Switches) -> Self {
        Self { store: Store(pool), faults }
    }

    /// What it does for sagas.
    pub fn handlers(&self) -> Handlers {
        Handlers::default()
            .with::<Charge>(self.clone())
            .with::<WasCharged>(self.clone())
            .with::<Refund>(self.clone())
    }

    /// The payment of that id.
    pub async fn get(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.store.get(id).await
    }

    /// All payments of a system, the oldest first: the word that its accounts begin with, up to
    /// the dot.
    pub async fn list(&self, system: &str, page: Page) -> Result<Paged<Payment>, StoreError> {
        self.store.list(system, page).await
    }

    fn declines(&self, payer: &Payer) -> bool {
        self.faults.get().decline || payer.0.ends_with(DECLINED_CARD)
    }
}

fn step(cx: &ActivityContext) -> Step<'_> {
    Step { run: &cx.run, seq: i64::from(cx.seq.0) }
}

impl Handler<Charge> for PaymentService {
    async fn handle(
        &self,
        ask: Charge,
        cx: ActivityContext,
    ) -> Result<PaymentId, Failure<Declined>> {
        if ask.amount.0 <= 0 {
            return Err(Failure::retry(format!("{} won cannot be charged", ask.amount.0)));
        }
        let declines = self.declines(&ask.payer);
        self.store.charge(&ask, step(&cx), declines).await?.map_err(Failure::Refused)
    }
}

impl Handler<WasCharged> for PaymentService {
    async fn handle(
        &self,
        ask: WasCharged,
        cx: ActivityContext,
    ) -> Result<Verdict<PaymentId>, Failure<Never>> {
        let found = self.store.was_charged(&ask, step(&cx)).await?;
        Ok(found.map_or(Verdict::NotDone, Verdict::Done))
    }
}

impl Handler<Refund> for PaymentService {
    async fn handle(&self, ask: Refund, cx: ActivityContext) -> Result<(), Failure<Never>> {
        Ok(self.store.refund(&ask.account, step(&cx)).await?)
    }
}
