//! Makes the rows of views anew from history, while workers go on writing.
//!
//! A row is written with how much of its run's history it follows from, and never over one that
//! follows from more: then the rest is read, and it is tried again. What an owner writes after
//! that is its own whole row, so that neither waits for the other. In memory are as many runs as
//! are read at a time: the rows of each, what its history adds up to, and a little of that.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hansom_core::{Fold, Ledger, ViewFault, ViewType};
use serde::Serialize;
use sqlx::PgPool;

use crate::address::{Address, Part};
use crate::store::view::{put, remove_orphans, remove_unknown, runs};
use crate::store::{Pool, history, int, partition};
use crate::{EngineError, Registry};

/// So many runs are asked for at a time …
const PAGE: i64 = 500;
/// … and so many are read at a time.
const AT_ONCE: usize = 8;
/// So much is told of what views could not mean.
const FAULTS: usize = 20;

/// What became of a rebuild, or has so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RebuildReport {
    /// Rows made anew, by view.
    pub views: BTreeMap<String, u64>,
    /// Rows removed: of views that nobody has any more, and of runs that are gone.
    pub removed: u64,
    /// How often a view could not mean what it was told.
    pub failed: u64,
    /// The first times, each with its workflow.
    pub faults: Vec<String>,
}

impl RebuildReport {
    /// Rows made anew, of all views.
    pub fn rows(&self) -> u64 {
        self.views.values().sum()
    }

    fn add(&mut self, rebuilt: Rebuilt) {
        for view in rebuilt.views {
            *self.views.entry(view.to_owned()).or_default() += 1;
        }
        self.failed += rebuilt.faults.len() as u64;
        let id = rebuilt.workflow_id;
        let told = rebuilt.faults.into_iter().map(|fault| format!("{id}: {fault}"));
        self.faults.extend(told.take(FAULTS - self.faults.len()));
    }
}

/// What one run came to.
struct Rebuilt {
    workflow_id: Arc<str>,
    views: Vec<&'static str>,
    faults: Vec<ViewFault>,
}

/// Makes the rows of one view anew, or of all; rows of views that `registry` does not have are
/// removed when it is all. `progress` hears of it after every few hundred runs.
///
/// # Errors
///
/// [`EngineError::UnknownView`], [`EngineError::Database`]. What has been written until then
/// stands, and may be written again.
pub async fn rebuild(
    pool: &PgPool,
    registry: &Registry,
    only: Option<&str>,
    mut progress: impl FnMut(&RebuildReport),
) -> Result<RebuildReport, EngineError> {
    let pool = &Pool::from(pool.clone());
    if let Some(name) = only.filter(|name| registry.view(name).is_none()) {
        let known = registry.views().map(|view| view.name).collect();
        return Err(EngineError::UnknownView { name: name.to_owned(), known });
    }
    let known: Vec<_> = registry.views().map(|view| view.name.to_owned()).collect();
    let (mut by_type, mut report) = (BTreeMap::<_, Vec<_>>::new(), RebuildReport::default());
    for view in registry.views().filter(|view| only.is_none_or(|name| name == view.name)) {
        by_type.entry(view.workflow).or_default().push(*view);
        report.views.insert(view.name.to_owned(), 0);
    }
    for part in 0..partition::count(pool).await? {
        if only.is_none() {
            report.removed += remove_unknown(pool, part, &known).await?;
        }
        for (workflow_type, views) in &by_type {
            for view in views {
                report.removed += remove_orphans(pool, part, view.name, workflow_type).await?;
            }
            let views: Arc<[ViewType]> = views.as_slice().into();
            of_type(pool, (part, workflow_type), &views, &mut report, &mut progress).await?;
        }
    }
    Ok(report)
}

async fn of_type(
    pool: &Pool,
    (part, workflow_type): (Part, &str),
    views: &Arc<[ViewType]>,
    report: &mut RebuildReport,
    progress: &mut impl FnMut(&RebuildReport),
) -> Result<(), sqlx::Error> {
    let mut after = None;
    loop {
        let page = runs(pool, part, workflow_type, after.as_ref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { return Ok(()) };
        let rebuilt = stream::iter(page).map(|address| of_run(pool, address, Arc::clone(views)));
        let mut rebuilt = rebuilt.buffer_unordered(AT_ONCE);
        while let Some(rebuilt) = rebuilt.try_next().await? {
            report.add(rebuilt);
        }
        progress(report);
        after = Some(last);
    }
}

async fn of_run(
    pool: &Pool,
    address: Address,
    views: Arc<[ViewType]>,
) -> Result<Rebuilt, sqlx::Error> {
    let workflow_id = Arc::clone(&address.workflow_id);
    let mut rebuilt = Rebuilt { workflow_id, views: Vec::new(), faults: Vec::new() };
    let (mut fold, mut ledger) = (Fold::new(views), Ledger::default());
    loop {
        let from = int(ledger.events());
        let mut rows = Box::pin(history::stream(pool, address.part, address.run, from));
        while let Some((at, events)) = rows.try_next().await? {
            rebuilt.faults.extend(fold.recall(&mut ledger, (at, &events)));
        }
        drop(rows);
        let read = int(ledger.events());
        if read == from {
            // What is there is of a later run.
            return Ok(rebuilt);
        }
        let mut overtaken = false;
        for row in fold
            .rows()
            .filter(|row| !rebuilt.views.contains(&row.view))
            .cloned()
            .collect::<Vec<_>>()
        {
            if put(pool, &address, &row, read).await? {
                rebuilt.views.push(row.view);
            } else {
                overtaken = true;
            }
        }
        if !overtaken {
            return Ok(rebuilt);
        }
    }
}
