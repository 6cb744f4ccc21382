//! All stories, those with the fewest twists first.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};

use super::Play;
use super::plan::{Plan, Twists};
use super::story::{Line, Story, Told};
use super::tell;
use crate::Event;

/// What a walk has seen, for tests that want to know that it went where they think.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// How many stories were told, by how many twists they had.
    pub stories: Vec<usize>,
    /// How many stories there would have been; more than [`Walked::stories`]
    /// when [`super::Exhaust::stories_max`] was reached.
    pub stories_in_all: usize,
    /// How many beginnings of histories were replayed.
    pub replays: usize,
    performed: BTreeMap<String, usize>,
    twists: BTreeMap<&'static str, usize>,
    never: Vec<&'static str>,
    workflow: &'static str,
}

/// The smallest story that breaks a promise, told in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{workflow}: {promise}\n{told}")]
pub struct Broken {
    workflow: &'static str,
    /// What does not hold.
    pub promise: String,
    /// How many twists the story has.
    pub twists: usize,
    told: String,
}

impl Walked {
    /// How often the activity called `name` reached its service.
    pub fn performed(&self, name: &str) -> usize {
        self.performed.get(name).copied().unwrap_or(0)
    }

    /// How often a story took this kind of turn; see [`Walked`]'s text for the kinds.
    pub fn twists(&self, kind: &str) -> usize {
        self.twists.get(kind).copied().unwrap_or(0)
    }

    /// Activities that no story asked for.
    pub fn never_asked(&self) -> &[&'static str] {
        &self.never
    }

    fn add<World>(&mut self, level: usize, told: &Told<World>) {
        self.stories.resize(self.stories.len().max(level + 1), 0);
        self.stories[level] += 1;
        self.replays += told.prefixes;
        for made in &told.account.made {
            match self.performed.get_mut(&made.flight.call.activity) {
                Some(count) => *count += 1,
                None => drop(self.performed.insert(made.flight.call.activity.clone(), 1)),
            }
        }
        let events = told.account.events();
        let retried = events.filter(|event| matches!(event, Event::Retried { .. })).count();
        if retried > 0 {
            *self.twists.entry("retried").or_default() += retried;
        }
        for line in &told.log {
            if let Line::Twist(kind, _) = line {
                *self.twists.entry(kind).or_default() += 1;
            }
        }
    }
}

impl fmt::Display for Walked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: usize = self.stories.iter().sum();
        write!(f, "{}: {told} stories walked", self.workflow)?;
        if told < self.stories_in_all {
            write!(f, " of {}, evenly spread", self.stories_in_all)?;
        }
        let by_twists: Vec<_> = self.stories.iter().map(ToString::to_string).collect();
        write!(f, " ({} by the number of twists)", by_twists.join(" + "))?;
        write!(f, "; {} beginnings replayed; reached:", self.replays)?;
        self.performed.iter().try_for_each(|(name, count)| write!(f, " {name} {count}"))?;
        write!(f, "; twists:")?;
        let mut separator = " ";
        for (kind, count) in &self.twists {
            write!(f, "{separator}{kind} {count}")?;
            separator = ", ";
        }
        if !self.never.is_empty() {
            write!(f, "; never asked for: {}", self.never.join(", "))?;
        }
        Ok(())
    }
}

/// Walks until something breaks, or all stories are told.
pub(super) fn walk<World: Clone + PartialEq + Debug>(play: &Play<World>) -> Result<Walked, Broken> {
    let mut walked = Walked { workflow: play.saga.kind.name, ..Walked::default() };
    let mut level = vec![Twists::default()];
    for twists in 0..=play.bounds.twists {
        if twists == 1 {
            level.push(Twists::twice());
        }
        walked.stories_in_all += level.len();
        let told: usize = walked.stories.iter().sum();
        let level_now = spread(level, play.bounds.stories.saturating_sub(told));
        let mut breaking = Vec::new();
        let mut next = Vec::new();
        for plan in level_now {
            let mut told = Story::tell(play, Plan::new(plan), twists < 2);
            walked.add(twists, &told);
            if twists == 0 && told.broken.is_none() {
                told.broken = differs(&told, play);
            }
            match told.broken {
                Some(_) => breaking.push(told),
                None if twists < play.bounds.twists => next.extend(told.plan.further()),
                None => {}
            }
            if breaking.len() == BREAKING_MAX {
                break;
            }
        }
        if !breaking.is_empty() {
            return Err(smallest(play, &walked, twists, breaking));
        }
        level = next;
    }
    walked.never = play.activities().filter(|name| walked.performed(name) == 0).collect();
    Ok(walked)
}

/// Told once more, it must go the same way: the replay answers for the body, so
/// this is about the services.
fn differs<World: Clone + PartialEq + Debug>(
    told: &Told<World>,
    play: &Play<World>,
) -> Option<String> {
    let again = Story::tell(play, Plan::default(), false);
    let same = told.world == again.world && told.account.events().eq(again.account.events());
    (!same).then(|| {
        "the same story, told twice, went two ways: a service is not deterministic".to_owned()
    })
}

/// No more than `limit` of them, from everywhere.
fn spread(all: Vec<Twists>, limit: usize) -> Vec<Twists> {
    let (count, limit) = (all.len(), limit.max(1));
    if count <= limit {
        return all;
    }
    let taken = |n: usize| (n + 1) * limit / count > n * limit / count;
    all.into_iter().enumerate().filter(|(n, _)| taken(*n)).map(|(_, plan)| plan).collect()
}

fn length<World>(told: &Told<World>) -> usize {
    told.account.events().count() + told.account.made.len()
}

fn smallest<World: Debug>(
    play: &Play<World>,
    walked: &Walked,
    twists: usize,
    breaking: Vec<Told<World>>,
) -> Broken {
    let told: usize = walked.stories.iter().sum();
    let count = breaking.len();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for told in &breaking {
        *others.entry(told.broken.clone().unwrap_or_default()).or_default() += 1;
    }
    let smallest = breaking.into_iter().min_by_key(length).expect("at least one broke");
    let promise = smallest.broken.clone().unwrap_or_default();
    others.remove(&promise);
    let with = match twists {
        0 => "in which all goes by itself".to_owned(),
        1 => "with one twist".to_owned(),
        more => format!("with {more} twists"),
    };
    let mut text = format!(
        "\n  the smallest story that shows it, {with}; {count} of {told} stories break:\n\n"
    );
    text.push_str(&tell::report(play, &smallest));
    for (other, count) in others.iter().take(OTHERS) {
        let _ = writeln!(text, "\n  also broken, in {count} stories: {other}");
    }
    Broken { workflow: play.saga.kind.name, promise, twists, told: text }
}

/// So many other broken promises are named.
const OTHERS: usize = 5;
/// So many stories that break are enough to find the smallest of them.
const BREAKING_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_left_out_evenly() {
        let mut plan = Plan::default();
        for _ in 0..100 {
            plan.choose(2);
        }
        let all: Vec<_> = plan.further().collect();
        assert_eq!(spread(all.clone(), 100), all);
        let some = spread(all.clone(), 10);
        assert_eq!(some.len(), 10);
        assert!(some.windows(2).all(|pair| {
            let at = |plan: &Twists| all.iter().position(|other| other == plan).unwrap();
            at(&pair[1]) - at(&pair[0]) == 10
        }));
    }
}
