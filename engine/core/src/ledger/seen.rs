//! Which messages have arrived, so that none is heard twice.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// So many are known to a run that follows.
const HANDED_ON: usize = 256;

/// Messages by kind and id: `signal:id`, `update:id`.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: BTreeSet<Arc<str>>,
    /// In order of arrival.
    last: VecDeque<Arc<str>>,
}

impl Seen {
    pub(super) fn hear(&mut self, message: String) {
        let message: Arc<str> = message.into();
        if !self.all.insert(Arc::clone(&message)) {
            return;
        }
        if self.last.len() == HANDED_ON {
            self.last.pop_front();
        }
        self.last.push_back(message);
    }

    pub(super) fn has(&self, message: &str) -> bool {
        self.all.contains(message)
    }

    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_known_and_the_last_are_handed_on_in_order() {
        let mut seen = Seen::default();
        for n in 0..300 {
            seen.hear(format!("signal:{n}"));
            seen.hear("signal:0".to_owned());
        }
        assert!(seen.has("signal:0") && seen.has("signal:299") && !seen.has("update:0"));
        let last = seen.last();
        assert_eq!(
            (last.len(), last[0].as_str(), last[255].as_str()),
            (256, "signal:44", "signal:299")
        );
    }
}
