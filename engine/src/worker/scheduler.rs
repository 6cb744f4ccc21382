//! Looks at the schedules of this worker's partitions, and fires what is due.
//!
//! There is no leader. A look reads what is due, decides in memory, and writes what it decided of
//! many schedules in one transaction. Whoever owns the partition looks; should two (one was
//! stopped and does not know yet that it was taken over), the second finds the row locked or
//! changed, and has decided in vain: what a fire starts, that it fired, and when the next is due
//! are written together or not at all. So nothing is lost or made twice by a crash either.
//!
//! The database's clock decides what is due. A schedule that makes trouble stops no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use hansom_core::Event;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::hub::Hub;
use crate::address::part_of;
use crate::owner::first_row;
use crate::schedule::{Decision, Definition, End, Outcome, Seen, Timetable, decide, workflow_id};
use crate::store::Pool;
use crate::store::firing::{Decided, fire};
use crate::store::schedule::{DueRow, due, nearest};
use crate::store::schedule_fire::{RunRow, cause_code, outcome_code};
use crate::{Registry, metered};

/// Schedules are looked for this often, whatever hints say.
const POLL: Duration = Duration::from_secs(1);
/// So many schedules are decided in one transaction …
const BATCH: usize = 500;
/// … and about so many starts, …
const STARTS: usize = 1_000;
/// … and of one schedule so many, …
const STARTS_OF_ONE: usize = 100;
/// … and about so many bytes of definitions and inputs.
const BYTES: usize = 8 * 1024 * 1024;
/// So many open runs, and so many buffered fires, of one schedule are looked at.
const RUNS: usize = 200;

/// Fires schedules.
pub(crate) struct Scheduler {
    pool: Pool,
    registry: Arc<Registry>,
    hub: Arc<Hub>,
}

/// What was decided of one schedule, with what is needed to write it.
struct Item {
    row: DueRow,
    definition: Option<Definition>,
    /// The first history row of whatever it starts.
    events: Option<String>,
    decision: Decision,
}

impl Scheduler {
    pub(crate) fn new(pool: Pool, registry: Arc<Registry>, hub: Arc<Hub>) -> Self {
        Self { pool, registry, hub }
    }

