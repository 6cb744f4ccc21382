use chrono::{DateTime, Utc};
use hansom_workflows::taxi_call::{CallId, Fare, PayId};
use sqlx::PgPool;

use super::{Payment, Refund};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `taxisvc.payment`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// What the ledger says of a call, once it says anything.
pub(super) enum Standing {
    /// This run charged it.
    Charged {
        pay_id: PayId,
        fare: Fare,
    },
    /// Another run charged it.
    Taken,
    Void,
}

struct Row {
    pay_id: i64,
    call_id: i64,
    fare: i64,
    paid_at: DateTime<Utc>,
    refunded: Option<i64>,
    refunded_at: Option<DateTime<Utc>>,
    reason: Option<String>,
}

impl From<Row> for Payment {
    fn from(row: Row) -> Self {
        let refund = match (row.refunded, row.refunded_at, row.reason) {
            (Some(fare), Some(at), Some(reason)) => Some(Refund { fare: Fare(fare), at, reason }),
            _ => None,
        };
        Self {
            pay_id: PayId(row.pay_id),
            call_id: CallId(row.call_id),
            fare: Fare(row.fare),
            paid_at: row.paid_at,
            refund,
        }
    }
}

impl Store {
    /// Charges the call and publishes it; nothing, when it is charged or void.
    pub(super) async fn charge(
        &self,
        id: CallId,
        run: &str,
        fare: Fare,
    ) -> Result<Option<PayId>, StoreError> {
        let pay_id = sqlx::query_scalar!(
            r#"with charged as (
                 insert into taxisvc.payment (call_id, run, kind, pay_id, fare, reason)
                 select $1, $3, 'charge', nextval('taxisvc.pay_id'), $2, 'fare'
                 where not exists (select from taxisvc.payment where call_id = $1)
                 on conflict do nothing
                 returning *
             ), published as (
                 insert into taxisvc.event (event_type, payload)
                 select 'FarePaid',
                        json_build_object('payId', pay_id, 'callId', call_id, 'fare', fare)
                 from charged
             )
             select pay_id as "pay_id!" from charged"#,
            id.0,
            fare.0,
            run,
        )
        .fetch_optional(&self.0)
        .await?;
        Ok(pay_id.map(PayId))
    }

    /// Sees to it that the call is never charged, unless it is already.
    pub(super) async fn void(&self, id: CallId, run: &str, reason: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into taxisvc.payment (call_id, run, kind, fare, reason)
             values ($1, $2, 'void', 0, $3)
             on conflict do nothing",
            id.0,
            run,
            reason,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Gives back what this run charged, if anything, once.
    pub(super) async fn refund(
        &self,
        id: CallId,
        run: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into taxisvc.payment (call_id, run, kind, fare, reason)
             select call_id, run, 'refund', fare, $3
             from taxisvc.payment where call_id = $1 and run = $2 and kind = 'charge'
             on conflict do nothing",
            id.0,
            run,
            reason,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Whether the call is charged or void: one of them, after [`Self::charge`] or [`Self::void`].
    pub(super) async fn standing(&self, id: CallId, run: &str) -> Result<Standing, StoreError> {
        let row = sqlx::query!(
            "select pay_id, run, fare from taxisvc.payment
             where call_id = $1 and kind in ('charge', 'void')",
            id.0,
        )
        .fetch_one(&self.0)
        .await?;
        Ok(match row.pay_id {
            Some(_) if row.run != run => Standing::Taken,
            Some(pay_id) => Standing::Charged { pay_id: PayId(pay_id), fare: Fare(row.fare) },
            None => Standing::Void,
        })
    }

    pub(super) async fn get(&self, id: PayId) -> Result<Option<Payment>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select c.pay_id as "pay_id!", c.call_id as "call_id!", c.fare as "fare!",
                    c.entered_at as "paid_at!", r.fare as "refunded?",
                    r.entered_at as "refunded_at?", r.reason as "reason?"
             from taxisvc.payment c
             left join taxisvc.payment r on r.call_id = c.call_id and r.kind = 'refund'
             where c.pay_id = $1"#,
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Payment::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Payment>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from taxisvc.payment where pay_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select c.pay_id as "pay_id!", c.call_id as "call_id!", c.fare as "fare!",
                    c.entered_at as "paid_at!", r.fare as "refunded?",
                    r.entered_at as "refunded_at?", r.reason as "reason?"
             from taxisvc.payment c
             left join taxisvc.payment r on r.call_id = c.call_id and r.kind = 'refund'
             where c.pay_id is not null
             order by c.pay_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Payment::from).collect(), total })
    }
}
