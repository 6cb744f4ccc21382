//! Steps that are held back, because their services take no requests, and how those are found to
//! take some again.
//!
//! Each has an alarm, which is set further away each time, up to a minute, or to what its policy
//! or its service says where that is longer: every wait is an event, and a history is bounded. In
//! between one step of each activity is tried now and then, ahead of its alarm, which stays. If it
//! is not sent, history does not hear of it, and it is held as it was. If it is answered, others
//! follow it: two at first, and one for one when [`GROWTH`] have been answered. Nobody follows what
//! was not tried early: how much else happens makes no difference to how many are under way. So
//! that is as many as the service answers, and ten thousand do not fall upon one that has just come
//! back. Whoever is not reached this way, because attempts fail, has its alarm.
//!
//! What can interleave:
//!
//! * *Its alarm rings while it is under way.* That makes no second attempt ([`Ledger::ring`]), and
//!   the alarm is gone: should the one that is out not be sent, it is held back anew.
//! * *It is cancelled while it is under way.* It is waited for, as any other; if it is not sent, it
//!   is not done.
//! * *Its owner is lost while it is under way.* The commit that lets it go makes its run hot: the
//!   next owner loads it, and reckons with its having been sent ([`Ledger::doubt`]). Its alarm is
//!   there. History does not tell that it was tried, so if it was this attempt that took the
//!   worker down, it is not charged with it; but the next owner waits for the alarm, and charges.
//! * *Its run has left memory, or is over.* It is loaded, and knows whether it still waits for this
//!   alarm. What is kept here goes with the alarm, in the commit that drops it.
//!
//! An owner knows what it has held back itself: after a takeover the first try is when the alarm
//! rings.
//!
//! [`Ledger::ring`]: hansom_core::Ledger::ring
//! [`Ledger::doubt`]: hansom_core::Ledger::doubt

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Attempt, Seq, Timestamp};
use uuid::Uuid;

use super::Owner;
use super::batch::HeldStep;
use super::runs::Wake;
use crate::address::{Address, Part};

/// How often one is tried while none is answered, unless its service has said when …
const LOOK: Duration = Duration::from_secs(2);
/// … and so long that is taken from it: what it has told one step silences all of them.
const LOOK_MAX: Duration = Duration::from_mins(1);
/// So many answers bring two others each.
const GROWTH: u32 = 32;

/// When the alarm of a step rings, its run, and the step.
pub(super) type Alarm = (Timestamp, Uuid, Seq);

/// Steps that are held back, by activity: in an order, so that a simulation can be repeated. No
/// line is empty.
#[derive(Default)]
pub(super) struct Held(BTreeMap<String, Line>);

struct Line {
    waiting: BTreeMap<Alarm, Arc<Address>>,
    /// The one that was tried last: they take turns.
    last: Option<Alarm>,
    look_at: Timestamp,
    /// How many were answered since one was last not sent, up to [`GROWTH`]; less those that failed.
    answered: u32,
}

/// A step to be tried, with its alarm.
pub(super) type Turn = (Alarm, Arc<Address>);

impl Held {
    pub(super) fn hold(&mut self, step: HeldStep, now: Timestamp) {
        let line = self.0.entry(step.activity).or_insert_with(|| Line {
            waiting: BTreeMap::new(),
            last: None,
            look_at: next_look(step.after, now),
            answered: 0,
        });
        line.waiting.insert(step.alarm, step.address);
    }

    /// These alarms are no more.
    pub(super) fn drop_alarms(&mut self, dropped: &HashSet<Alarm>) {
        for line in self.0.values_mut() {
            for alarm in dropped {
                line.waiting.remove(alarm);
            }
        }
        self.0.retain(|_, line| !line.waiting.is_empty());
    }

    pub(super) fn forget(&mut self, parts: &HashSet<Part>) {
        self.0.retain(|_, line| {
            line.waiting.retain(|_, address| !parts.contains(&address.part));
            !line.waiting.is_empty()
        });
    }

    /// How an attempt of this activity ended, and whether it was an `early` one: answers who
    /// follows it.
    pub(super) fn hear(
        &mut self,
        activity: &str,
        early: bool,
        ended: &Attempt,
        now: Timestamp,
    ) -> Vec<Turn> {
        let Some(line) = self.0.get_mut(activity) else { return Vec::new() };
        match ended {
            Attempt::Unavailable { after, .. } => {
                line.answered = 0;
                line.look_at = next_look(*after, now);
                Vec::new()
            }
            Attempt::Done(_) | Attempt::Refused(_) if early => {
                let follow = if line.answered < GROWTH { 2 } else { 1 };
                line.answered = GROWTH.min(line.answered + 1);
                line.look_at = now.after(LOOK);
                line.next(follow)
            }
            // It was sent, and nobody follows it: the next that is answered brings one for it.
            Attempt::Failed { .. } if early => {
                line.answered = line.answered.saturating_sub(1);
                Vec::new()
            }
            Attempt::Done(_) | Attempt::Refused(_) | Attempt::Failed { .. } => Vec::new(),
        }
    }

    /// Whose turn it is by `now`.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Turn> {
        let due = self.0.values_mut().filter(|line| line.look_at <= now);
        due.flat_map(|line| {
            line.look_at = now.after(LOOK);
            line.next(1)
        })
        .collect()
    }

    /// When it is somebody's turn.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.0.values().map(|line| line.look_at).min()
    }
}

fn next_look(after: Option<Duration>, now: Timestamp) -> Timestamp {
    now.after(after.unwrap_or_default().clamp(LOOK, LOOK_MAX))
}

impl Line {
    fn next(&mut self, count: usize) -> Vec<Turn> {
        (0..count).filter_map(|_| self.turn()).collect()
    }

    fn turn(&mut self) -> Option<Turn> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.waiting.range((after, Bound::Unbounded)).next();
        let (alarm, address) = next.or_else(|| self.waiting.first_key_value())?;
        self.last = Some(*alarm);
        Some((*alarm, Arc::clone(address)))
    }
}

impl Owner {
    /// Tries steps that are held back, ahead of their alarms.
    pub(super) fn try_early(&mut self, turns: Vec<Turn>, now: Timestamp) {
        for ((due, _, seq), address) in turns {
            self.wake(&address, Wake::Early(seq, due), now);
        }
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.alarms.held.0.is_empty()
    }
}
