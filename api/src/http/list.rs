//! `GET /v1/workflows`: filters and pages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hansom_core::{Status, UndoStatus};
use hansom_engine::{Filter, Page, Summary};

use super::cursor;
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::schema;
use super::state::Api;

/// The most labels that one list is filtered by.
const MAX_LABELS: usize = 32;

const PARAMETERS: [&str; 8] =
    ["type", "status", "undo", "label.", "started_after", "started_before", "cursor", "limit"];

/// Every status, as it is written.
pub(crate) const STATUSES: [(&str, Status); 8] = [
    ("running", Status::Running),
    ("compensating", Status::Compensating),
    ("stuck", Status::Stuck),
    ("completed", Status::Completed),
    ("failed", Status::Failed),
    ("cancelled", Status::Cancelled),
    ("terminated", Status::Terminated),
    ("continued", Status::Continued),
];

const UNDOS: [(&str, UndoStatus); 4] = [
    ("none", UndoStatus::None),
    ("owed", UndoStatus::Owed),
    ("done", UndoStatus::Done),
    ("partial", UndoStatus::Partial),
];

/// Lists workflows that fit every filter, newest first.
///
/// Any number of `label.<key>=<value>` may be given. `next` of a page is the `cursor` of the one after.
#[utoipa::path(get, path = "/v1/workflows", tag = "workflows",
    params(
        ("type" = Option<String>, Query, description = "Of this workflow type"),
        ("status" = Option<schema::Status>, Query, description = "In this state"),
        ("undo" = Option<schema::UndoStatus>, Query, description = "With its undos there; none that is running"),
        ("label.<key>" = Option<String>, Query, description = "With this label"),
        ("started_after" = Option<String>, Query, description = "At or after this time (RFC 3339)"),
        ("started_before" = Option<String>, Query, description = "Before this time (RFC 3339)"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when it is not given"),
    ),
    responses(
        (status = 200, body = schema::SummaryPage),
        (status = 400, description = "page.cursor", body = Problem),
        (status = 422, description = "filter.value, parameter.unknown, page.limit", body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Json<Page<Summary>>, Problem> {
    let filter = filter(&api, &params)?;
    let mut page = api.client().list(&filter).await?;
    page.next = page.next.map(|last| cursor::seal(&last, &filter));
    Ok(Json(page))
}

fn filter(api: &Api, params: &Params) -> Result<Filter, Problem> {
    params.only(&PARAMETERS)?;
    let labels = params.with_prefix("label.");
    if labels.len() > MAX_LABELS {
        let detail = format!("{} labels; at most {MAX_LABELS} are searched at once", labels.len());
        return Err(Problem::new(kinds::FILTER_TOO_LONG, detail).limit(MAX_LABELS as u64));
    }
    let types: Vec<_> = api.client().workflow_types().map(|kind| (kind.name, ())).collect();
    params.one_of("type", &types)?;
    let mut filter = Filter {
        workflow_type: params.get("type").map(str::to_owned),
        status: params.one_of("status", &STATUSES)?,
        undo: params.one_of("undo", &UNDOS)?,
        labels,
        started_after: params.time("started_after")?,
        started_before: params.time("started_before")?,
        cursor: None,
        limit: params.limit()?,
    };
    filter.cursor = match params.get("cursor") {
        Some(given) => Some(cursor::open(given, &filter)?),
        None => None,
    };
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_filter_are_those_of_the_answers() {
        for (word, status) in STATUSES {
            assert_eq!(serde_json::to_value(status).unwrap(), word);
        }
        for (word, undo) in UNDOS {
            assert_eq!(serde_json::to_value(undo).unwrap(), word);
        }
    }

    #[test]
    fn no_status_is_missing_from_the_filter() {
        // A new status makes this match, and with it the table above, incomplete.
        let known = |status: Status| match status {
            Status::Running
            | Status::Compensating
            | Status::Stuck
            | Status::Completed
            | Status::Failed
            | Status::Cancelled
            | Status::Terminated
            | Status::Continued => STATUSES.iter().any(|(_, known)| *known == status),
        };
        assert!(known(Status::Running) && known(Status::Cancelled));
    }
}
