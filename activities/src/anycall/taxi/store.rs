use hansom_workflows::anycall_ride::{
    AssignTaxi, AttachMember, CallId, CloseDispatch, MarkEnded, MarkStarted, MemberId,
    OpenDispatch, RecordTrip, ScoreTaxi, TripCount, UnassignTaxi,
};
use sqlx::PgPool;

use super::Dispatch;
use crate::StoreError;
use crate::page::{Page, Paged};

/// `anycall.taxi` and `anycall.trip`. Each change is one statement, guarded by the run whose row
/// it is and by where that is: one that comes late, or twice, changes nothing.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    call_id: i64,
    member_id: i64,
    member_name: Option<String>,
    phone_number: Option<String>,
    credit_card_number: Option<String>,
    friend_phone_number: Option<String>,
    start_address: String,
    end_address: String,
    call_status: String,
    taxi_number: Option<String>,
    taxi_info: Option<String>,
    taxi_status: Option<String>,
    pay_amt: Option<i64>,
    estimate_score: Option<String>,
}

impl From<Row> for Dispatch {
    fn from(row: Row) -> Self {
        Self {
            call_id: CallId(row.call_id),
            member_id: MemberId(row.member_id),
            member_name: row.member_name,
            phone_number: row.phone_number,
            credit_card_number: row.credit_card_number,
            friend_phone_number: row.friend_phone_number,
            start_address: row.start_address,
            end_address: row.end_address,
            call_status: row.call_status,
            taxi_number: row.taxi_number,
            taxi_info: row.taxi_info,
            taxi_status: row.taxi_status,
            pay_amt: row.pay_amt,
            estimate_score: row.estimate_score,
        }
    }
}

impl Store {
    pub(super) async fn open(&self, ask: &OpenDispatch, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into anycall.taxi
                 (call_id, run, member_id, start_address, end_address, call_status)
             values ($1, $2, $3, $4, $5, '택시호출')
             on conflict (call_id) do nothing",
            ask.call.call_id.0,
            run,
            ask.call.member_id.0,
            ask.call.start_address,
            ask.call.end_address,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// An upsert: what was not opened yet stays closed.
    pub(super) async fn close(&self, ask: &CloseDispatch, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into anycall.taxi (call_id, run, call_status) values ($1, $2, '택시호출취소')
             on conflict (call_id) do update set call_status = excluded.call_status
                 where taxi.run = excluded.run",
            ask.call_id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn attach(&self, ask: &AttachMember, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set member_name = $3, phone_number = $4,
                 credit_card_number = $5, friend_phone_number = $6
             where call_id = $1 and run = $2 and member_name is null",
            ask.call_id.0,
            run,
            ask.member.name,
            ask.member.phone_number,
            ask.member.masked_card,
            ask.member.friend_phone_number,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn assign(&self, ask: &AssignTaxi, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set taxi_number = $3, taxi_info = $4,
                 call_status = '배정됨', taxi_status = '배정됨'
             where call_id = $1 and run = $2 and call_status = '택시호출' and not unassigned",
            ask.call_id.0,
            run,
            ask.taxi.taxi_number,
            ask.taxi.taxi_info,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn unassign(&self, ask: &UnassignTaxi, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set unassigned = true,
                 taxi_number = null, taxi_info = null, taxi_status = null,
                 call_status = case call_status when '배정됨' then '택시호출' else call_status end
             where call_id = $1 and run = $2",
            ask.call_id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn start(&self, ask: &MarkStarted, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set taxi_status = '운행시작'
             where call_id = $1 and run = $2 and taxi_status = '배정됨'",
            ask.call_id.0,
            run,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn end(&self, ask: &MarkEnded, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set taxi_status = '운행종료', pay_amt = $3
             where call_id = $1 and run = $2 and taxi_status in ('배정됨', '운행시작')",
            ask.call_id.0,
            run,
            ask.pay_amt.0,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    pub(super) async fn score(&self, ask: &ScoreTaxi, run: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update anycall.taxi set estimate_score = $3
             where call_id = $1 and run = $2 and estimate_score is null",
            ask.call_id.0,
            run,
            ask.estimate_score,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Counts the trip, and says which of its member's it is. Two of one member at a time may
    /// get the same number: it is a statistic.
    pub(super) async fn record(
        &self,
        ask: &RecordTrip,
        _run: &str,
    ) -> Result<TripCount, StoreError> {
        let ordinal = sqlx::query_scalar!(
            "insert into anycall.trip (call_id, member_id, ordinal, pay_amt)
             select $1, $2, count(*) + 1, $3 from anycall.trip where member_id = $2
             on conflict (call_id) do update set call_id = excluded.call_id
             returning ordinal",
            ask.call_id.0,
            ask.member_id.0,
            ask.pay_amt.0,
        );
        Ok(TripCount(ordinal.fetch_one(&self.0).await?))
    }

    pub(super) async fn get(&self, id: CallId) -> Result<Option<Dispatch>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"select call_id, member_id as "member_id!", member_name, phone_number,
                    credit_card_number, friend_phone_number, start_address as "start_address!",
                    end_address as "end_address!", call_status, taxi_number, taxi_info,
                    taxi_status, pay_amt, estimate_score
             from anycall.taxi where call_id = $1 and member_id is not null"#,
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(Dispatch::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<Dispatch>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from anycall.taxi where member_id is not null"#
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select call_id, member_id as "member_id!", member_name, phone_number,
                    credit_card_number, friend_phone_number, start_address as "start_address!",
                    end_address as "end_address!", call_status, taxi_number, taxi_info,
                    taxi_status, pay_amt, estimate_score
             from anycall.taxi where member_id is not null
             order by call_id limit $1 offset $2"#,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(Dispatch::from).collect(), total })
    }
}
