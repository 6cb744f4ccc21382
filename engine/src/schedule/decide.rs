//! What becomes of every nominal time: decided here, without a clock and without a database.
//!
//! A look at a schedule sees its state, the runs it started that are still noted as open, the
//! fires that are buffered, and the database's time. What it decides is written in one
//! transaction, or not at all when somebody else was quicker.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hansom_core::Status;

use super::definition::{Definition, Overlap, Timetable, workflow_id};
use super::view::{Cause, Outcome};

/// So many fires of one schedule wait for its runs to close.
pub(crate) const BUFFER_MAX: usize = 1_000;
/// So many nominal times of one schedule are decided at once; the rest at the next look.
const FIRES_MAX: usize = 1_000;

/// What changes with every look.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) paused: bool,
    pub(crate) note: Option<String>,
    /// The next nominal time.
    pub(crate) next_at: Option<DateTime<Utc>>,
    /// Starts that are left, where they are limited.
    pub(crate) remaining: Option<i64>,
}

/// What a look sees.
pub(crate) struct Seen<'a> {
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
    pub(crate) runs: &'a [Run],
    /// More runs than are seen are noted as open.
    pub(crate) more_runs: bool,
    /// Oldest first.
    pub(crate) buffered: &'a [Buffered],
    /// How many are buffered in all.
    pub(crate) buffered_count: usize,
    /// Why nothing can be started at all.
    pub(crate) refused: Option<&'a str>,
    /// So many starts at most.
    pub(crate) starts_max: usize,
}

/// A run that the schedule started, not yet noted as closed.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) nominal: DateTime<Utc>,
    pub(crate) workflow_id: String,
    /// None: there is no such workflow any more.
    pub(crate) status: Option<Status>,
}

impl Run {
    fn is_open(&self) -> bool {
        self.status.is_some_and(|status| !status.is_closed())
    }
}

/// A fire that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffered {
    pub(crate) nominal: DateTime<Utc>,
    pub(crate) cause: Cause,
    /// Instead of the schedule's own policy.
    pub(crate) overlap: Option<Overlap>,
}

/// What became of a nominal time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fire {
    pub(crate) cause: Cause,
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
}

/// What is to be written.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) state: State,
    pub(crate) look_at: Option<DateTime<Utc>>,
    /// Whether to look when the runs are closed.
    pub(crate) waiting: bool,
    /// By nominal time.
    pub(crate) fires: BTreeMap<DateTime<Utc>, Fire>,
    /// Runs that have closed, by nominal time.
    pub(crate) ended: Vec<DateTime<Utc>>,
    /// Runs that are told to end, by their place among those seen.
    pub(crate) ends: Vec<(usize, End)>,
}

/// How a run is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It unwinds.
    Cancel,
    /// It is closed where it is.
    Terminate,
}

impl Decision {
    /// Of a schedule that this binary cannot read: it is looked at again, now and then.
    pub(crate) fn unreadable(state: State, now: DateTime<Utc>, why: &str) -> Self {
        let failed = |nominal| {
            let (cause, outcome) = (Cause::Schedule, Outcome::Failed);
            (nominal, Fire { cause, outcome, detail: Some(why.to_owned()) })
        };
        Self {
            fires: state.next_at.map(failed).into_iter().collect(),
            state,
            look_at: Some(now + TimeDelta::minutes(1)),
            waiting: false,
            ended: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// How many workflows it starts.
    pub(crate) fn starts(&self) -> usize {
        self.fires.values().filter(|fire| fire.outcome == Outcome::Started).count()
    }
}

/// Decides all that is due by now.
pub(crate) fn decide(
    definition: &Definition,
    timetable: &Timetable<'_>,
    seen: &Seen<'_>,
) -> Decision {
    let mut pass = Pass::new(definition, seen);
    let unfinished = pass.take_buffered() || pass.take_due(timetable);
    if pass.is_over() {
        pass.decision.state.next_at = None;
    }
    let Pass { mut decision, running, waiting, .. } = pass;
    let due = decision.state.next_at.map(|next| timetable.due(next));
    // Whoever is asked to do more than fits one look is looked at again at once.
    decision.look_at = if unfinished { Some(seen.now) } else { due };
    let watched = definition.policy.pause_on_failure && running > 0;
    decision.waiting = !waiting.is_empty() || watched;
    decision
}

/// A fire to be decided.
#[derive(Clone, Copy)]
struct Candidate {
    nominal: DateTime<Utc>,
    cause: Cause,
    overlap: Overlap,
    /// It has a row already, as one that is buffered.
    stored: bool,
}

/// One look, half done.
struct Pass<'a> {
    definition: &'a Definition,
    seen: &'a Seen<'a>,
    decision: Decision,
    /// Runs that are open, with those that are started now.
    running: usize,
    /// What waits for them to close, in order.
    waiting: Vec<Candidate>,
    starts_left: usize,
    buffered: usize,
}

/// There is no room for it in this look.
struct Full;

impl<'a> Pass<'a> {
    fn new(definition: &'a Definition, seen: &'a Seen<'a>) -> Self {
        let (open, ended): (Vec<_>, Vec<_>) = seen.runs.iter().partition(|run| run.is_open());
        let mut state = seen.state.clone();
        let failed = ended.iter().find(|run| run.status == Some(Status::Failed));
        if let Some(failed) = failed.filter(|_| definition.policy.pause_on_failure) {
            state.paused = true;
            state.note = Some(format!("`{}` failed", failed.workflow_id));
        }
        let decision = Decision {
            state,
            look_at: None,
            waiting: false,
            fires: BTreeMap::new(),
            ended: ended.iter().map(|run| run.nominal).collect(),
            ends: Vec::new(),
        };
        Self {
            definition,
            seen,
            decision,
            running: open.len() + usize::from(seen.more_runs),
            waiting: Vec::new(),
            starts_left: seen.starts_max.max(1),
            buffered: seen.buffered_count,
        }
    }

