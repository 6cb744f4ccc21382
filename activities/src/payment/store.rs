use chrono::{DateTime, Utc};
use hansom_workflows::payment::{Charge, Declined, Payer, PaymentId, WasCharged, Won};
use sqlx::{PgConnection, PgPool};

use super::{Payment, Refunded};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `payment.account` and its ledger, `payment.entry`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) run: &'a str,
    pub(super) seq: i64,
}

/// An account, locked, and what its ledger says.
struct Standing {
    is_ours: bool,
    barred: Option<i64>,
    charged: Option<(PaymentId, Won)>,
    is_void: bool,
}

struct Row {
    payment_id: i64,
    account: String,
    payer: String,
    amount: i64,
    paid_at: DateTime<Utc>,
    refunded: Option<i64>,
    refunded_at: Option<DateTime<Utc>>,
    reason: Option<String>,
}

impl From<Row> for Payment {
    fn from(row: Row) -> Self {
        let refund = match (row.refunded, row.refunded_at, row.reason) {
            (Some(amount), Some(at), Some(reason)) => {
                Some(Refunded { amount: Won(amount), at, reason })
            }
            _ => None,
        };
        Self {
            payment_id: PaymentId(row.payment_id),
            account: row.account,
            payer: Payer(row.payer),
            amount: Won(row.amount),
            paid_at: row.paid_at,
            refund,
        }
    }
}

/// Locks the account, which from now on belongs to this run if it was nobody's. Requests for one
/// account wait for one another here, and see what the one before has written.
async fn lock(tx: &mut PgConnection, account: &str, step: Step<'_>) -> sqlx::Result<Standing> {
    let locked = sqlx::query!(
        "insert into payment.account (account, run) values ($1, $2)
         on conflict (account) do update set account = excluded.account
         returning run, barred",
        account,
        step.run,
    )
    .fetch_one(&mut *tx)
    .await?;
    let ledger = sqlx::query!(
        r#"select max(payment_id) as payment_id,
                max(amount) filter (where kind = 'charge') as amount,
                count(*) filter (where kind = 'void') > 0 as "is_void!"
           from payment.entry where account = $1"#,
        account,
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(Standing {
        is_ours: locked.run == step.run,
        barred: locked.barred,
        charged: ledger.payment_id.map(PaymentId).zip(ledger.amount.map(Won)),
        is_void: ledger.is_void,
    })
}

/// What this step or one before it still asks for is refused from now on.
async fn bar(tx: &mut PgConnection, account: &str, step: Step<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment.account set barred = greatest(barred, $2) where account = $1",
        account,
        step.seq,
    )
    .execute(tx)
    .await?;
    Ok(())
}

impl Store {
    pub(super) async fn charge(
        &self,
        ask: &Charge,
        step: Step<'_>,
        declines: bool,
    ) -> Result<Result<PaymentId, Declined>, StoreError> {
        let mut tx = self.0.begin().await?;
        let standing = lock(&mut tx, &ask.account, step).await?;
        let answer = match standing.charged {
            _ if standing.is_void || !standing.is_ours => Err(Declined::Closed),
            Some((id, amount)) if amount == ask.amount => Ok(id),
            Some((_, amount)) => Err(Declined::Charged(amount)),
            None if standing.barred >= Some(step.seq) => Err(Declined::Card),
            None if declines => {
                bar(&mut tx, &ask.account, step).await?;
                Err(Declined::Card)
            }
            None => Ok(enter_charge(&mut tx, ask).await?),
        };
        tx.commit().await?;
        Ok(answer)
    }

    /// The payment, if this run made it; otherwise this step makes none any more.
    pub(super) async fn was_charged(
        &self,
        ask: &WasCharged,
        step: Step<'_>,
    ) -> Result<Option<PaymentId>, StoreError> {
        let mut tx = self.0.begin().await?;
        let standing = lock(&mut tx, &ask.account, step).await?;
        let found = match standing.charged {
            Some((id, amount)) if amount == ask.amount && !standing.is_void => Some(id),
            _ => None,
        };
        let found = found.filter(|_| standing.is_ours);
        if found.is_none() && standing.is_ours {
            bar(&mut tx, &ask.account, step).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    /// Voids the account, if it is this run's or nobody's, and gives back what was charged.
    pub(super) async fn refund(&self, account: &str, step: Step<'_>) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        if lock(&mut tx, account, step).await?.is_ours {
            sqlx::query!(
                "insert into payment.entry (account, kind, amount, reason)
                 select $1, 'void', 0, 'cancelled'
                 union all
                 select account, 'refund', amount, 'cancelled'
                 from payment.entry where account = $1 and kind = 'charge'
                 on conflict do nothing",
                account,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select c.payment_id as "payment_id!", c.account, c.payer as "payer!", c.amount,
                    c.entered_at as paid_at, r.amount as "refunded?",
                    r.entered_at as "refunded_at?", r.reason as "reason?"
             from payment.entry c
             left join payment.entry r on r.account = c.account and r.kind = 'refund'
             where c.payment_id = $1"#,
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Payment::from))
    }

    pub(super) async fn list(
        &self,
        system: &str,
        page: Page,
    ) -> Result<Paged<Payment>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from payment.entry
               where kind = 'charge' and split_part(account, '.', 1) = $1"#,
            system,
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select c.payment_id as "payment_id!", c.account, c.payer as "payer!", c.amount,
                    c.entered_at as paid_at, r.amount as "refunded?",
                    r.entered_at as "refunded_at?", r.reason as "reason?"
             from payment.entry c
             left join payment.entry r on r.account = c.account and r.kind = 'refund'
             where c.payment_id in (
                 select payment_id from payment.entry
                 where kind = 'charge' and split_part(account, '.', 1) = $1
                 order by payment_id limit $2 offset $3)
             order by c.payment_id"#,
            system,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Payment::from).collect(), total })
    }
}

async fn enter_charge(tx: &mut PgConnection, ask: &Charge) -> sqlx::Result<PaymentId> {
    let id = sqlx::query_scalar!(
        r#"insert into payment.entry (account, kind, payment_id, payer, amount, reason)
           values ($1, 'charge', nextval('payment.payment_id'), $2, $3, 'charged')
           returning payment_id as "payment_id!""#,
        ask.account,
        ask.payer.0,
        ask.amount.0,
    );
    Ok(PaymentId(id.fetch_one(tx).await?))
}
