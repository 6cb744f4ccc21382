use hansom_workflows::taxi_call::{self, CallId, CallStatus, Distance};
use sqlx::PgPool;

use super::Call;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `taxisvc.call`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

/// A change of status.
pub(super) struct Move {
    pub(super) to: &'static str,
    /// Only from one of these.
    pub(super) from: &'static [&'static str],
    /// What is published with it.
    pub(super) event: Option<&'static str>,
}

struct Row {
    call_id: i64,
    user_id: String,
    user_name: String,
    distance: i64,
    status: Option<String>,
}

impl Row {
    fn read(self) -> Result<Call, sqlx::Error> {
        let distance = Distance::try_from(self.distance).map_err(|e| sqlx::Error::Decode(e.into()));
        let status = match self.status {
            None => None,
            Some(text) => Some(
                CallStatus::parse(&text)
                    .ok_or_else(|| sqlx::Error::Decode(format!("call status {text}").into()))?,
            ),
        };
        Ok(Call {
            call_id: CallId(self.call_id),
            user_id: self.user_id,
            user_name: self.user_name,
            distance: distance?,
            status,
        })
    }
}

impl Store {
    /// Whether the call belongs to this run, now or before; to another run it stays.
    pub(super) async fn register(
        &self,
        call: &taxi_call::Call,
        run: &str,
    ) -> Result<bool, StoreError> {
        let registered = sqlx::query!(
            "insert into taxisvc.call (call_id, run, user_id, user_name, distance)
             values ($1, $2, $3, $4, $5)
             on conflict (call_id) do update set run = excluded.run
                 where call.run = excluded.run",
            call.call_id.0,
            run,
            call.user_id,
            call.user_name,
            call.distance.hundredths(),
        )
        .execute(&self.0)
        .await?;
        Ok(registered.rows_affected() == 1)
    }

    /// Leaves a tombstone of this run, unless the call is registered.
    pub(super) async fn cancel_unregistered(
        &self,
        id: CallId,
        run: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into taxisvc.call (call_id, run, status) values ($1, $2, 'requestCancel')
             on conflict (call_id) do nothing",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Changes the status of this run's call, if it is one of those expected, with its event.
    pub(super) async fn move_to(
        &self,
        id: CallId,
        run: &str,
        step: Move,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "with moved as (
                 update taxisvc.call
                 set status = $2,
                     placed_at = case when $2 = 'driveRequest' then clock_timestamp()
                                      else placed_at end
                 where call_id = $1 and run = $5
                     and coalesce(status, 'registered') = any($3)
                 returning *
             )
             insert into taxisvc.event (event_type, payload)
             select $4::text, taxisvc.call_payload(moved) from moved where $4 is not null",
            id.0,
            step.to,
            step.from as _,
            step.event,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select call_id, user_id as "user_id!", user_name as "user_name!",
                    distance as "distance!", status
             from taxisvc.call
             where call_id = $1 and distance is not null"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Call>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from taxisvc.call where distance is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select call_id, user_id as "user_id!", user_name as "user_name!",
                    distance as "distance!", status
             from taxisvc.call where distance is not null
             order by call_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
