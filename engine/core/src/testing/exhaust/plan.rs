//! Which way a story turns where it could have gone otherwise.

/// One departure from how things go by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Twist {
    /// At which choice of the story, from 0.
    at: usize,
    /// Which of its options; 0 is how things go by themselves.
    option: usize,
}

/// All departures of one story.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Twists {
    /// Every request reaches its service twice, whatever else happens.
    pub(super) everything_twice: bool,
    turns: Vec<Twist>,
}

impl Twists {
    /// Nothing but that everything reaches its service twice.
    pub(super) fn twice() -> Self {
        Self { everything_twice: true, turns: Vec::new() }
    }
}

/// The twists of one story, and the choices it met on its way.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) twists: Twists,
    /// How many options each choice had.
    met: Vec<usize>,
}

impl Plan {
    pub(super) fn new(twists: Twists) -> Self {
        Self { twists, met: Vec::new() }
    }

    /// The next choice, of so many options.
    pub(super) fn choose(&mut self, options: usize) -> usize {
        let at = self.met.len();
        self.met.push(options);
        let twist = self.twists.turns.iter().find(|twist| twist.at == at);
        // A body that is not deterministic may meet fewer options the second time.
        twist.map_or(0, |twist| twist.option).min(options.saturating_sub(1))
    }

    /// Every story with one twist more, after the last one this has.
    pub(super) fn further(&self) -> impl Iterator<Item = Twists> {
        let from = self.twists.turns.last().map_or(0, |twist| twist.at + 1);
        let met = self.met.iter().enumerate().skip(from);
        met.flat_map(|(at, options)| (1..*options).map(move |option| Twist { at, option })).map(
            |twist| {
                let mut twists = self.twists.clone();
                twists.turns.push(twist);
                twists
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_two_twists_is_reached_once() {
        let mut reached = vec![Twists::default()];
        for level in 0..2 {
            let at_level: Vec<_> = reached
                .iter()
                .filter(|twists: &&Twists| twists.turns.len() == level)
                .cloned()
                .collect();
            for twists in at_level {
                let mut plan = Plan::new(twists);
                for options in [2, 1, 3] {
                    plan.choose(options);
                }
                reached.extend(plan.further());
            }
        }
        let options: Vec<_> = reached
            .into_iter()
            .map(|twists| {
                let mut plan = Plan::new(twists);
                [2, 1, 3].map(|options| plan.choose(options))
            })
            .collect();
        assert_eq!(options, [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 1], [1, 0, 2]]);
    }
}