    /// Whether some are left for the next look.
    fn take_buffered(&mut self) -> bool {
        for buffered in self.seen.buffered {
            let overlap = buffered.overlap.unwrap_or(self.definition.policy.overlap);
            let Buffered { nominal, cause, .. } = *buffered;
            if self.take(Candidate { nominal, cause, overlap, stored: true }).is_err() {
                return true;
            }
        }
        // Those that were seen are decided; if all of them are, others may be next.
        let decided = self.decision.fires.len();
        decided > 0 && self.seen.buffered_count > self.seen.buffered.len()
    }

    /// Whether some are left for the next look.
    fn take_due(&mut self, timetable: &Timetable<'_>) -> bool {
        let window = TimeDelta::from_std(self.definition.policy.catchup_window);
        let missed_before = self.seen.now - window.expect("a checked window is at most a year");
        while let Some(nominal) = self.decision.state.next_at {
            let due = timetable.due(nominal);
            if due > self.seen.now {
                return false;
            }
            if self.decision.fires.len() >= FIRES_MAX {
                return true;
            }
            let (cause, overlap) = (Cause::Schedule, self.definition.policy.overlap);
            let candidate = Candidate { nominal, cause, overlap, stored: false };
            if self.is_over() {
                return false;
            }
            if self.decision.state.paused {
                self.put(candidate, Outcome::Paused, None);
            } else if due < missed_before {
                self.put(candidate, Outcome::Missed, None);
            } else if self.take(candidate).is_err() {
                return true;
            }
            self.decision.state.next_at = timetable.next(nominal);
        }
        false
    }

    /// Whether all its starts have been made.
    fn is_over(&self) -> bool {
        self.decision.state.remaining == Some(0)
    }

    fn take(&mut self, candidate: Candidate) -> Result<(), Full> {
        if candidate.cause == Cause::Schedule {
            if self.decision.state.paused {
                // Only what was buffered before: it waits.
                return Ok(());
            }
            if self.is_over() {
                let why = "limited_actions is used up".to_owned();
                self.put(candidate, Outcome::Dropped, Some(why));
                return Ok(());
            }
        }
        let free = self.running == 0 && self.waiting.is_empty();
        if free || candidate.overlap == Overlap::AllowAll {
            return self.start(candidate);
        }
        match candidate.overlap {
            Overlap::Skip => self.put(candidate, Outcome::Skipped, None),
            Overlap::BufferOne if !self.waiting.is_empty() => {
                self.put(candidate, Outcome::Skipped, None);
            }
            Overlap::BufferAll if self.buffered >= BUFFER_MAX && !candidate.stored => {
                self.put(candidate, Outcome::Dropped, Some(format!("{BUFFER_MAX} are buffered")));
            }
            Overlap::CancelOther | Overlap::TerminateOther => {
                self.end_others(candidate);
                self.wait(candidate);
            }
            Overlap::BufferOne | Overlap::BufferAll | Overlap::AllowAll => self.wait(candidate),
        }
        Ok(())
    }

    fn start(&mut self, candidate: Candidate) -> Result<(), Full> {
        if let Some(why) = self.seen.refused {
            self.put(candidate, Outcome::Failed, Some(why.to_owned()));
            return Ok(());
        }
        self.starts_left = self.starts_left.checked_sub(1).ok_or(Full)?;
        self.put(candidate, Outcome::Started, None);
        self.running += 1;
        if candidate.cause == Cause::Schedule
            && let Some(remaining) = &mut self.decision.state.remaining
        {
            *remaining -= 1;
        }
        Ok(())
    }

    fn wait(&mut self, candidate: Candidate) {
        if !candidate.stored {
            self.put(candidate, Outcome::Buffered, None);
            self.buffered += 1;
        }
        self.waiting.push(candidate);
    }

    /// For the sake of one that is to be the only one.
    fn end_others(&mut self, candidate: Candidate) {
        let end = |run: &Run| match (candidate.overlap, run.status?) {
            (Overlap::TerminateOther, status) => (!status.is_closed()).then_some(End::Terminate),
            // What is being undone is on its way.
            (_, Status::Running | Status::Stuck) => Some(End::Cancel),
            _ => None,
        };
        let runs = self.seen.runs.iter().enumerate();
        self.decision.ends = runs.filter_map(|(at, run)| Some((at, end(run)?))).collect();
        let waiting = std::mem::take(&mut self.waiting);
        for earlier in waiting {
            if matches!(earlier.overlap, Overlap::CancelOther | Overlap::TerminateOther) {
                let prefix = &self.definition.action.workflow_id_prefix;
                let later = workflow_id(prefix, candidate.nominal);
                self.put(earlier, Outcome::Skipped, Some(format!("`{later}` takes its place")));
                self.buffered = self.buffered.saturating_sub(1);
            } else {
                self.waiting.push(earlier);
            }
        }
    }

    fn put(&mut self, candidate: Candidate, outcome: Outcome, detail: Option<String>) {
        let fire = Fire { cause: candidate.cause, outcome, detail };
        self.decision.fires.insert(candidate.nominal, fire);
    }
}
