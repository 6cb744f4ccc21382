//! Schedules: create, change, ask by hand, and look.

mod read;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Client, check_size, invalid};
use crate::ClientError;
use crate::address::{NAMESPACE, is_id, part_of};
use crate::schedule::{
    Asked, BUFFER_MAX, Cause, Definition, Overlap, Schedule, ScheduleError, State, Timetable,
    workflow_id,
};
use crate::store::schedule::{self, Defined, Name, Row};
use crate::store::{schedule_fire, to_time, worker};

/// So many labels of one workflow, the schedule's own aside.
const LABELS_MAX: usize = 31;
/// Bytes of a label's key, and of its value.
const LABEL_MAX: usize = 255;
/// A change gives way to a look so often.
const TRIES: u32 = 20;

/// What is written of a definition.
struct Planned {
    json: String,
    state: State,
    look_at: Option<DateTime<Utc>>,
}

impl Planned {
    fn defined(&self) -> Defined<'_> {
        Defined { definition: &self.json, state: &self.state, look_at: self.look_at }
    }
}

impl Client {
    /// Keeps a schedule under an id, 1 to 255 of `[A-Za-z0-9._:-]`. With `paused` it begins
    /// paused, with that note. Answers whether it was there already, as it is here.
    ///
    /// # Errors
    ///
    /// [`ClientError::ScheduleExists`], when the id has another definition;
    /// [`ClientError::Schedule`], [`ClientError::UnknownType`], [`ClientError::InvalidInput`].
    pub async fn create_schedule(
        &self,
        schedule_id: &str,
        definition: &Definition,
        paused: Option<&str>,
    ) -> Result<bool, ClientError> {
        let name = self.schedule_name(schedule_id)?;
        let schedule = self.check_definition(definition)?;
        let timetable = timetable(&name, definition, &schedule);
        let now = to_time(worker::time(&self.pool).await?);
        let mut planned = plan(definition, &timetable, timetable.next(now))?;
        planned.state.paused = paused.is_some();
        planned.state.note = paused.map(storable).filter(|note| !note.is_empty());
        if schedule::create(&self.pool, &name, planned.defined()).await? {
            self.poke_schedules(&name).await?;
            return Ok(false);
        }
        let (_, stored) = self.schedule_row(&name).await?;
        if &stored == definition {
            return Ok(true);
        }
        Err(ClientError::ScheduleExists(name.id))
    }

    /// Defines a schedule anew. What is paused stays so, and what is buffered stays buffered.
    /// From the first time on that was due and that nobody has looked at yet, or else from now on,
    /// the times are those of the new definition, also where they are past by now.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`], and as [`Client::create_schedule`].
    pub async fn update_schedule(
        &self,
        schedule_id: &str,
        definition: &Definition,
    ) -> Result<(), ClientError> {
        let name = self.schedule_name(schedule_id)?;
        let schedule = self.check_definition(definition)?;
        let timetable = timetable(&name, definition, &schedule);
        for _ in 0..TRIES {
            let (row, stored) = self.schedule_row(&name).await?;
            let from = match row.next_at {
                Some(due) if due <= row.now => due - TimeDelta::microseconds(1),
                _ => row.now,
            };
            let mut planned = plan(definition, &timetable, timetable.next(from))?;
            planned.state.paused = row.paused;
            planned.state.note = row.note;
            if stored.policy.limited_actions == definition.policy.limited_actions {
                planned.state.remaining = row.remaining;
            }
            // What waits may start under the new policy.
            planned.look_at = Some(row.now);
            if schedule::update(&self.pool, &name, row.revision, planned.defined()).await? {
                return self.poke_schedules(&name).await;
            }
        }
        Err(sqlx::Error::PoolTimedOut.into())
    }

    /// Forgets a schedule and what became of its fires. What it started goes on.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`].
    pub async fn delete_schedule(&self, schedule_id: &str) -> Result<(), ClientError> {
        let name = self.schedule_name(schedule_id)?;
        if schedule::delete(&self.pool, &name).await? {
            return Ok(());
        }
        Err(ClientError::NoSchedule(name.id))
    }

    /// From now on nothing is started by the clock; every nominal time becomes a fire that says
    /// so. What is asked for by hand is started all the same.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`].
    pub async fn pause_schedule(
        &self,
        schedule_id: &str,
        note: Option<&str>,
    ) -> Result<(), ClientError> {
        self.set_paused(schedule_id, true, note).await
    }

