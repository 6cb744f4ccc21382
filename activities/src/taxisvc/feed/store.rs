use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::Event;
use crate::StoreError;

/// `taxisvc.event`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

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
