//! Bodies run on a thread that can be left behind: one that never comes to an end
//! must not keep the others from being looked at.

use std::sync::{Arc, mpsc as threads};
use std::time::Duration;

use tokio::sync::mpsc;

use super::judge::judge;
use super::report::{CheckedRun, Finding, Verdict};
use crate::Registry;
use crate::store::snapshot::OpenRun;

/// Runs to be judged, but for the first few.
type Work = (Arc<Vec<OpenRun>>, usize);

pub(super) struct Guard {
    registry: Arc<Registry>,
    patience: Duration,
    thread: Thread,
}

struct Thread {
    work: threads::Sender<Work>,
    judged: mpsc::UnboundedReceiver<CheckedRun>,
}

impl Thread {
    fn start(registry: Arc<Registry>) -> Self {
        let (work, chunks) = threads::channel::<Work>();
        let (sender, judged) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for (runs, from) in chunks {
                for run in &runs[from..] {
                    if sender.send(judge(&registry, run)).is_err() {
                        return;
                    }
                }
            }
        });
        Self { work, judged }
    }
}

impl Guard {
    pub(super) fn new(registry: Registry, patience: Duration) -> Self {
        let registry = Arc::new(registry);
        let thread = Thread::start(Arc::clone(&registry));
        Self { registry, patience, thread }
    }

    /// Judges all of them, in order.
    pub(super) async fn judge(&mut self, runs: Vec<OpenRun>, mut each: impl FnMut(CheckedRun)) {
        let runs = Arc::new(runs);
        let mut done = 0;
        self.begin(&runs, done);
        while done < runs.len() {
            let judged = tokio::time::timeout(self.patience, self.thread.judged.recv()).await;
            let lost = match judged {
                Ok(Some(judged)) => {
                    each(judged);
                    done += 1;
                    continue;
                }
                Ok(None) => (Verdict::Panic, "it took the thread down that replayed it".to_owned()),
                Err(_) => {
                    let seconds = self.patience.as_secs_f32();
                    (Verdict::Hangs, format!("given up after {seconds} s, before its next await"))
                }
            };
            each(CheckedRun::of(&runs[done].row, vec![Finding::of(lost.0, None, lost.1)]));
            done += 1;
            self.thread = Thread::start(Arc::clone(&self.registry));
            self.begin(&runs, done);
        }
    }

    fn begin(&self, runs: &Arc<Vec<OpenRun>>, from: usize) {
        // A thread that is gone is found out when it does not answer.
        let _ = self.thread.work.send((Arc::clone(runs), from));
    }
}
