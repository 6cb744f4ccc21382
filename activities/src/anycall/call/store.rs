use hansom_workflows::anycall_ride::{Call, CallId, CallStatus, MemberId};
use sqlx::PgPool;

use super::Placed;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `anycall.call`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    call_id: i64,
    member_id: i64,
    phone_number: String,
    start_address: String,
    end_address: String,
    status: String,
}

impl Row {
    fn read(self) -> Result<Placed, sqlx::Error> {
        let status = CallStatus::parse(&self.status)
            .ok_or_else(|| sqlx::Error::Decode(format!("call status {}", self.status).into()))?;
        let call = Call {
            call_id: CallId(self.call_id),
            member_id: MemberId(self.member_id),
            phone_number: self.phone_number,
            start_address: self.start_address,
            end_address: self.end_address,
        };
        Ok(Placed { call, status })
    }
}

impl Store {
    /// Whether the call belongs to this run, now or before; to another run it stays.
    pub(super) async fn place(&self, call: &Call, run: &str) -> Result<bool, StoreError> {
        let placed = sqlx::query!(
            "insert into anycall.call
                 (call_id, run, member_id, phone_number, start_address, end_address, status)
             values ($1, $2, $3, $4, $5, $6, '택시호출')
             on conflict (call_id) do update set run = excluded.run
                 where call.run = excluded.run",
            call.call_id.0,
            run,
            call.member_id.0,
            call.phone_number,
            call.start_address,
            call.end_address,
        )
        .execute(&self.0)
        .await?;
        Ok(placed.rows_affected() == 1)
    }

    /// Leaves a tombstone of this run, unless the call is placed.
    pub(super) async fn withdraw_unplaced(&self, id: CallId, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into anycall.call (call_id, run, status) values ($1, $2, '호출취소')
             on conflict (call_id) do nothing",
            id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Changes the status of this run's call, unless it is final.
    pub(super) async fn move_to(
        &self,
        id: CallId,
        run: &str,
        to: CallStatus,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.call set status = $3
             where call_id = $1 and run = $2 and status = '택시호출'",
            id.0,
            run,
            to.as_str(),
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: CallId) -> Result<Option<Placed>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select call_id, member_id as "member_id!", phone_number as "phone_number!",
                    start_address as "start_address!", end_address as "end_address!", status
             from anycall.call where call_id = $1 and member_id is not null"#,
            id.0,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Placed>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from anycall.call where member_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select call_id, member_id as "member_id!", phone_number as "phone_number!",
                    start_address as "start_address!", end_address as "end_address!", status
             from anycall.call where member_id is not null
             order by call_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
