//! Who waits for attempts that are made elsewhere is woken when there are some. Only a hint: they
//! look again anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::select_all;
use tokio::sync::Notify;

/// More forgotten queues than this are not kept.
const FORGOTTEN: usize = 64;
/// No hint wakes more.
const WOKEN: usize = 128;

/// One bell for each queue that somebody waits at.
#[derive(Default)]
pub(crate) struct Bells(Mutex<HashMap<String, Weak<Notify>>>);

/// Somebody who waits at some queues.
pub(crate) struct Waiting(Vec<Arc<Notify>>);

impl Bells {
    /// Hears the bells of these queues from now on.
    pub(crate) fn listen(&self, queues: &[String]) -> Waiting {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.len() > FORGOTTEN {
            bells.retain(|_, bell| bell.strong_count() > 0);
        }
        let bell = |queue: &String| {
            let bell = bells.entry(queue.clone()).or_default();
            bell.upgrade().unwrap_or_else(|| {
                let fresh = Arc::new(Notify::new());
                *bell = Arc::downgrade(&fresh);
                fresh
            })
        };
        Waiting(queues.iter().map(bell).collect())
    }

    /// So many attempts wait there: as many who wait for them are woken, longest waiting first.
    pub(crate) fn ring(&self, queue: &str, count: usize) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(queue).and_then(Weak::upgrade) {
            (0..count.min(WOKEN)).for_each(|_| bell.notify_one());
        }
    }

    /// Hints may have been missed.
    pub(crate) fn ring_all(&self) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.values().filter_map(Weak::upgrade).for_each(|bell| bell.notify_waiters());
    }
}

impl Waiting {
    /// Returns when one of them rings. What rang since the last time is not missed.
    pub(crate) async fn ring(&self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.0.iter().map(|bell| Box::pin(bell.notified()))).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn as_many_are_woken_as_there_is_work_for_and_nobody_twice() {
        let bells = Bells::default();
        let queues = ["a".to_owned(), "b".to_owned()];
        let (first, second) = (bells.listen(&queues), bells.listen(&queues[..1]));
        let (mut one, mut other) = (Box::pin(first.ring()), Box::pin(second.ring()));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        bells.ring("a", 1);
        assert!((&mut one).now_or_never().is_some() && (&mut other).now_or_never().is_none());
        bells.ring("b", 5);
        assert!((&mut other).now_or_never().is_none(), "it does not wait there");
        bells.ring("a", 2);
        assert!(other.now_or_never().is_some());
    }

    #[test]
    fn what_rings_while_nobody_looks_is_heard_later_and_queues_are_forgotten() {
        let bells = Bells::default();
        let waiting = bells.listen(&["a".to_owned()]);
        bells.ring("a", 1);
        assert!(waiting.ring().now_or_never().is_some());
        drop(waiting);
        for n in 0..1_000 {
            bells.listen(&[n.to_string()]);
        }
        assert!(bells.0.lock().unwrap().len() <= FORGOTTEN + 2);
    }
}
