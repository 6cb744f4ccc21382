use hansom_workflows::bike::{ConfirmId, Purchase, UserId};
use hansom_workflows::payment::Won;
use sqlx::PgPool;

use super::Approval;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `bike.approval`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    confirm_id: i64,
    user_id: i64,
    price: i64,
    approve_date: String,
    is_cancelled: bool,
}

impl From<Row> for Approval {
    fn from(row: Row) -> Self {
        let purchase = Purchase {
            confirm_id: ConfirmId(row.confirm_id),
            user_id: UserId(row.user_id),
            price: Won(row.price),
            approve_date: row.approve_date,
        };
        Self { purchase, is_cancelled: row.is_cancelled }
    }
}

impl Store {
    /// Whether the purchase belongs to this run, and is not cancelled, now or before.
    pub(super) async fn create(&self, new: &Purchase, run: &str) -> Result<bool, StoreError> {
        let created = sqlx::query!(
            "insert into bike.approval
                 (confirm_id, run, user_id, price, approve_date, is_cancelled)
             values ($1, $2, $3, $4, $5, false)
             on conflict (confirm_id) do update set run = excluded.run
                 where approval.run = excluded.run and not approval.is_cancelled",
            new.confirm_id.0,
            run,
            new.user_id.0,
            new.price.0,
            new.approve_date,
        );
        Ok(created.execute(&self.0).await?.rows_affected() == 1)
    }

    /// Cancels what this run wrote down; what it did not, it never will.
    pub(super) async fn cancel(&self, id: ConfirmId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into bike.approval (confirm_id, run, is_cancelled) values ($1, $2, true)
             on conflict (confirm_id) do update set is_cancelled = true
                 where approval.run = excluded.run",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: ConfirmId) -> Result<Option<Approval>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select confirm_id, user_id as "user_id!", price as "price!",
                    approve_date as "approve_date!", is_cancelled
             from bike.approval where confirm_id = $1 and user_id is not null"#,
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Approval::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Approval>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from bike.approval where user_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select confirm_id, user_id as "user_id!", price as "price!",
                    approve_date as "approve_date!", is_cancelled
             from bike.approval where user_id is not null
             order by confirm_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Approval::from).collect(), total })
    }
}
