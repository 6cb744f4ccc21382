//! What read models look like, for the OpenAPI document.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// The views of this server.
#[derive(ToSchema)]
pub struct Views {
    /// By name.
    pub items: Vec<View>,
}

/// A view, and how much there is of it.
#[derive(ToSchema)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The workflow type whose workflows it shows; none when this server only has rows of it.
    pub workflow: Option<String>,
    /// How many rows it has.
    pub rows: i64,
}

/// Some rows of a view.
#[derive(ToSchema)]
pub struct ViewPage {
    /// By key.
    pub items: Vec<ViewRecord>,
    /// How many fit, on all pages together.
    pub total: i64,
}

/// What a view says of one workflow.
#[derive(ToSchema)]
pub struct ViewRecord {
    /// The number of the row.
    pub key: i64,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run that it is folded from.
    pub run: Uuid,
    /// How many events that run had, with the last that changed the row.
    pub events: i32,
    /// When that was committed.
    pub changed_at: DateTime<Utc>,
    /// Its fields.
    pub row: BTreeMap<String, Value>,
}
