use chrono::{DateTime, Utc};
use hansom_workflows::taxi_call::{CallId, DriveId};
use sqlx::PgPool;
use sqlx::types::Json;

use super::{CallView, Event};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `taxisvc.call_view` and `taxisvc.event`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct ViewRow {
    call_id: i64,
    call_status: String,
    user_name: String,
    drive_id: Option<i64>,
    drive_status: Option<String>,
    driver_name: Option<String>,
    taxi_num: Option<String>,
}

impl From<ViewRow> for CallView {
    fn from(row: ViewRow) -> Self {
        Self {
            call_id: CallId(row.call_id),
            call_status: row.call_status,
            user_name: row.user_name,
            drive_id: row.drive_id.map(DriveId),
            drive_status: row.drive_status,
            driver_name: row.driver_name,
            taxi_num: row.taxi_num,
        }
    }
}

struct EventRow {
    event_id: i64,
    event_type: String,
    at: DateTime<Utc>,
    payload: Json<serde_json::Map<String, serde_json::Value>>,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            event_id: row.event_id,
            event_type: row.event_type,
            at: row.at,
            payload: row.payload.0,
        }
    }
}

impl Store {
    pub(super) async fn get(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        let row = sqlx::query_as!(
            ViewRow,
            "select call_id, call_status, user_name, drive_id, drive_status, driver_name, taxi_num
             from taxisvc.call_view where call_id = $1",
            id.0,
        );
        Ok(row.fetch_optional(&self.0).await?.map(CallView::from))
    }

    pub(super) async fn list(&self, page: Page) -> Result<Paged<CallView>, StoreError> {
        let total = sqlx::query_scalar!(r#"select count(*) as "count!" from taxisvc.call_view"#);
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            ViewRow,
            "select call_id, call_status, user_name, drive_id, drive_status, driver_name, taxi_num
             from taxisvc.call_view
             order by call_id limit $1 offset $2",
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(Paged { items: rows.into_iter().map(CallView::from).collect(), total })
    }

    pub(super) async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"select event_id, event_type, at, payload as "payload: _" from taxisvc.event
             where event_id > $1 and xact < pg_snapshot_xmin(pg_current_snapshot())
             order by event_id limit $2"#,
            after,
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.0).await?;
        Ok(rows.into_iter().map(Event::from).collect())
    }
}
