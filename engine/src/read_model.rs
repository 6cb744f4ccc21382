//! Read models as a caller sees them: rows, pages of them, and what has changed.
//!
//! The JSON of these types is the REST API's.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What a view says of one workflow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewRecord {
    /// The number under which it is asked for ([`hansom_core::View::key`]).
    pub key: i64,
    /// The workflow, as its starter named it.
    pub workflow_id: String,
    /// The run that it is folded from: the newest of its type under that id.
    pub run: Uuid,
    /// How many events that run had, with the last that changed the row.
    pub events: i32,
    /// When that was committed.
    pub changed_at: DateTime<Utc>,
    /// Its fields.
    pub row: Map<String, Value>,
}

/// Which rows of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewQuery {
    /// At most so many; 1 to 1 000.
    pub limit: u32,
    /// So many come before these, in the order of their keys.
    pub offset: u32,
    /// Only rows whose fields have these values.
    pub filter: Map<String, Value>,
}

impl Default for ViewQuery {
    /// The first twenty of all.
    fn default() -> Self {
        Self { limit: 20, offset: 0, filter: Map::new() }
    }
}

impl ViewQuery {
    /// Only rows in which `field` says `value`.
    #[must_use]
    pub fn only(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.filter.insert(field.to_owned(), value.into());
        self
    }
}

/// Some rows of a view, by key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewPage {
    /// The rows.
    pub items: Vec<ViewRecord>,
    /// How many fit the query, on all pages together.
    pub total: i64,
}

/// Rows as they have changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewChanges {
    /// Each as it is now, in the order in which they were written.
    pub items: Vec<ViewChange>,
    /// From where to read on.
    pub cursor: ViewCursor,
    /// Whether there is more already.
    pub more: bool,
}

/// A row that has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewChange {
    /// As it is now.
    pub record: ViewRecord,
    /// The transaction that wrote it.
    pub(crate) xact: i64,
}

/// A view, and how much there is of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewInfo {
    /// [`hansom_core::View::NAME`].
    pub name: String,
    /// The workflow type whose runs it shows; none when this binary has no view of that name.
    pub workflow: Option<String>,
    /// How many rows it has.
    pub rows: i64,
}

/// How far a reader of changes has come: what was visible then is not told again, and nothing
/// that was not is left out, in whatever order transactions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewCursor {
    /// A snapshot of the database, as Postgres writes it: all that it sees has been told.
    pub(crate) since: String,
    /// In the middle of what came after that.
    pub(crate) within: Option<Within>,
}

/// The last row that was told, and the snapshot from which to go on once all are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Within {
    pub(crate) until: String,
    pub(crate) xact: i64,
    pub(crate) part: i32,
    pub(crate) workflow_id: String,
}

impl fmt::Display for ViewCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.since)?;
        match &self.within {
            Some(Within { until, xact, part, workflow_id }) => {
                write!(f, "/{until}/{xact}/{part}/{workflow_id}")
            }
            None => Ok(()),
        }
    }
}

impl ViewCursor {
    /// Whether whoever has come so far was told of this change, or of a later one of its row.
    pub fn has_seen(&self, change: &ViewChange) -> bool {
        let (least, most, mut open) = parts(&self.since);
        change.xact < least || (change.xact < most && open.all(|open| open != change.xact))
    }

    /// Whether it has come further than `other`, for certain.
    pub fn is_after(&self, other: &Self) -> bool {
        let ((least, most, _), (other_least, other_most, _)) =
            (parts(&self.since), parts(&other.since));
        self.within.is_none() && most > other_most && least >= other_least
    }
}

/// The oldest transaction that was open, the first that had not begun, and all that were open.
fn parts(snapshot: &str) -> (i64, i64, impl Iterator<Item = i64>) {
    let mut fields = snapshot.splitn(3, ':');
    let mut number = || fields.next().and_then(|field| field.parse().ok()).unwrap_or_default();
    let (least, most) = (number(), number());
    let open = fields.next().unwrap_or_default().split(',');
    (least, most, open.filter_map(|open| open.parse().ok()))
}

/// It is not what a cursor looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no cursor of a view")]
pub struct NoCursor;

impl FromStr for ViewCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut fields = text.split('/');
        let mut next = || fields.next();
        let since = snapshot(next().ok_or(NoCursor)?)?;
        let Some(until) = next() else { return Ok(Self { since, within: None }) };
        let until = snapshot(until)?;
        let xact = next().and_then(|xact| xact.parse().ok()).ok_or(NoCursor)?;
        let part = next().and_then(|part| part.parse().ok()).ok_or(NoCursor)?;
        let workflow_id = next().filter(|id| crate::address::is_id(id)).ok_or(NoCursor)?;
        if next().is_some() {
            return Err(NoCursor);
        }
        let workflow_id = workflow_id.to_owned();
        Ok(Self { since, within: Some(Within { until, xact, part, workflow_id }) })
    }
}

/// `xmin:xmax:xip,..`, as Postgres takes it.
fn snapshot(text: &str) -> Result<String, NoCursor> {
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0);
    let mut fields = text.splitn(3, ':');
    let mut next = || fields.next().ok_or(NoCursor);
    let least = number(next()?).ok_or(NoCursor)?;
    let most = number(next()?).filter(|most| *most >= least).ok_or(NoCursor)?;
    let mut last = least - 1;
    for open in next()?.split(',').filter(|open| !open.is_empty()) {
        last = number(open).filter(|open| *open > last && *open < most).ok_or(NoCursor)?;
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_knows_what_was_visible_to_it() {
        let cursor: ViewCursor = "10:20:10,14".parse().unwrap();
        let seen: Vec<_> = (8..22).filter(|xact| cursor.has_seen(&change(*xact))).collect();
        assert_eq!(seen, [8, 9, 11, 12, 13, 15, 16, 17, 18, 19]);
        let after = |text: &str| text.parse::<ViewCursor>().unwrap().is_after(&cursor);
        assert!(after("10:21:10") && after("30:40:"));
        assert!(!after("10:20:10,14") && !after("9:19:9") && !after("30:40:/50:50:/1/2/a"));
    }

    fn change(xact: i64) -> ViewChange {
        let (changed_at, row) = (DateTime::default(), Map::new());
        let workflow_id = "w".to_owned();
        let record =
            ViewRecord { key: 1, workflow_id, run: Uuid::nil(), events: 1, changed_at, row };
        ViewChange { record, xact }
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["10:20:", "10:20:10,14,19", "10:20:/12:30:12/17/255/taxisvc.call.1"] {
            assert_eq!(text.parse::<ViewCursor>().unwrap().to_string(), text);
        }
        let bad = ["", "10", "10:20", "0:20:", "20:10:", "10:20:x", "10:20:9", "10:20:20", "-1:2:"];
        let worse = ["10:20:14,12", "10:20:/", "10:20:/10:20:/1/2/", "10:20:/10:20:/1/2/a/b"];
        for text in bad.into_iter().chain(worse).chain(["10:20:/x/1/2/a", "10:20:/10:20:/x/2/a"]) {
            assert_eq!(text.parse::<ViewCursor>(), Err(NoCursor), "{text}");
        }
    }
}
