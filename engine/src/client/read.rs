//! Looking: what history adds up to, as it is in the database now.

use std::time::Duration;

use hansom_core::{Direction, Event, Ledger, Outcome, Seq, Status, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::Client;
use crate::ClientError;
use crate::address::{NAMESPACE, part_of};
use crate::store::{history, to_time, workflow};
use crate::view::{
    Description, Filter, HistoryEvent, Now, Page, PendingActivity, PendingChild, PendingTimer,
    Stuck, Summary, UndoPlan,
};
use crate::worker::hub::{News, Watcher};

/// What another process commits is looked for this often …
const POLL: Duration = Duration::from_millis(250);
/// … and this often what is heard of here, because it may move elsewhere.
const POLL_OWN: Duration = Duration::from_secs(5);

pub(super) fn ledger(rows: &[(Timestamp, Vec<Event>)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (at, events) in rows {
        for event in events {
            ledger.apply(event, *at);
        }
    }
    ledger
}

impl Client {
    /// A workflow as it stands now: its latest run.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`].
    pub async fn describe(&self, workflow_id: &str) -> Result<Description, ClientError> {
        let row = self.row(workflow_id).await?;
        let ledger = ledger(&history::of(&self.pool, row.part, row.run).await?);
        let now = now(&ledger);
        let summary = row.summary();
        Ok(Description {
            workflow_id: summary.workflow_id,
            run: summary.run,
            workflow_type: summary.workflow_type,
            status: ledger.status(),
            undo: ledger.undo_status(),
            pivoted: ledger.pivoted(),
            started_at: summary.started_at,
            closed_at: summary.closed_at,
            labels: summary.labels,
            deadline: ledger.deadline().map(to_time),
            code: ledger.code().map(str::to_owned),
            state: ledger.published().cloned(),
            now,
        })
    }

    /// One page of the history of the latest run: `limit` events after number
    /// `after`, or from the first.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`].
    pub async fn history(
        &self,
        workflow_id: &str,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Page<HistoryEvent>, ClientError> {
        let row = self.row(workflow_id).await?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let first = i32::try_from(from).unwrap_or(i32::MAX);
        // Every row has an event at least; one row more says whether there is a next page.
        let rows = i64::from(limit) + 1;
        let rows = history::page(&self.pool, row.part, row.run, first, rows).await?;
        let mut items: Vec<_> = rows
            .into_iter()
            .flat_map(|(event, at, events)| {
                let first = u32::try_from(event).unwrap_or_default();
                (first..).zip(events).map(move |(event, what)| (event, at, what))
            })
            .filter(|(event, ..)| *event >= from)
            .map(|(event, at, what)| HistoryEvent { event, at: to_time(at), what })
            .collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.event.to_string());
        Ok(Page { items, next })
    }

    /// What would be undone if it unwound now, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`].
    pub async fn undo_plan(&self, workflow_id: &str) -> Result<UndoPlan, ClientError> {
        let row = self.row(workflow_id).await?;
        let ledger = ledger(&history::of(&self.pool, row.part, row.run).await?);
        Ok(UndoPlan { workflow_id: row.workflow_id, run: row.run, undos: ledger.undo_plan() })
    }

    /// How it ended, waiting for that for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`], [`ClientError::StillOpen`].
    pub async fn result(&self, workflow_id: &str, wait: Duration) -> Result<Outcome, ClientError> {
        let row = self.row(workflow_id).await?;
        let watcher = self.hub.watch(row.run);
        if row.cached().status.is_closed() {
            let rows = history::of(&self.pool, row.part, row.run).await?;
            return ledger(&rows).outcome().ok_or(ClientError::StillOpen(row.workflow_id));
        }
        // It may have closed before it was watched.
        self.hear_of_close(workflow_id, (row.run, watcher, false), wait).await
    }

    /// `looked`: it was open when the watcher began to listen.
    pub(super) async fn hear_of_close(
        &self,
        workflow_id: &str,
        (mut run, mut watcher, looked): (Uuid, Watcher, bool),
        wait: Duration,
    ) -> Result<Outcome, ClientError> {
        let end = Instant::now() + wait;
        let continued = |outcome: &Outcome| outcome.status == Status::Continued;
        let poll = || if self.is_local(workflow_id) { POLL_OWN } else { POLL };
        let first = if looked { poll() } else { Duration::ZERO };
        let mut look = (Instant::now() + first).min(end);
        loop {
            match tokio::time::timeout_at(look, watcher.next()).await {
                Ok(News::Closed(outcome)) if !continued(&outcome) => return Ok(outcome),
                Ok(News::Touched) => continue,
                Ok(News::Closed(_)) | Err(_) => {}
            }
            match self.outcome_of(workflow_id, run).await? {
                Some(outcome) if continued(&outcome) => {
                    // It goes on in the next run, and so does whoever waits.
                    run = self.heir_of(workflow_id, run).await?;
                    watcher = self.hub.watch(run);
                    look = Instant::now();
                    continue;
                }
                Some(outcome) => return Ok(outcome),
                None => {}
            }
            if Instant::now() >= end {
                return Err(ClientError::StillOpen(workflow_id.to_owned()));
            }
            look = (Instant::now() + poll()).min(end);
        }
    }

    async fn heir_of(&self, workflow_id: &str, run: Uuid) -> Result<Uuid, ClientError> {
        let part = part_of(NAMESPACE, workflow_id, self.hub.partitions());
        let row = workflow::run(&self.pool, part, (NAMESPACE, workflow_id), run).await?;
        let row = row.ok_or_else(|| ClientError::NotFound(workflow_id.to_owned()))?;
        Ok(self.heir(&row).await?.run)
    }

    pub(super) async fn outcome_of(
        &self,
        workflow_id: &str,
        run: Uuid,
    ) -> Result<Option<Outcome>, ClientError> {
        let part = part_of(NAMESPACE, workflow_id, self.hub.partitions());
        let row = workflow::run(&self.pool, part, (NAMESPACE, workflow_id), run).await?;
        let row = row.ok_or_else(|| ClientError::NotFound(workflow_id.to_owned()))?;
        if !row.cached().status.is_closed() {
            return Ok(None);
        }
        let ledger = ledger(&history::of(&self.pool, row.part, row.run).await?);
        Ok(ledger.outcome())
    }

    /// Workflows that fit a filter, newest first.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn list(&self, filter: &Filter) -> Result<Page<Summary>, ClientError> {
        let limit = filter.limit.clamp(1, 200);
        let found = workflow::list(&self.pool, NAMESPACE, filter, i64::from(limit) + 1).await;
        let mut items = found?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.run.to_string());
        Ok(Page { items, next })
    }
}

