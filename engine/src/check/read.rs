//! Open runs out of a snapshot, a few at a time.

use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::CheckScope;
use crate::store::snapshot::{OpenRow, OpenRun, Snapshot};

/// So many runs, closed ones included, are looked through by one statement.
const WINDOW: i64 = 20_000;
/// Histories of so many runs are asked for at a time …
const RUNS: usize = 500;
/// … and at most about so many bytes of them are handed on at a time.
const BYTES: usize = 4 * 1024 * 1024;

/// Hands on every open run in scope. A reader that is slow makes it wait.
pub(super) async fn read(
    mut snapshot: Snapshot,
    scope: &CheckScope,
    to: mpsc::Sender<Vec<OpenRun>>,
) -> Result<(), sqlx::Error> {
    let mut after = Uuid::nil();
    loop {
        let end = snapshot.window(after, WINDOW).await?;
        let last = end.unwrap_or(Uuid::max());
        let mut rows = snapshot.rows(after, last, scope.workflow_type.as_deref()).await?;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(RUNS));
            fill(&mut snapshot, std::mem::replace(&mut rows, rest), &to).await?;
        }
        match end {
            Some(end) => after = end,
            None => return snapshot.close().await,
        }
    }
}

async fn fill(
    snapshot: &mut Snapshot,
    rows: Vec<OpenRow>,
    to: &mpsc::Sender<Vec<OpenRun>>,
) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = rows.iter().map(|row| row.part).collect();
    let runs: Vec<_> = rows.iter().map(|row| row.run).collect();
    let mut inboxes = snapshot.inboxes(&parts, &runs).await?;
    let mut histories = snapshot.histories(&parts, &runs);
    let mut next = histories.try_next().await?;
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let mut history = Vec::new();
        while let Some(text) = next.take_if(|text| text.run == row.run) {
            bytes += text.events.len();
            history.push(text);
            next = histories.try_next().await?;
        }
        let inbox = inboxes.remove(&row.run).unwrap_or_default();
        chunk.push(OpenRun { row, history, inbox });
        if bytes >= BYTES {
            // Nobody to hand it to: the check was given up.
            let _ = to.send(std::mem::take(&mut chunk)).await;
            bytes = 0;
        }
    }
    let _ = to.send(chunk).await;
    Ok(())
}
