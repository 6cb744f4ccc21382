use sqlx::PgPool;

use super::Series;
use crate::StoreError;

/// The sequences of the systems, and the keys that stand for their numbers.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

impl Series {
    const fn sequence(self) -> &'static str {
        match self {
            Self::TaxisvcCall => "taxisvc.call_id",
            Self::MoveOrder => "move.order_id",
            Self::BikeReservation => "bike.reserve_no",
            Self::BikeApproval => "bike.confirm_id",
            Self::AnycallCall => "anycall.call_id",
        }
    }
}

impl Store {
    pub(super) async fn next(&self, series: Series) -> Result<i64, StoreError> {
        let next = sqlx::query_scalar!(
            r#"select nextval($1::text::regclass) as "next!""#,
            series.sequence()
        );
        Ok(next.fetch_one(&self.0).await?)
    }

    /// A repetition is looked for first, so that it takes no number. Of two at once both draw, and
    /// the one that comes second is given what the first has.
    pub(super) async fn next_for(&self, series: Series, key: &str) -> Result<i64, StoreError> {
        let next = sqlx::query_scalar!(
            r#"with found as (
                 select number from gateway.drawn where series = $1 and key = $2
             ), new as (
                 insert into gateway.drawn (series, key, number)
                 select $1, $2, nextval($1::text::regclass) where not exists (select from found)
                 on conflict (series, key) do update set number = drawn.number
                 returning number
             )
             select number as "number!" from found union all select number from new"#,
            series.sequence(),
            key,
        );
        Ok(next.fetch_one(&self.0).await?)
    }

    pub(super) async fn drawn(&self, series: Series, key: &str) -> Result<Option<i64>, StoreError> {
        let drawn = sqlx::query_scalar!(
            "select number from gateway.drawn where series = $1 and key = $2",
            series.sequence(),
            key,
        );
        Ok(drawn.fetch_optional(&self.0).await?)
    }
}
