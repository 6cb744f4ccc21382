//! What the rider sees, and what has happened. Read-only: the services write it.

mod store;

use chrono::{DateTime, Utc};
use hansom_workflows::taxi_call::{CallId, DriveId};
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The views.
#[derive(Clone, Debug)]
pub struct Views(Store);

/// A call and its drive, in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// The call; the view has no id but this.
    pub call_id: CallId,
    /// Where the call is.
    pub call_status: String,
    /// Who called.
    pub user_name: String,
    /// The drive, once there is one.
    pub drive_id: Option<DriveId>,
    /// Where the drive is.
    pub drive_status: Option<String>,
    /// The driver, once there is one.
    pub driver_name: Option<String>,
    /// The number plate.
    pub taxi_num: Option<String>,
}

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

impl Views {
    pub(super) fn new(pool: PgPool) -> Self {
        Self(Store(pool))
    }

    /// The view of that call.
    pub async fn get(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        self.0.get(id).await
    }

    /// All views, the oldest call first.
    pub async fn list(&self, page: Page) -> Result<Paged<CallView>, StoreError> {
        self.0.list(page).await
    }

    /// Up to `limit` events behind the event `after` (0: from the start), in order.
    ///
    /// Who reads on from the last id misses none: events stay unseen while a
    /// transaction is open that may still add one before them.
    pub async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.0.events(after, limit).await
    }
}
