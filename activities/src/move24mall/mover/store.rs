use hansom_workflows::move_order::{MoveType, Order, OrderId, OrderStatus};
use hansom_workflows::payment::Won;
use sqlx::PgPool;

use super::Mover;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `move.mover`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    order_id: i64,
    tel: String,
    location: String,
    cost: i64,
    move_type: Option<String>,
    status: String,
}

impl Row {
    fn read(self) -> Result<Mover, sqlx::Error> {
        let unknown = |what: &str| sqlx::Error::Decode(format!("mover: {what}").into());
        let status = OrderStatus::parse(&self.status).ok_or_else(|| unknown(&self.status))?;
        let move_type = self.move_type.map(|text| MoveType::parse(&text).ok_or(text));
        Ok(Mover {
            order_id: OrderId(self.order_id),
            tel: self.tel,
            location: self.location,
            cost: Won(self.cost),
            move_type: move_type.transpose().map_err(|text| unknown(&text))?,
            status,
        })
    }
}

impl Store {
    /// Whether the order belongs to this run, and is not cancelled, now or before.
    pub(super) async fn place(&self, order: &Order, run: &str) -> Result<bool, StoreError> {
        let placed = sqlx::query!(
            "insert into move.mover (order_id, run, tel, location, cost, move_type, status)
             values ($1, $2, $3, $4, $5, $6, '호출')
             on conflict (order_id) do update set run = excluded.run
                 where mover.run = excluded.run and mover.status <> '호출취소'",
            order.order_id.0,
            run,
            order.tel,
            order.location,
            order.cost.0,
            order.move_type.map(MoveType::as_str),
        )
        .execute(&self.0)
        .await?;
        Ok(placed.rows_affected() == 1)
    }

    pub(super) async fn confirm(&self, id: OrderId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update move.mover set status = '호출확정'
             where order_id = $1 and run = $2 and status = '호출'",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Cancels what this run placed; what it did not, it never will.
    pub(super) async fn cancel(&self, id: OrderId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into move.mover (order_id, run, status) values ($1, $2, '호출취소')
             on conflict (order_id) do update set status = excluded.status
                 where mover.run = excluded.run",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Option<Mover>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select order_id, tel as "tel!", location as "location!", cost as "cost!",
                    move_type, status
             from move.mover where order_id = $1 and status <> '호출취소'"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Mover>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from move.mover where status <> '호출취소'"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select order_id, tel as "tel!", location as "location!", cost as "cost!",
                    move_type, status
             from move.mover where status <> '호출취소'
             order by order_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
