//! Read models, shown as resources: they answer while every service is down.

use axum::response::Response;
use hansom_activities::page::{Page, Paged};
use hansom_core::View;
use hansom_engine::{Client, ViewQuery, ViewRecord};
use serde_json::{Map, Value};

use super::hal::{self, Base, Resource};
use crate::http::problem::Problem;

/// What does what a view is asked for, but to show itself.
pub(super) const FOLLOWS: &str = "a read model follows its sagas; whatever changes one changes it";

/// A view that is shown as a resource.
pub(super) trait Shown: View {
    /// How it is called.
    const KIND: hal::Kind;
    /// The field that says whether a row is for show at all; by default each is.
    const IF: Option<&'static str> = None;
    /// Fields that are for the façade alone.
    const HIDDEN: &'static [&'static str] = &[];
}

/// A row of a view.
struct Row<V> {
    key: i64,
    fields: Map<String, Value>,
    view: std::marker::PhantomData<V>,
}

impl<V: Shown> Row<V> {
    fn of(record: ViewRecord) -> Self {
        let ViewRecord { key, row: mut fields, .. } = record;
        fields.retain(|field, _| V::IF != Some(field) && !V::HIDDEN.contains(&field.as_str()));
        Self { key, fields, view: std::marker::PhantomData }
    }
}

impl<V: Shown> Resource for Row<V> {
    const KIND: hal::Kind = V::KIND;

    fn id(&self) -> i64 {
        self.key
    }

    fn body(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

/// One row.
pub(super) async fn one<V: Shown>(
    client: &Client,
    base: &Base,
    key: i64,
) -> Result<Response, Problem> {
    let record = client.view::<V>(key).await?;
    let shown = |record: &ViewRecord| {
        V::IF.is_none_or(|field| record.row.get(field) == Some(&Value::Bool(true)))
    };
    let record = record.filter(shown);
    let row = record.map(Row::<V>::of).ok_or_else(|| hal::not_found::<Row<V>>(key))?;
    Ok(hal::one(base, &row))
}

/// One page of the rows that have these values.
pub(super) async fn page<V: Shown>(
    client: &Client,
    base: &Base,
    page: Page,
    only: &[(&str, &str)],
) -> Result<Response, Problem> {
    let all = ViewQuery {
        limit: page.size,
        offset: page.number.saturating_mul(page.size),
        ..ViewQuery::default()
    };
    let shown = V::IF.into_iter().fold(all, |query, field| query.only(field, true));
    let query = only.iter().fold(shown, |query, (field, value)| query.only(field, *value));
    let found = client.views::<V>(&query).await?;
    let items = found.items.into_iter().map(Row::<V>::of).collect();
    Ok(hal::many(base, page, &Paged { items, total: found.total }))
}
