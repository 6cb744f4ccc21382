use hansom_workflows::taxi_call::{CallId, DriveId, Fare};
use sqlx::PgPool;

use super::{Drive, DriveStatus};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `taxisvc.drive`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// A drive to be.
pub(super) struct Request<'a> {
    pub(super) run: &'a str,
    pub(super) driver_name: &'a str,
    pub(super) taxi_num: &'a str,
    pub(super) fare: Fare,
}

struct Row {
    drive_id: i64,
    call_id: i64,
    driver_name: String,
    taxi_num: String,
    fare: i64,
    status: String,
}

impl Row {
    fn read(self) -> Result<Drive, sqlx::Error> {
        let status = DriveStatus::parse(&self.status)
            .ok_or_else(|| sqlx::Error::Decode(format!("drive status {}", self.status).into()))?;
        Ok(Drive {
            drive_id: DriveId(self.drive_id),
            call_id: CallId(self.call_id),
            driver_name: self.driver_name,
            taxi_num: self.taxi_num,
            fare: Fare(self.fare),
            status,
        })
    }
}

impl Store {
    /// Writes the drive down and publishes it; nothing, when the call has one or was released.
    pub(super) async fn request(
        &self,
        id: CallId,
        drive: Request<'_>,
        status: &str,
        event: &str,
    ) -> Result<Option<DriveId>, StoreError> {
        let drive_id = sqlx::query_scalar!(
            r#"with requested as (
                 insert into taxisvc.drive
                     (call_id, run, drive_id, driver_name, taxi_num, fare, status)
                 select $1, $7, nextval('taxisvc.drive_id'), $2, $3, $4, $5
                 where not exists (select from taxisvc.drive where call_id = $1)
                 on conflict do nothing
                 returning *
             ), published as (
                 insert into taxisvc.event (event_type, payload)
                 select $6, taxisvc.drive_payload(requested) from requested
             )
             select drive_id as "drive_id!" from requested"#,
            id.0,
            drive.driver_name,
            drive.taxi_num,
            drive.fare.0,
            status,
            event,
            drive.run,
        )
        .fetch_optional(&self.0)
        .await?;
        Ok(drive_id.map(DriveId))
    }

    /// Lets this run's driver go, or leaves a tombstone. A drive that ended stays ended.
    pub(super) async fn release(&self, id: CallId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into taxisvc.drive (call_id, run, status) values ($1, $2, 'requestCancel')
             on conflict (call_id) do update set status = excluded.status
                 where drive.status = 'start' and drive.run = excluded.run",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Ends this run's drive that is under way, and publishes it.
    pub(super) async fn complete(&self, id: CallId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "with ended as (
                 update taxisvc.drive set status = 'end'
                 where call_id = $1 and run = $2 and status = 'start'
                 returning *
             )
             insert into taxisvc.event (event_type, payload)
             select 'DrivieEnded', taxisvc.drive_payload(ended) from ended",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// This run's drive for the call.
    pub(super) async fn of_call(&self, id: CallId, run: &str) -> Result<Option<Drive>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select drive_id as "drive_id!", call_id, driver_name as "driver_name!",
                    taxi_num as "taxi_num!", fare as "fare!", status
             from taxisvc.drive where call_id = $1 and run = $2 and drive_id is not null"#,
            id.0,
            run,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn get(&self, id: DriveId) -> Result<Option<Drive>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select drive_id as "drive_id!", call_id, driver_name as "driver_name!",
                    taxi_num as "taxi_num!", fare as "fare!", status
             from taxisvc.drive where drive_id = $1"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Drive>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from taxisvc.drive where drive_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select drive_id as "drive_id!", call_id, driver_name as "driver_name!",
                    taxi_num as "taxi_num!", fare as "fare!", status
             from taxisvc.drive where drive_id is not null
             order by drive_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
