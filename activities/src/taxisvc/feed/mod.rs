//! What has happened, in order. Read-only: the services write it.

mod store;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;

/// The feed.
#[derive(Clone, Debug)]
pub struct Feed(Store);

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the feed; later ones are larger, with gaps.
    pub event_id: i64,
    /// As the documents spell it.
    pub event_type: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Its fields, as a JSON object.
    pub payload: serde_json::Map<String, serde_json::Value>,
}

impl Feed {
    /// On a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// Up to `limit` events behind the event `after` (0: from the start), in order.
    ///
    /// Who reads on from the last id misses none: events stay unseen while a
    /// transaction is open that may still add one before them.
    pub async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.0.events(after, limit).await
    }
}