    /// Runs until `stop` says so; what is being written then is written.
    pub(crate) async fn run(self, mut stop: oneshot::Receiver<()>) {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                // Said or dropped, it is the end.
                _ = &mut stop => return,
                () = self.hub.schedules.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            wait = match AssertUnwindSafe(self.look()).catch_unwind().await {
                Ok(Ok(wait)) => wait,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "schedules_unseen");
                    POLL
                }
                Err(_) => {
                    tracing::error!("schedules_panicked");
                    POLL
                }
            };
        }
    }

    /// Fires all that is due; answers how long until the next look.
    async fn look(&self) -> Result<Duration, sqlx::Error> {
        let poll = POLL.mul_f64(rand::random_range(0.8..1.2));
        let parts = self.hub.owned();
        if parts.is_empty() {
            return Ok(poll);
        }
        loop {
            let (nearest, waiting, now) = nearest(&self.pool, &parts).await?;
            looked(now);
            let wait = nearest.map(|nearest| (nearest - now).to_std().unwrap_or_default());
            if (wait != Some(Duration::ZERO) && !waiting) || self.hub.is_draining() {
                return Ok(wait.unwrap_or(poll).min(poll));
            }
            let limits = [BATCH, BYTES, RUNS].map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
            let rows = due(&self.pool, &parts, limits.into()).await?;
            // Nothing to do, or somebody else is at it.
            if rows.is_empty() || self.fire(rows).await? == 0 {
                return Ok(wait.filter(|wait| !wait.is_zero()).unwrap_or(poll).min(poll));
            }
        }
    }

    /// Decides, and writes; answers how many schedules were taken.
    async fn fire(&self, rows: Vec<DueRow>) -> Result<usize, sqlx::Error> {
        let (mut items, mut starts, mut bytes) = (Vec::new(), 0, 0);
        for row in rows {
            let item = self.decide(row, None);
            starts += item.decision.starts();
            let size = item.definition.as_ref().map_or(0, |d| d.action.input.get().len());
            bytes += item.decision.starts() * size;
            items.push(item);
            if starts >= STARTS || bytes >= BYTES {
                break;
            }
        }
        match self.write(&items).await {
            // The database will never take it as it is, or not now: each for itself, then.
            Err(error) if is_data(&error) || is_late(&error) => {
                tracing::warn!(%error, "schedules_refused");
                self.one_by_one(items).await
            }
            written => written,
        }
    }

    async fn one_by_one(&self, items: Vec<Item>) -> Result<usize, sqlx::Error> {
        let mut taken = 0;
        for item in items {
            let written = match self.write(std::slice::from_ref(&item)).await {
                Err(error) if is_data(&error) => {
                    tracing::error!(schedule_id = item.row.name.id, %error, "schedule_refused");
                    // Decided anew: what starts nothing uses up nothing.
                    self.write(&[self.decide(item.row, Some("the database refuses it"))]).await
                }
                // It is still due, and will be looked at again.
                Err(error) if is_late(&error) => Ok(0),
                written => written,
            };
            taken += written?;
        }
        Ok(taken)
    }

    /// With a reason why nothing can be started, nothing is.
    fn decide(&self, row: DueRow, refused: Option<&str>) -> Item {
        let decided = catch_unwind(AssertUnwindSafe(|| self.read_and_decide(&row, refused)));
        let decided = decided.unwrap_or_else(|_| Err("it makes this worker panic".to_owned()));
        match decided {
            Ok((definition, decision)) => {
                let events = (decision.starts() > 0).then(|| self.first(&definition));
                Item { definition: Some(definition), events, decision, row }
            }
            Err(why) => {
                tracing::error!(schedule_id = row.name.id, why, "schedule_unreadable");
                let decision = Decision::unreadable(row.state.clone(), row.now, &why);
                Item { definition: None, events: None, decision, row }
            }
        }
    }

    fn read_and_decide(
        &self,
        row: &DueRow,
        refused: Option<&str>,
    ) -> Result<(Definition, Decision), String> {
        let definition: Definition =
            serde_json::from_str(&row.definition).map_err(|error| error.to_string())?;
        let schedule = definition.check().map_err(|error| error.to_string())?;
        let runs: Vec<_> = row.runs.iter().map(RunRow::seen).collect();
        let refused = refused.map(str::to_owned).or_else(|| self.refused(&definition));
        let seen = Seen {
            state: row.state.clone(),
            now: row.now,
            runs: &runs,
            more_runs: runs.len() == RUNS,
            buffered: &row.buffered,
            buffered_count: usize::try_from(row.buffered_count).unwrap_or(usize::MAX),
            refused: refused.as_deref(),
            starts_max: STARTS_OF_ONE.min(BYTES / row.definition.len().max(1)),
        };
        let name = (row.name.namespace.as_str(), row.name.id.as_str());
        let timetable = Timetable { name, when: &definition.when, schedule: &schedule };
        let decision = decide(&definition, &timetable, &seen);
        Ok((definition, decision))
    }

    /// What every run begins with.
    fn first(&self, definition: &Definition) -> String {
        let action = &definition.action;
        let kind = self.registry.workflow(&action.workflow_type);
        first_row(&[Event::Started {
            input: action.input.clone(),
            code: kind.and_then(|kind| kind.code).map(|code| code.to_string()),
            deadline: None,
            parent: None,
            continued: None,
        }])
    }

    /// Why this binary cannot start what the schedule asks for.
    fn refused(&self, definition: &Definition) -> Option<String> {
        let name = &definition.action.workflow_type;
        let Some(kind) = self.registry.workflow(name) else {
            return Some(format!("there is no workflow type `{name}`"));
        };
        let refused = kind.check_input(&definition.action.input).err();
        refused.map(|error| format!("the input does not fit: {error}"))
    }

    async fn write(&self, items: &[Item]) -> Result<usize, sqlx::Error> {
        let mut columns = Decided::default();
        for (place, item) in (1..).zip(items) {
            columns.push(place, item, self.hub.partitions());
        }
        // A deadlock, a lost connection: whatever was not written is still due.
        let (mine, taken) = fire(&self.pool, &columns).await?;
        for (place, item) in (1..).zip(items) {
            if mine.contains(&place) {
                tell(item, &columns, place, &taken);
            }
        }
        Ok(mine.len())
    }
}

/// Whether the same call will never be taken: data, integrity, and what is too large.
fn is_data(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Whether a workflow id it starts is in a transaction that is open.
fn is_late(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "55P03")
}

