//! What a check comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use hansom_core::{Event, Payload, StuckReason};
use serde::Serialize;
use uuid::Uuid;

use super::sides;
use crate::store::snapshot::OpenRow;

/// What to look at, and how much of it to show.
#[derive(Clone, Debug)]
pub struct CheckScope {
    /// Only runs of this type. Default: all.
    pub workflow_type: Option<String>,
    /// So many runs of each verdict are shown. Default 10.
    pub examples: usize,
    /// A run whose replay takes longer is given up: [`Verdict::Hangs`]. Default 10 s.
    pub patience: Duration,
}

impl Default for CheckScope {
    fn default() -> Self {
        Self { workflow_type: None, examples: 10, patience: Duration::from_secs(10) }
    }
}

/// What would become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on as if nothing had changed.
    Fits,
    /// It fits, and would ask for something at once where it waits now.
    GoesOn,
    /// It is stuck, and would not be any more if it were tried again.
    Freed,
    /// It is stuck, and this binary changes nothing about that.
    Stuck,
    /// The code asks for something else than its history has.
    Nondeterminism,
    /// Something that is stored does not have the shape the code expects.
    Payload,
    /// The body panics.
    Panic,
    /// The body fails past its point of no return.
    FailedAfterPivot,
    /// Its history, or what its body asks for, passes a limit.
    Limit,
    /// The body does not come to an end.
    Hangs,
    /// There is no workflow of its type.
    UnknownType,
    /// Nobody performs an activity that is under way, or an undo that it owes.
    NoHandler,
    /// Its history cannot be read.
    Unreadable,
    /// Its row does not say what its history adds up to.
    Drift,
}

impl Verdict {
    /// Whether a deploy should not go out.
    pub fn breaks(self) -> bool {
        !matches!(self, Self::Fits | Self::GoesOn | Self::Freed | Self::Stuck)
    }

    /// Its name, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::GoesOn => "goes_on",
            Self::Freed => "freed",
            Self::Stuck => "stuck",
            Self::Nondeterminism => "nondeterminism",
            Self::Payload => "payload",
            Self::Panic => "panic",
            Self::FailedAfterPivot => "failed_after_pivot",
            Self::Limit => "limit",
            Self::Hangs => "hangs",
            Self::UnknownType => "unknown_type",
            Self::NoHandler => "no_handler",
            Self::Unreadable => "unreadable",
            Self::Drift => "drift",
        }
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fits => "goes on as if nothing had changed",
            Self::GoesOn => "fits, and asks for more at once, where it waits now",
            Self::Freed => "is stuck, and would not be any more if it were tried again",
            Self::Stuck => "is stuck, and stays so",
            Self::Nondeterminism => "the code asks for something else than its history has",
            Self::Payload => "what is stored does not have the shape the code expects",
            Self::Panic => "the body panics",
            Self::FailedAfterPivot => "the body fails past its point of no return",
            Self::Limit => "it passes a limit",
            Self::Hangs => "the body does not come to an end",
            Self::UnknownType => "this binary has no workflow of that type",
            Self::NoHandler => "this binary performs no activity of that name",
            Self::Unreadable => "its history cannot be read",
            Self::Drift => "its row does not say what its history adds up to",
        }
    }
}

impl From<StuckReason> for Verdict {
    fn from(reason: StuckReason) -> Self {
        match reason {
            StuckReason::Nondeterminism => Self::Nondeterminism,
            StuckReason::Payload => Self::Payload,
            StuckReason::Panic => Self::Panic,
            StuckReason::FailedAfterPivot => Self::FailedAfterPivot,
            StuckReason::HistoryLimit | StuckReason::Limit => Self::Limit,
            StuckReason::UnknownType => Self::UnknownType,
            StuckReason::UndoExhausted | StuckReason::Poison | StuckReason::OutcomeUnknown => {
                Self::Stuck
            }
        }
    }
}

/// One thing that was found about a run.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it means for the run.
    pub verdict: Verdict,
    /// The event it is about, from 0.
    pub event: Option<u32>,
    /// What a person needs to know.
    pub detail: String,
    /// What history has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Payload>,
    /// What the code asks for there; none when it asks for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Payload>,
}

impl Finding {
    pub(super) fn of(verdict: Verdict, event: Option<usize>, detail: impl Into<String>) -> Self {
        let event = event.and_then(|event| u32::try_from(event).ok());
        Self { verdict, event, detail: detail.into(), history: None, code: None }
    }

    /// One about what history has there.
    pub(super) fn about(verdict: Verdict, number: usize, detail: String, event: &Event) -> Self {
        let history = Some(sides::shown(event));
        Self { history, ..Self::of(verdict, Some(number), detail) }
    }
}

/// What was found about a run.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedRun {
    /// As its starter named it.
    pub workflow_id: String,
    /// The run.
    pub run: Uuid,
    /// [`hansom_core::Workflow::NAME`].
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// What would become of it: of the first finding.
    pub verdict: Verdict,
    /// All of it, the decisive one first; none when it fits.
    pub findings: Vec<Finding>,
    /// The changes that its body asks about, and whether the run has them.
    #[serde(skip)]
    pub(super) patches: BTreeMap<String, bool>,
}

/// How many runs have a change of their body ([`hansom_core::Ctx::patched`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Patched {
    /// So many have it. When there is none, `retire_patch` may go.
    pub with: u64,
    /// So many came past without it. When there is none, `patched` may become `retire_patch`.
    pub without: u64,
}

impl CheckedRun {
    pub(super) fn of(row: &OpenRow, findings: Vec<Finding>) -> Self {
        Self {
            workflow_id: row.workflow_id.clone(),
            run: row.run,
            workflow_type: row.workflow_type.clone(),
            verdict: findings.first().map_or(Verdict::Fits, |finding| finding.verdict),
            findings,
            patches: BTreeMap::new(),
        }
    }
}

/// What a check comes to, or has come to so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// How many open runs were looked at. Of none, nothing is proven.
    pub runs: u64,
    /// How many of them this binary would break.
    pub would_break: u64,
    /// How many there are, by type and verdict.
    pub counts: BTreeMap<String, BTreeMap<Verdict, u64>>,
    /// By type and change: how many have it, of those that came past it and still need
    /// their body.
    pub patches: BTreeMap<String, BTreeMap<String, Patched>>,
    /// The first of each verdict, but for those that fit.
    pub examples: Vec<CheckedRun>,
}

impl CheckReport {
    pub(super) fn add(&mut self, mut judged: CheckedRun, examples: usize) {
        let verdict = judged.verdict;
        self.runs += 1;
        self.would_break += u64::from(verdict.breaks());
        let of_type = match self.counts.get_mut(&judged.workflow_type) {
            Some(of_type) => of_type,
            None => self.counts.entry(judged.workflow_type.clone()).or_default(),
        };
        *of_type.entry(verdict).or_default() += 1;
        if !judged.patches.is_empty() {
            let of_type = self.patches.entry(judged.workflow_type.clone()).or_default();
            for (id, has) in std::mem::take(&mut judged.patches) {
                let patched = of_type.entry(id).or_default();
                *(if has { &mut patched.with } else { &mut patched.without }) += 1;
            }
        }
        let shown = self.examples.iter().filter(|shown| shown.verdict == verdict).count();
        if verdict != Verdict::Fits && shown < examples {
            self.examples.push(judged);
        }
    }
}
