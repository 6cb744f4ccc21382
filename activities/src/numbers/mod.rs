//! Numbers of what is new: drawn before the saga starts, so that its id is known.

mod store;

use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;

/// Draws numbers. No two are the same; some are never used.
#[derive(Clone, Debug)]
pub struct Numbers(Store);

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Calls of taxisvc.
    TaxisvcCall,
    /// Orders of move24mall.
    MoveOrder,
    /// Reservations of bikes.
    BikeReservation,
    /// Purchases of points.
    BikeApproval,
    /// Calls of anycall.
    AnycallCall,
}

impl Numbers {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The next of a series, from 1.
    pub async fn next(&self, series: Series) -> Result<i64, StoreError> {
        self.0.next(series).await
    }
}