    /// The opposite of [`Client::pause_schedule`].
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`].
    pub async fn resume_schedule(
        &self,
        schedule_id: &str,
        note: Option<&str>,
    ) -> Result<(), ClientError> {
        self.set_paused(schedule_id, false, note).await
    }

    async fn set_paused(
        &self,
        schedule_id: &str,
        paused: bool,
        note: Option<&str>,
    ) -> Result<(), ClientError> {
        let (name, note) = (self.schedule_name(schedule_id)?, note.map(storable));
        if schedule::set_paused(&self.pool, &name, paused, note.as_deref()).await? {
            return self.poke_schedules(&name).await;
        }
        Err(ClientError::NoSchedule(name.id))
    }

    /// Fires now, also when it is paused or over. `overlap` stands in for the schedule's policy.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`], [`ClientError::BufferFull`].
    pub async fn trigger_schedule(
        &self,
        schedule_id: &str,
        overlap: Option<Overlap>,
    ) -> Result<Asked, ClientError> {
        let name = self.schedule_name(schedule_id)?;
        let (_, definition) = self.schedule_row(&name).await?;
        self.ask(&name, &definition, None, (Cause::Trigger, overlap)).await
    }

    /// Fires for every nominal time from `from` to `to`, both included, that has not started
    /// anything: at most 1 000, all in the past. `overlap` stands in for the schedule's policy;
    /// [`Overlap::BufferAll`] starts them one after the other.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoSchedule`], [`ClientError::TooManyFires`], [`ClientError::BufferFull`],
    /// and [`ClientError::Schedule`] for times that are not in order or not in the past.
    pub async fn backfill_schedule(
        &self,
        schedule_id: &str,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        overlap: Overlap,
    ) -> Result<Asked, ClientError> {
        let name = self.schedule_name(schedule_id)?;
        let (row, definition) = self.schedule_row(&name).await?;
        let range = |field, why: &str| ScheduleError::Range { field, why: why.to_owned() };
        if from > to {
            return Err(range("to", "must not be before from").into());
        }
        if to > row.now {
            return Err(range("to", "must not be in the future").into());
        }
        let schedule = definition.check()?;
        let timetable = timetable(&name, &definition, &schedule);
        let first = timetable.next(from - TimeDelta::microseconds(1));
        let times = std::iter::successors(first, |last| timetable.next(*last));
        let times: Vec<_> = times.take_while(|time| *time <= to).take(BUFFER_MAX + 1).collect();
        if times.is_empty() {
            let workflow_id = workflow_id(&definition.action.workflow_id_prefix, from);
            return Ok(Asked { nominal: from, workflow_id, fires: 0 });
        }
        if times.len() > BUFFER_MAX {
            return Err(ClientError::TooManyFires { schedule_id: name.id, limit: BUFFER_MAX });
        }
        self.ask(&name, &definition, Some(&times), (Cause::Backfill, Some(overlap))).await
    }

    async fn ask(
        &self,
        name: &Name,
        definition: &Definition,
        times: Option<&[DateTime<Utc>]>,
        how: (Cause, Option<Overlap>),
    ) -> Result<Asked, ClientError> {
        let limit = i32::try_from(BUFFER_MAX).expect("a thousand");
        let asked = schedule_fire::ask(&self.pool, name, times, how, limit).await?;
        if !asked.known {
            return Err(ClientError::NoSchedule(name.id.clone()));
        }
        let Some(count) = asked.count else {
            let schedule_id = name.id.clone();
            return Err(ClientError::BufferFull { schedule_id, limit: BUFFER_MAX });
        };
        self.poke_schedules(name).await?;
        Ok(Asked {
            nominal: asked.first,
            workflow_id: workflow_id(&definition.action.workflow_id_prefix, asked.first),
            fires: usize::try_from(count).unwrap_or_default(),
        })
    }

    fn schedule_name(&self, schedule_id: &str) -> Result<Name, ClientError> {
        if !is_id(schedule_id) {
            return Err(ClientError::InvalidId(schedule_id.to_owned()));
        }
        let part = part_of(NAMESPACE, schedule_id, self.hub.partitions());
        Ok(Name { part, namespace: NAMESPACE.to_owned(), id: schedule_id.to_owned() })
    }

    async fn schedule_row(&self, name: &Name) -> Result<(Row, Definition), ClientError> {
        let row = schedule::get(&self.pool, name).await?;
        let row = row.ok_or_else(|| ClientError::NoSchedule(name.id.clone()))?;
        let definition = read(&row)?;
        Ok((row, definition))
    }

    fn check_definition(&self, definition: &Definition) -> Result<Schedule, ClientError> {
        let schedule = definition.check()?;
        let action = &definition.action;
        check_size("the input", &action.input)?;
        let unstorable = |text: &String| text.contains('\0') || text.len() > LABEL_MAX;
        if action.labels.len() > LABELS_MAX
            || action.labels.iter().any(|(key, value)| unstorable(key) || unstorable(value))
        {
            let rule = "at most 31 labels, each of at most 255 bytes and without NUL";
            return Err(ClientError::InvalidInput(rule.to_owned()));
        }
        let kind = self.registry.workflow(&action.workflow_type);
        let kind = kind.ok_or_else(|| ClientError::UnknownType {
            name: action.workflow_type.clone(),
            known: self.registry.workflows().map(|kind| kind.name).collect(),
        })?;
        kind.check_input(&action.input).map_err(|error| invalid(&error))?;
        Ok(schedule)
    }

    /// Whoever owns it looks at once.
    async fn poke_schedules(&self, name: &Name) -> Result<(), ClientError> {
        if self.hub.lane_of(name.part).is_some() {
            self.hub.schedules.notify_one();
        } else {
            schedule::hint(&self.pool).await?;
        }
        Ok(())
    }
}

fn timetable<'a>(
    name: &'a Name,
    definition: &'a Definition,
    schedule: &'a Schedule,
) -> Timetable<'a> {
    Timetable { name: (&name.namespace, &name.id), when: &definition.when, schedule }
}

fn plan(
    definition: &Definition,
    timetable: &Timetable<'_>,
    next_at: Option<DateTime<Utc>>,
) -> Result<Planned, ClientError> {
    let json = serde_json::to_string(definition).map_err(|error| invalid(&error))?;
    let remaining = definition.policy.limited_actions.map(i64::from);
    let state = State { paused: false, note: None, next_at, remaining };
    Ok(Planned { json, state, look_at: next_at.map(|next| timetable.due(next)) })
}

fn read(row: &Row) -> Result<Definition, ClientError> {
    let read = serde_json::from_str(&row.definition);
    read.map_err(|error| sqlx::Error::Decode(error.into()).into())
}

/// Text in the database has no NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
