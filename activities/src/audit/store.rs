use sqlx::PgConnection;

use super::Holding;
use crate::StoreError;

/// The tables of all services, read through a cursor.
pub(super) struct Store<'a>(&'a mut PgConnection);

/// So many holdings at a time.
const PAGE: &str = "fetch 1000 from holdings";

/// For each saga of each system what its services have on its account.
const HOLDINGS: &str = "
declare holdings no scroll cursor for
with paid as (
    select account as workflow_id, sum(amount) filter (where kind = 'charge') as taken,
           sum(amount) filter (where kind = 'refund') as given_back
    from payment.entry group by account
), bought as (
    -- A ride, or points, for what was paid.
    select 'anycall.call.' || call_id as workflow_id,
           case when taxi_status = '운행종료' then pay_amt end as earned,
           case when taxi_status in ('배정됨', '운행시작') then 'taxi ' || taxi_number
                when call_status = '택시호출' then 'a dispatch' end as held
    from anycall.taxi
    union all
    select account, points, null from bike.point_entry where kind = 'increase'
), spent as (
    select account as workflow_id, sum(points) filter (where kind = 'use') as taken,
           sum(points) filter (where kind = 'return') as given_back
    from bike.point_entry where kind in ('use', 'return') group by account
), reserved as (
    select 'bike.reservation.' || r.reserve_no as workflow_id, r.status,
           case when h.state = 'held' then 'bike ' || h.bike_id end as held
    from bike.reservation r left join bike.hold h using (reserve_no)
)
select 'taxisvc.call.' || call_id as workflow_id, coalesce(p.run, d.run) as run, 'KRW' as currency,
       coalesce(p.taken, 0)::bigint as taken, coalesce(p.given_back, 0)::bigint as given_back,
       coalesce(case when d.status = 'end' then d.fare end, 0)::bigint as earned,
       case when d.status = 'start' then 'drive ' || d.drive_id end as held,
       null::text as kept
from (
    select call_id, max(run) filter (where kind = 'charge') as run,
           sum(fare) filter (where kind = 'charge') as taken,
           sum(fare) filter (where kind = 'refund') as given_back
    from taxisvc.payment group by call_id
) p full join taxisvc.drive d using (call_id)
where p.taken is not null or d.drive_id is not null
union all
select workflow_id, null, 'KRW', coalesce(taken, 0)::bigint, coalesce(given_back, 0)::bigint,
       coalesce(earned, 0)::bigint, held, null
from paid full join bought using (workflow_id)
where taken is not null or earned is not null or held is not null
union all
select workflow_id, null, 'points', coalesce(taken, 0)::bigint, coalesce(given_back, 0)::bigint,
       coalesce(case when status = '사용완료' then taken end, 0)::bigint, held, null
from spent full join reserved using (workflow_id)
where taken is not null or held is not null
union all
select 'move.order.' || order_id, null, 'KRW', 0, 0, 0, null, 'mover ' || plate
from move.moverassign where status = '할당확정'";

/// Balances that are not what their entries add up to.
const WRONG: &str = "
select format('user %s has %s points, and the entries add up to %s', user_id,
              coalesce(p.total_point, 0), coalesce(e.points, 0))
from bike.point p full join (
    select user_id, sum(case kind when 'use' then -points else points end) as points
    from bike.point_entry where kind <> 'void' group by user_id
) e using (user_id)
where coalesce(p.total_point, 0) <> coalesce(e.points, 0) or p.total_point < 0";

impl<'a> Store<'a> {
    pub(super) async fn open(connection: &'a mut PgConnection) -> Result<Self, StoreError> {
        sqlx::raw_sql(HOLDINGS).execute(&mut *connection).await?;
        Ok(Self(connection))
    }

    pub(super) async fn next(&mut self) -> Result<Vec<Holding>, StoreError> {
        Ok(sqlx::query_as(PAGE).persistent(false).fetch_all(&mut *self.0).await?)
    }

    pub(super) fn transaction(&mut self) -> &mut PgConnection {
        self.0
    }

    pub(super) async fn wrong(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(WRONG).fetch_all(&mut *self.0).await?)
    }
}
