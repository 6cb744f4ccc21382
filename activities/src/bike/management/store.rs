use hansom_workflows::bike::{BikeId, HoldBike, NoBike, ReserveNo};
use sqlx::PgPool;

use super::{Bike, Registration};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `bike.management` and `bike.hold`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// What became of a reservation that asked for a bike.
pub(super) enum Standing {
    /// It has it, or had it.
    Held,
    /// It has none, and never will.
    Refused(NoBike),
}

struct Row {
    bike_id: i64,
    color: String,
    registered_date: String,
    is_reserved: bool,
}

impl From<Row> for Bike {
    fn from(row: Row) -> Self {
        Self {
            bike_id: BikeId(row.bike_id),
            color: row.color,
            registered_date: row.registered_date,
            is_reserved: row.is_reserved,
        }
    }
}

impl Store {
    /// A new bike; none when its key was used before.
    pub(super) async fn register(&self, new: &Registration) -> Result<Option<BikeId>, StoreError> {
        // A repetition is looked for first, so that it takes no number.
        let id = sqlx::query_scalar!(
            "insert into bike.management (color, registered_date, idempotency_key)
             select $1, $2, $3::text
             where not exists (select from bike.management where idempotency_key = $3)
             on conflict (idempotency_key) do nothing
             returning bike_id",
            new.color,
            new.registered_date,
            new.key,
        );
        Ok(id.fetch_optional(&self.0).await?.map(BikeId))
    }

    /// The bike that was registered with that key, if it is the same.
    pub(super) async fn registered(
        &self,
        new: &Registration,
    ) -> Result<Option<BikeId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select bike_id from bike.management
             where idempotency_key = $3 and color = $1 and registered_date = $2",
            new.color,
            new.registered_date,
            new.key,
        );
        Ok(id.fetch_optional(&self.0).await?.map(BikeId))
    }

    /// What is none stays.
    pub(super) async fn change(
        &self,
        id: BikeId,
        color: Option<&str>,
        registered_date: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update bike.management set color = coalesce($2, color),
                 registered_date = coalesce($3, registered_date)
             where bike_id = $1",
            id.0,
            color,
            registered_date,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Whether it holds the bike now. One bike is held once, which its index says.
    pub(super) async fn hold(&self, ask: HoldBike, run: &str) -> Result<bool, StoreError> {
        let held = sqlx::query!(
            "insert into bike.hold (reserve_no, run, bike_id, state)
             select $1, $2, bike_id, 'held' from bike.management where bike_id = $3
             on conflict do nothing",
            ask.reserve_no.0,
            run,
            ask.bike_id.0,
        );
        Ok(held.execute(&self.0).await?.rows_affected() == 1)
    }

    /// Refuses the reservation for good, unless something is written down of it.
    pub(super) async fn refuse(&self, ask: HoldBike, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into bike.hold (reserve_no, run, state)
             select $1, $2, case when exists (select from bike.management where bike_id = $3)
                                 then 'taken' else 'unknown' end
             on conflict (reserve_no) do nothing",
            ask.reserve_no.0,
            run,
            ask.bike_id.0,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// After [`Self::hold`] or [`Self::refuse`].
    pub(super) async fn standing(&self, id: ReserveNo, run: &str) -> Result<Standing, StoreError> {
        let row = sqlx::query!(
            r#"select state, run = $2 and bike_id is not null as "held!"
             from bike.hold where reserve_no = $1"#,
            id.0,
            run,
        );
        let row = row.fetch_one(&self.0).await?;
        Ok(match row.state.as_str() {
            _ if row.held => Standing::Held,
            "unknown" => Standing::Refused(NoBike::Unknown),
            _ => Standing::Refused(NoBike::Held),
        })
    }

    /// Frees what this run held; what it did not, it never will.
    pub(super) async fn free(&self, id: ReserveNo, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into bike.hold (reserve_no, run, state) values ($1, $2, 'free')
             on conflict (reserve_no) do update set state = excluded.state
                 where hold.run = excluded.run and hold.state = 'held'",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: BikeId) -> Result<Option<Bike>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select bike_id, color, registered_date,
                    exists (select from bike.hold
                            where hold.bike_id = m.bike_id and state = 'held') as "is_reserved!"
             from bike.management m where bike_id = $1"#,
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Bike::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Bike>, StoreError> {
        let total = sqlx::query_scalar!(r#"select count(*) as "count!" from bike.management"#);
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select bike_id, color, registered_date,
                    exists (select from bike.hold
                            where hold.bike_id = m.bike_id and state = 'held') as "is_reserved!"
             from bike.management m order by bike_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Bike::from).collect(), total })
    }
}
