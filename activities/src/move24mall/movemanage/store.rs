use hansom_workflows::move_order::{Mover, Order, OrderId, RequestStatus};
use hansom_workflows::payment::Won;
use sqlx::PgPool;

use super::Request;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `move.movermanage`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    order_id: i64,
    tel: String,
    location: String,
    cost: i64,
    status: String,
    plate: Option<String>,
    mover: Option<String>,
    mover_tel: Option<String>,
}

impl Row {
    fn read(self) -> Result<Request, sqlx::Error> {
        let status = RequestStatus::parse(&self.status);
        let unknown = || sqlx::Error::Decode(format!("request: {}", self.status).into());
        let mover = match (self.plate, self.mover, self.mover_tel) {
            (Some(plate), Some(name), Some(tel)) => Some(Mover { plate, name, tel }),
            _ => None,
        };
        Ok(Request {
            order_id: OrderId(self.order_id),
            tel: self.tel,
            location: self.location,
            cost: Won(self.cost),
            status: status.ok_or_else(unknown)?,
            mover,
        })
    }
}

impl Store {
    /// Whether the request belongs to this run, and is not cancelled, now or before.
    pub(super) async fn request(&self, order: &Order, run: &str) -> Result<bool, StoreError> {
        let requested = sqlx::query!(
            "insert into move.movermanage (order_id, run, tel, location, cost, status)
             values ($1, $2, $3, $4, $5, '호출중')
             on conflict (order_id) do update set run = excluded.run
                 where movermanage.run = excluded.run and movermanage.status <> '호출요청취소됨'",
            order.order_id.0,
            run,
            order.tel,
            order.location,
            order.cost.0,
        )
        .execute(&self.0)
        .await?;
        Ok(requested.rows_affected() == 1)
    }

    pub(super) async fn confirm(
        &self,
        id: OrderId,
        run: &str,
        mover: &Mover,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update move.movermanage
             set status = '호출확정', plate = $3, mover = $4, mover_tel = $5
             where order_id = $1 and run = $2 and status = '호출중'",
            id.0,
            run,
            mover.plate,
            mover.name,
            mover.tel,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Cancels what this run requested; what it did not, it never will.
    pub(super) async fn cancel(&self, id: OrderId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into move.movermanage (order_id, run, status)
             values ($1, $2, '호출요청취소됨')
             on conflict (order_id) do update set status = excluded.status
                 where movermanage.run = excluded.run",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Option<Request>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select order_id, tel as "tel!", location as "location!", cost as "cost!", status,
                    plate, mover, mover_tel
             from move.movermanage where order_id = $1 and tel is not null"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Request>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from move.movermanage where tel is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select order_id, tel as "tel!", location as "location!", cost as "cost!", status,
                    plate, mover, mover_tel
             from move.movermanage where tel is not null
             order by order_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
