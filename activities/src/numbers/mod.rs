//! Numbers of what is new: drawn before the saga starts, so that its id is known.
//!
//! A number that is drawn for a key is the key's from then on. So whatever happens between the
//! draw and the start of the saga, a repetition has the same number, and with it the same saga:
//! killed before the start, it starts it; killed after, it finds it.

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

    /// The number that a key stands for in a series: the next one when it stands for none yet. A
    /// key is 1 to 255 bytes long.
    pub async fn next_for(&self, series: Series, key: &str) -> Result<i64, StoreError> {
        self.0.next_for(series, key).await
    }

    /// The number that a key stands for in a series; none while it stands for none.
    pub async fn drawn(&self, series: Series, key: &str) -> Result<Option<i64>, StoreError> {
        self.0.drawn(series, key).await
    }
}
