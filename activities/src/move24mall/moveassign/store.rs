use hansom_workflows::move_order::{AssignmentStatus, Mover, OrderId};
use sqlx::PgPool;

use super::Assignment;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `move.moverassign` and `move.pool`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// What became of an order that was picked for.
pub(super) enum Standing {
    /// This run has this mover.
    Ours(Mover),
    /// It is another run's, or was released.
    Taken,
}

struct Row {
    order_id: i64,
    plate: String,
    mover: String,
    mover_tel: String,
    status: String,
}

impl Row {
    fn read(self) -> Result<Assignment, sqlx::Error> {
        let status = AssignmentStatus::parse(&self.status);
        let unknown = || sqlx::Error::Decode(format!("assignment: {}", self.status).into());
        Ok(Assignment {
            order_id: OrderId(self.order_id),
            status: status.ok_or_else(unknown)?,
            mover: Mover { plate: self.plate, name: self.mover, tel: self.mover_tel },
        })
    }
}

impl Store {
    /// Any of the pool, unless somebody was picked or released before.
    pub(super) async fn pick(&self, id: OrderId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into move.moverassign (order_id, run, status, plate, mover, mover_tel)
             select $1, $2, '할당확정', plate, mover, mover_tel
             from move.pool order by random() limit 1
             on conflict do nothing",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn standing(
        &self,
        id: OrderId,
        run: &str,
    ) -> Result<Option<Standing>, StoreError> {
        let row = sqlx::query!(
            r#"select plate, mover, mover_tel, run = $2 and status = '할당확정' as "ours!"
             from move.moverassign where order_id = $1"#,
            id.0,
            run,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(|row| match (row.plate, row.mover, row.mover_tel) {
            (Some(plate), Some(name), Some(tel)) if row.ours => {
                Standing::Ours(Mover { plate, name, tel })
            }
            _ => Standing::Taken,
        }))
    }

    /// Lets go of whom this run picked; who was not picked never is.
    pub(super) async fn release(&self, id: OrderId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into move.moverassign (order_id, run, status) values ($1, $2, '할당취소')
             on conflict (order_id) do update set status = excluded.status
                 where moverassign.run = excluded.run",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: OrderId) -> Result<Option<Assignment>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select order_id, plate as "plate!", mover as "mover!", mover_tel as "mover_tel!",
                    status
             from move.moverassign where order_id = $1 and plate is not null"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Assignment>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from move.moverassign where plate is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select order_id, plate as "plate!", mover as "mover!", mover_tel as "mover_tel!",
                    status
             from move.moverassign where plate is not null
             order by order_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
