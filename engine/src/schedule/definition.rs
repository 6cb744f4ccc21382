//! What a schedule is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hansom_core::Payload;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Schedule, ScheduleError};
use crate::address::is_id;

/// The longest beginning of a workflow id: a nominal time follows.
const PREFIX_MAX: usize = 220;
/// The catch-up window, from … to.
const CATCHUP: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(365 * 24));
/// The widest jitter.
const JITTER_MAX: Duration = Duration::from_hours(24);

/// What is started, when, and how often at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// What is started.
    pub action: Action,
    /// When.
    pub when: When,
    /// What if not everything goes by the clock.
    pub policy: Policy,
}

/// The workflow that every fire starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Its ids are this, a `-`, and the nominal time: `nightly-2026-11-21T02:30:00Z`. At most
    /// 220 bytes.
    pub workflow_id_prefix: String,
    /// The encoded input, the same for every run.
    pub input: Payload,
    /// For search, beside the label `schedule`, which is the schedule's id.
    pub labels: BTreeMap<String, String>,
}

/// When it is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct When {
    /// As [`Schedule::parse`] takes it.
    pub spec: String,
    /// An IANA time zone; default `UTC`.
    pub zone: String,
    /// Every fire is up to so much later than its nominal time, always the same for the same
    /// time, and never as late as the next. At most a day; default 0.
    #[serde(with = "super::duration")]
    pub jitter: Duration,
    /// Not before this.
    pub start_at: Option<DateTime<Utc>>,
    /// Not after this.
    pub end_at: Option<DateTime<Utc>>,
}

/// What if not everything goes by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// When the run before is still open.
    pub overlap: Overlap,
    /// A fire that could not be made for longer than this, because nobody was there, is missed.
    /// 10 s to 365 d; default 1 h.
    #[serde(with = "super::duration")]
    pub catchup_window: Duration,
    /// After so many starts by the clock it is over; those by hand do not count.
    pub limited_actions: Option<u32>,
    /// Whether a run that fails pauses it; default no.
    pub pause_on_failure: bool,
}

/// What a fire does when an earlier run of the schedule is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// It waits for the run to close; while one waits, others are skipped.
    BufferOne,
    /// It waits for all before it; at most 1 000 wait, others are dropped.
    BufferAll,
    /// The run is cancelled, and it starts when that is undone. Of several that wait for that,
    /// the last.
    CancelOther,
    /// It starts all the same.
    AllowAll,
    /// As [`Overlap::CancelOther`], but the run is terminated: nothing is undone, and what it
    /// owes stays owed.
    TerminateOther,
}

impl Overlap {
    /// Every policy, as it is written.
    pub const ALL: [(&'static str, Self); 6] = [
        ("skip", Self::Skip),
        ("buffer_one", Self::BufferOne),
        ("buffer_all", Self::BufferAll),
        ("cancel_other", Self::CancelOther),
        ("allow_all", Self::AllowAll),
        ("terminate_other", Self::TerminateOther),
    ];
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overlap: Overlap::default(),
            catchup_window: Duration::from_hours(1),
            limited_actions: None,
            pause_on_failure: false,
        }
    }
}

impl When {
    /// By the clock, from now on.
    pub fn new(spec: &str, zone: &str) -> Self {
        let (spec, zone) = (spec.to_owned(), zone.to_owned());
        Self { spec, zone, jitter: Duration::ZERO, start_at: None, end_at: None }
    }
}

impl Definition {
    /// Reads the schedule, and refuses what is out of range.
    ///
    /// # Errors
    ///
    /// Says what is out of which range.
    pub fn check(&self) -> Result<Schedule, ScheduleError> {
        let Self { action, when, policy } = self;
        let schedule = Schedule::parse(&when.spec, &when.zone)?;
        let refuse = |field, why: &str| Err(ScheduleError::Range { field, why: why.to_owned() });
        if !is_id(&action.workflow_id_prefix) || action.workflow_id_prefix.len() > PREFIX_MAX {
            let why = format!("1 to {PREFIX_MAX} of A-Z a-z 0-9 . _ : -");
            return refuse("workflow_id_prefix", &why);
        }
        if !(CATCHUP.0..=CATCHUP.1).contains(&policy.catchup_window) {
            return refuse("catchup_window", "10s to 365d");
        }
        if when.jitter > JITTER_MAX {
            return refuse("jitter", "at most 1d");
        }
        if policy.limited_actions == Some(0) {
            return refuse("limited_actions", "at least 1");
        }
        if when.start_at.zip(when.end_at).is_some_and(|(start, end)| start > end) {
            return refuse("end_at", "must not be before start_at");
        }
        Ok(schedule)
    }
}

/// A definition that has been read, of a schedule with a name.
pub(crate) struct Timetable<'a> {
    /// Namespace and schedule id: each has a jitter of its own.
    pub(crate) name: (&'a str, &'a str),
    pub(crate) when: &'a When,
    pub(crate) schedule: &'a Schedule,
}

impl Timetable<'_> {
    /// The first nominal time after `after`, within start and end.
    pub(crate) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let before_start = self.when.start_at.map(|start| start - TimeDelta::microseconds(1));
        let next = self.schedule.next(before_start.map_or(after, |start| start.max(after)))?;
        self.when.end_at.is_none_or(|end| next <= end).then_some(next)
    }

    /// When the fire of this nominal time is due. Later times are due later.
    pub(crate) fn due(&self, nominal: DateTime<Utc>) -> DateTime<Utc> {
        let jitter = TimeDelta::from_std(self.when.jitter).unwrap_or_default();
        let next = self.schedule.next(nominal).map_or(jitter, |next| next - nominal);
        let span = jitter.min(next).num_microseconds().and_then(|span| u64::try_from(span).ok());
        let Some(span) = span.filter(|span| *span > 0) else { return nominal };
        let (namespace, id) = self.name;
        let hash = Sha256::new()
            .chain_update(namespace)
            .chain_update([0])
            .chain_update(id)
            .chain_update([0])
            .chain_update(nominal.timestamp_micros().to_be_bytes())
            .finalize();
        let head = hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
        let late = i64::try_from(head % span).expect("below a day");
        nominal + TimeDelta::microseconds(late)
    }
}

/// The id of the workflow that the fire of a nominal time starts: the same whoever fires.
pub(crate) fn workflow_id(prefix: &str, nominal: DateTime<Utc>) -> String {
    let full = nominal.timestamp_subsec_micros() == 0;
    let shape = if full { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
    format!("{prefix}-{}", nominal.format(shape))
}