fn now(ledger: &Ledger) -> Now {
    let running = ledger.running();
    let activities = running.iter().map(|(seq, running)| PendingActivity {
        seq: *seq,
        activity: running.call.activity.clone(),
        undo_of: (running.direction == Direction::Undo).then_some(running.of),
        attempt: running.attempt,
        retry_at: running.retry_at.map(to_time),
        last_failure: running.last_failure.clone(),
        held_back: running.held > 0 && !running.parked,
        verifying: running.direction == Direction::Verify,
        parked: running.parked,
    });
    let children = ledger.children().iter().map(|(seq, child)| PendingChild {
        seq: *seq,
        workflow_type: child.start.workflow_type.clone(),
        workflow_id: child.start.workflow_id.clone(),
        started_at: to_time(child.since),
        cancelling: child.cancelling,
    });
    let timer = |seq: &Seq| *seq != Seq::DEADLINE && !running.contains_key(seq);
    let timers = ledger.alarms().iter().filter(|(seq, _)| timer(seq));
    let open = !ledger.status().is_closed();
    Now {
        activities: activities.collect(),
        timers: timers
            .map(|(seq, due)| PendingTimer { seq: *seq, fires_at: to_time(*due) })
            .collect(),
        children: children.collect(),
        owed_undos: ledger.undo_plan(),
        stuck: ledger
            .stuck()
            .filter(|_| open && ledger.status() == Status::Stuck)
            .map(|(reason, detail)| Stuck { reason: reason.code(), detail: detail.clone() }),
        events: ledger.events(),
    }
}
