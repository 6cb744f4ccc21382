use chrono::{DateTime, Utc};
use hansom_workflows::bike::{self, BikeId, ReserveNo, ReserveStatus, UserId};
use sqlx::PgPool;

use super::Reservation;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `bike.reservation`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    reserve_no: i64,
    user_id: i64,
    bike_id: i64,
    status: Option<String>,
    reserved_at: Option<DateTime<Utc>>,
    returned_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> Result<Reservation, sqlx::Error> {
        let status = self.status.map(|text| ReserveStatus::parse(&text).ok_or(text));
        let unknown = |text| sqlx::Error::Decode(format!("reservation: {text}").into());
        Ok(Reservation {
            reserve_no: ReserveNo(self.reserve_no),
            user_id: UserId(self.user_id),
            bike_id: BikeId(self.bike_id),
            status: status.transpose().map_err(unknown)?,
            reserved_at: self.reserved_at,
            returned_at: self.returned_at,
        })
    }
}

impl Store {
    /// Whether the reservation belongs to this run, now or before; to another run it stays.
    pub(super) async fn create(
        &self,
        new: &bike::Reservation,
        run: &str,
    ) -> Result<bool, StoreError> {
        let created = sqlx::query!(
            "insert into bike.reservation (reserve_no, run, user_id, bike_id)
             values ($1, $2, $3, $4)
             on conflict (reserve_no) do update set run = excluded.run
                 where reservation.run = excluded.run and reservation.user_id is not null",
            new.reserve_no.0,
            run,
            new.user_id.0,
            new.bike_id.0,
        );
        Ok(created.execute(&self.0).await?.rows_affected() == 1)
    }

    /// Leaves a tombstone of this run, unless the reservation is written down.
    pub(super) async fn cancel_uncreated(
        &self,
        id: ReserveNo,
        run: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into bike.reservation (reserve_no, run, status) values ($1, $2, '예약취소')
             on conflict (reserve_no) do nothing",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Changes the status of this run's reservation, if it is one of those expected.
    pub(super) async fn mark(
        &self,
        id: ReserveNo,
        run: &str,
        to: ReserveStatus,
        from: &'static [&'static str],
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update bike.reservation
             set status = $3,
                 reserved_at = case when $3 = '예약시작' then clock_timestamp()
                                    else reserved_at end,
                 returned_at = case when $3 = '사용완료' then clock_timestamp()
                                    else returned_at end
             where reserve_no = $1 and run = $2 and coalesce(status, 'created') = any($4)",
            id.0,
            run,
            to.as_str(),
            from as _,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: ReserveNo) -> Result<Option<Reservation>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select reserve_no, user_id as "user_id!", bike_id as "bike_id!", status,
                    reserved_at, returned_at
             from bike.reservation where reserve_no = $1 and user_id is not null"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Reservation>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from bike.reservation where user_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select reserve_no, user_id as "user_id!", bike_id as "bike_id!", status,
                    reserved_at, returned_at
             from bike.reservation where user_id is not null
             order by reserve_no limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
