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
select 'taxisvc.call.' || call_id as workflow_id, 'KRW' as currency,
       coalesce(p.taken, 0)::bigint as taken, coalesce(p.given_back, 0)::bigint as given_back,
       coalesce(case when d.status = 'end' then d.fare end, 0)::bigint as earned,
       case when d.status = 'start' then 'drive ' || d.drive_id end as held,
       null::text as kept
from (
    select call_id, sum(fare) filter (where kind = 'charge') as taken,
           sum(fare) filter (where kind = 'refund') as given_back
    from taxisvc.payment group by call_id
) p full join taxisvc.drive d using (call_id)
where p.taken is not null or d.drive_id is not null";

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
}
