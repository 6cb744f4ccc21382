use hansom_workflows::bike::{IncreasePoints, Points, ReserveNo, UsePoints, UserId};
use sqlx::PgPool;

use super::Balance;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `bike.point` and its ledger, `bike.point_entry`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    user_id: i64,
    total_point: i64,
}

impl From<Row> for Balance {
    fn from(row: Row) -> Self {
        Self { user_id: UserId(row.user_id), total: Points(row.total_point) }
    }
}

impl Store {
    /// Gives points, and an account to who had none; nothing, when this purchase has given them.
    pub(super) async fn increase(&self, ask: IncreasePoints, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "with entered as (
                 insert into bike.point_entry (account, run, kind, user_id, points)
                 values ($1, $2, 'increase', $3, $4)
                 on conflict do nothing
                 returning user_id, points
             )
             insert into bike.point (user_id, total_point)
             select user_id, points from entered
             on conflict (user_id) do update
                 set total_point = point.total_point + excluded.total_point",
            ask.confirm_id.workflow_id(),
            run,
            ask.user_id.0,
            ask.points.0,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Whether the points are this reservation's, now or before. A refusal is written down too:
    /// a request that is still on its way must not take them after all.
    ///
    /// The entry comes first: two requests of one reservation wait for each other there.
    pub(super) async fn spend(&self, ask: UsePoints, run: &str) -> Result<bool, StoreError> {
        let account = ask.reserve_no.workflow_id();
        let mut tx = self.0.begin().await?;
        let entered = sqlx::query!(
            "insert into bike.point_entry (account, run, kind, user_id, points)
             values ($1, $2, 'use', $3, $4)
             on conflict do nothing",
            account,
            run,
            ask.user_id.0,
            ask.points.0,
        )
        .execute(&mut *tx)
        .await?;
        if entered.rows_affected() == 1 {
            let taken = sqlx::query!(
                "update bike.point set total_point = total_point - $2
                 where user_id = $1 and total_point >= $2",
                ask.user_id.0,
                ask.points.0,
            );
            if taken.execute(&mut *tx).await?.rows_affected() == 0 {
                let refused = sqlx::query!(
                    "update bike.point_entry set kind = 'void'
                     where account = $1 and kind = 'use'",
                    account,
                );
                refused.execute(&mut *tx).await?;
            }
        }
        let spent = sqlx::query_scalar!(
            r#"select exists (select from bike.point_entry
                              where account = $1 and run = $2 and kind = 'use') as "spent!""#,
            account,
            run,
        );
        let spent = spent.fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(spent)
    }

    /// Sees to it that no points are spent on the reservation, unless they are already.
    pub(super) async fn void(&self, id: ReserveNo, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into bike.point_entry (account, run, kind, points) values ($1, $2, 'void', 0)
             on conflict do nothing",
            id.workflow_id(),
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Gives back what this run spent, if anything, once.
    pub(super) async fn give_back(&self, id: ReserveNo, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "with entered as (
                 insert into bike.point_entry (account, run, kind, user_id, points)
                 select account, run, 'return', user_id, points
                 from bike.point_entry where account = $1 and run = $2 and kind = 'use'
                 on conflict do nothing
                 returning user_id, points
             )
             update bike.point set total_point = total_point + entered.points
             from entered where point.user_id = entered.user_id",
            id.workflow_id(),
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: UserId) -> Result<Option<Balance>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "select user_id, total_point from bike.point where user_id = $1",
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Balance::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Balance>, StoreError> {
        let total = sqlx::query_scalar!(r#"select count(*) as "count!" from bike.point"#);
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            "select user_id, total_point from bike.point order by user_id limit $1 offset $2",
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Balance::from).collect(), total })
    }
}
