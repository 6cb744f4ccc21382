//! The services that attempts are made against: each keeps our keys, and a void leaves a
//! tombstone. What has become of an effect is known here from nobody but them.

use std::collections::BTreeMap;

use hansom_core::{Activity, ActivityContext, Attempt, Direction, Payload, Seq, Verdict};

use super::contracts::{Act, Doubt, Far, No};

/// The run that acted, and which of its commands that was.
pub(super) type Key = (String, Seq);

/// What has become of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Effect {
    #[default]
    Nothing,
    Done,
    /// A business no, which stays.
    Refused,
    /// A probe was told that it did not happen, and it never will.
    Excluded,
    /// Undone, or never to happen.
    Void,
}

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    Works,
    /// It says no, where it may.
    Refuses,
    /// It has its effect, and the answer is lost.
    AnswerLost,
    /// It does not arrive.
    Lost,
}

#[derive(Default)]
pub(super) struct Services {
    effects: BTreeMap<Key, Effect>,
}

impl Services {
    /// An attempt at `activity` arrives, or does not.
    pub(super) fn perform(
        &mut self,
        activity: &str,
        asked: &ActivityContext,
        luck: Luck,
    ) -> Attempt {
        let failed = || Attempt::failed("the network is down");
        if luck == Luck::Lost {
            return failed();
        }
        let done = Attempt::Done(Payload::of(&()).unwrap());
        let no = Attempt::Refused(Payload::of(&No).unwrap());
        if luck == Luck::Refuses && ![Act::NAME, Doubt::NAME, Far::NAME].contains(&activity) {
            // It may not say no: here it does.
            return no;
        }
        let effect = self.effects.entry((asked.run.clone(), asked.seq)).or_default();
        let answer = match (asked.direction, *effect) {
            (Direction::Do, Effect::Nothing) if luck == Luck::Refuses => {
                *effect = Effect::Refused;
                no
            }
            (Direction::Do, Effect::Nothing | Effect::Done) => {
                *effect = Effect::Done;
                done
            }
            (Direction::Do, Effect::Refused) => no,
            (Direction::Do, Effect::Excluded | Effect::Void) => failed(),
            (Direction::Undo, _) => {
                *effect = Effect::Void;
                done
            }
            (Direction::Verify, Effect::Done) => verdict(&Verdict::Done(())),
            (Direction::Verify, before) => {
                if before == Effect::Nothing {
                    *effect = Effect::Excluded;
                }
                verdict(&Verdict::NotDone)
            }
        };
        if luck == Luck::AnswerLost { failed() } else { answer }
    }

    pub(super) fn effects(&self) -> impl Iterator<Item = (&Key, Effect)> {
        self.effects.iter().map(|(key, effect)| (key, *effect))
    }
}

fn verdict(verdict: &Verdict<()>) -> Attempt {
    Attempt::Done(Payload::of(verdict).unwrap())
}