impl Decided {
    fn push(&mut self, place: i32, item: &Item, partitions: i32) {
        let Item { row, decision, .. } = item;
        self.part.push(row.name.part);
        self.namespace.push(row.name.namespace.clone());
        self.id.push(row.name.id.clone());
        self.revision.push(row.revision);
        self.paused.push(decision.state.paused);
        self.note.push(decision.state.note.clone());
        self.next_at.push(decision.state.next_at);
        self.look_at.push(decision.look_at);
        self.waiting.push(decision.waiting);
        self.remaining.push(decision.state.remaining);
        for nominal in &decision.ended {
            self.ended.0.push(place);
            self.ended.1.push(*nominal);
        }
        self.push_fires(place, item, partitions);
        for (at, end) in &decision.ends {
            let (run, ends) = (&row.runs[*at], &mut self.ends);
            let Some((id, run_no)) = run.run.zip(run.run_no) else { continue };
            let message = match end {
                End::Cancel => "cancel",
                End::Terminate => "terminate",
            };
            ends.schedule.push(place);
            ends.part.push(run.part);
            ends.run.push(id);
            ends.workflow_id.push(run.workflow_id.clone());
            ends.run_no.push(run_no);
            ends.message.push(message.to_owned());
            ends.reason.push(format!("schedule {} is due again", row.name.id));
        }
    }

    fn push_fires(&mut self, place: i32, item: &Item, partitions: i32) {
        let name = &item.row.name;
        let action = item.definition.as_ref().map(|definition| &definition.action);
        let labels = action.map(|action| {
            let mut labels = action.labels.clone();
            labels.insert("schedule".to_owned(), name.id.clone());
            serde_json::to_string(&labels).expect("labels are text")
        });
        for (nominal, fire) in &item.decision.fires {
            let starts = action.filter(|_| fire.outcome == Outcome::Started);
            let id = starts.map(|action| workflow_id(&action.workflow_id_prefix, *nominal));
            let fires = &mut self.fires;
            fires.schedule.push(place);
            fires.nominal.push(*nominal);
            fires.cause.push(cause_code(fire.cause));
            fires.outcome.push(outcome_code(fire.outcome));
            fires.detail.push(fire.detail.clone());
            fires.part.push(id.as_ref().map(|id| part_of(&name.namespace, id, partitions)));
            fires.workflow_id.push(id);
            fires.run.push(starts.map(|_| Uuid::now_v7()));
            fires.workflow_type.push(starts.map(|action| action.workflow_type.clone()));
            fires.events.push(starts.and_then(|_| item.events.clone()));
            fires.labels.push(starts.and_then(|_| labels.clone()));
        }
    }
}

/// The time of the last look that the database answered.
#[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit")]
fn looked(now: DateTime<Utc>) {
    let seconds = now.timestamp_micros() as f64 / 1e6;
    metrics::gauge!(metered::LOOK).set(seconds);
}

/// Counts and logs what became of one schedule's fires.
fn tell(item: &Item, columns: &Decided, place: i32, taken: &[i32]) {
    let fires = (1..).zip(&columns.fires.schedule).filter(|(_, of)| **of == place);
    for ((at, _), (nominal, fire)) in fires.zip(&item.decision.fires) {
        let outcome = if taken.contains(&at) { Outcome::Failed } else { fire.outcome };
        metrics::counter!(metered::FIRES, "outcome" => outcome.name()).increment(1);
        // What had to wait for another run was late on purpose.
        let waited = item.row.buffered.iter().any(|buffered| buffered.nominal == *nominal);
        if outcome == Outcome::Started && !waited {
            let late = item.row.now.max(*nominal) - *nominal;
            metrics::histogram!(metered::LAG).record(seconds(late));
        }
        let (schedule_id, detail) = (&item.row.name.id, fire.detail.as_deref());
        match outcome {
            Outcome::Started | Outcome::Buffered | Outcome::Paused => {
                tracing::debug!(schedule_id, %nominal, outcome = outcome.name(), "schedule_fire");
            }
            _ => tracing::warn!(
                schedule_id, %nominal, outcome = outcome.name(), detail, "schedule_fire"
            ),
        }
    }
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.to_std().unwrap_or_default().as_secs_f64()
}
