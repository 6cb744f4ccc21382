use sqlx::PgPool;

use super::Series;
use crate::StoreError;

/// The sequences of the systems.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

impl Store {
    pub(super) async fn next(&self, series: Series) -> Result<i64, StoreError> {
        let sequence = match series {
            Series::TaxisvcCall => "taxisvc.call_id",
            Series::MoveOrder => "move.order_id",
            Series::BikeReservation => "bike.reserve_no",
            Series::BikeApproval => "bike.confirm_id",
            Series::AnycallCall => "anycall.call_id",
        };
        let next =
            sqlx::query_scalar!(r#"select nextval($1::text::regclass) as "next!""#, sequence);
        Ok(next.fetch_one(&self.0).await?)
    }
}
