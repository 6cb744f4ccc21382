//! Looking at schedules.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{read, timetable};
use crate::address::NAMESPACE;
use crate::schedule::{Fire, Outcome, ScheduleDescription, ScheduleSummary, Standing};
use crate::store::{schedule, schedule_fire};
use crate::view::Page;
use crate::{Client, ClientError};

/// Open runs that a description names.
const RUNNING: i64 = 100;

impl Client {
    /// A schedule as it stands now: with its next `next` times, and the last `fires` of its fires.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`].
    pub async fn describe_schedule(
        &self,
        schedule_id: &str,
        (next, fires): (usize, u32),
    ) -> Result<ScheduleDescription, ClientError> {
        let name = self.schedule_name(schedule_id)?;
        let (row, definition) = self.schedule_row(&name).await?;
        // What cannot be read is shown all the same, without its times.
        let schedule = definition.check().ok();
        let timetable = schedule.as_ref().map(|schedule| timetable(&name, &definition, schedule));
        let times = std::iter::successors(row.next_at, |last| timetable.as_ref()?.next(*last));
        let next = times.take(next).collect();
        let buffered = schedule_fire::buffered(&self.pool, &name).await?;
        let running = schedule_fire::running(&self.pool, &name, RUNNING).await?;
        let fires = schedule_fire::list(&self.pool, &name, (None, None), i64::from(fires)).await?;
        Ok(ScheduleDescription {
            schedule_id: name.id,
            action: definition.action,
            when: definition.when,
            policy: definition.policy,
            standing: Standing {
                paused: row.paused,
                note: row.note,
                remaining: row.remaining,
                buffered,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            next,
            running,
            fires,
        })
    }

    /// Schedules by their ids, after the id `after`: 1 to 200.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn list_schedules(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<ScheduleSummary>, ClientError> {
        let limit = limit.clamp(1, 200);
        let rows = schedule::list(&self.pool, NAMESPACE, after, i64::from(limit) + 1).await?;
        let items = rows.into_iter().map(|row| {
            let definition = read(&row)?;
            Ok(ScheduleSummary {
                schedule_id: row.schedule_id,
                workflow_type: definition.action.workflow_type,
                spec: definition.when.spec,
                zone: definition.when.zone,
                paused: row.paused,
                note: row.note,
                next_at: row.next_at,
            })
        });
        let items = items.collect::<Result<Vec<_>, ClientError>>()?;
        Ok(page(items, limit, |last| last.schedule_id.clone()))
    }

    /// What became of a schedule's nominal times, latest first: those with this outcome and
    /// before that time. Rows are kept for 30 days. 1 to 200.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`].
    pub async fn schedule_fires(
        &self,
        schedule_id: &str,
        outcome: Option<Outcome>,
        before: Option<DateTime<Utc>>,
        limit: u32,
    ) -> Result<Page<Fire>, ClientError> {
        let name = self.schedule_name(schedule_id)?;
        self.schedule_row(&name).await?;
        let limit = limit.clamp(1, 200);
        let which = (outcome, before);
        let items = schedule_fire::list(&self.pool, &name, which, i64::from(limit) + 1).await?;
        // With a Z: a plus sign in a URL is a space.
        Ok(page(items, limit, |last| last.nominal.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
    }
}

/// One line more than the limit was read when there is a next page.
fn page<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}
