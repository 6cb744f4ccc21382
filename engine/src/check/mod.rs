//! Whether a deploy would break what is under way: every open run of a database,
//! replayed by this binary. Nothing is written, no handler is called.

mod guard;
mod judge;
mod read;
mod report;
mod sides;
mod stored;
#[cfg(test)]
mod tests;

use sqlx::PgPool;
use tokio::sync::mpsc;

pub use report::{CheckReport, CheckScope, CheckedRun, Finding, Patched, Verdict};

use crate::Registry;
use crate::store::snapshot::Snapshot;

/// Looks at every open run of a database as it is at this moment, and says what
/// would become of it if `registry` took it over.
///
/// One read-only transaction sees all of it, so a replica will do, and so does a
/// role that may only `select`; the schema may be older than this binary's.
/// Memory does not grow with the number of runs. `progress` is told after every
/// few hundred runs.
///
/// ```no_run
/// # async fn example(registry: hansom_engine::Registry) -> Result<(), Box<dyn std::error::Error>> {
/// use hansom_engine::{CheckScope, check};
///
/// let pool = hansom_engine::connect("postgres://replica/hansom", 1).await?;
/// let report = check(&pool, &registry, &CheckScope::default(), |_| {}).await?;
/// assert_eq!(report.would_break, 0, "{:?}", report.examples);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// When the database cannot be read. A run that cannot be is a [`Verdict`].
pub async fn check(
    pool: &PgPool,
    registry: &Registry,
    scope: &CheckScope,
    mut progress: impl FnMut(&CheckReport),
) -> Result<CheckReport, sqlx::Error> {
    let snapshot = Snapshot::open(pool).await?;
    let (sender, mut chunks) = mpsc::channel(1);
    let mut report = CheckReport::default();
    let mut guard = guard::Guard::new(registry.clone(), scope.patience);
    let judging = async {
        while let Some(chunk) = chunks.recv().await {
            guard.judge(chunk, |judged| report.add(judged, scope.examples)).await;
            progress(&report);
        }
    };
    let (read, ()) = tokio::join!(read::read(snapshot, scope, sender), judging);
    read?;
    Ok(report)
}
