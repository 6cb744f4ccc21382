//! Bodies run on a thread that can be left behind: one that never comes to an end
//! must not keep the others from being looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc as threads};
use std::time::Duration;

use hansom_core::Status;
use tokio::sync::mpsc;

use super::judge::judge;
use super::report::{CheckedRun, Finding, Verdict};
use crate::Registry;
use crate::store::snapshot::OpenRun;

/// After so many runs of one type that do not come to an end, no more are tried: each
/// leaves a thread behind that never rests.
const HUNG: u32 = 3;

/// A type, and whether its runs are stuck: those may be so for that very reason, and say nothing
/// of the others.
type Of = (String, bool);

/// Runs to be judged, but for the first few and those of the types that hang.
type Work = (Arc<Vec<OpenRun>>, usize, BTreeSet<Of>);

pub(super) struct Guard {
    registry: Arc<Registry>,
    patience: Duration,
    thread: Thread,
    /// By type: how many runs did not come to an end.
    hung: BTreeMap<Of, u32>,
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
            for (runs, from, hung) in chunks {
                for run in &runs[from..] {
                    let judged = if hung.contains(&of(run)) {
                        hangs(run, "not tried, as others of its type hang")
                    } else {
                        judge(&registry, run)
                    };
                    if sender.send(judged).is_err() {
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
        Self { registry, patience, thread, hung: BTreeMap::new() }
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
                Ok(None) => {
                    let detail = "it took the thread down that replayed it";
                    CheckedRun::of(&runs[done].row, vec![Finding::of(Verdict::Panic, None, detail)])
                }
                Err(_) => {
                    *self.hung.entry(of(&runs[done])).or_default() += 1;
                    let seconds = self.patience.as_secs_f32();
                    hangs(&runs[done], &format!("given up after {seconds} s between two events"))
                }
            };
            each(lost);
            done += 1;
            self.thread = Thread::start(Arc::clone(&self.registry));
            self.begin(&runs, done);
        }
    }

    fn begin(&self, runs: &Arc<Vec<OpenRun>>, from: usize) {
        let hung = self.hung.iter().filter(|(_, runs)| **runs >= HUNG);
        let hung = hung.map(|(of, _)| of.clone()).collect();
        // A thread that is gone is found out when it does not answer.
        let _ = self.thread.work.send((Arc::clone(runs), from, hung));
    }
}

fn of(run: &OpenRun) -> Of {
    (run.row.workflow_type.clone(), run.row.status == Status::Stuck)
}

/// One that is stuck stands still, and would again: nothing that this binary breaks.
fn hangs(run: &OpenRun, detail: &str) -> CheckedRun {
    let (_, is_stuck) = of(run);
    let verdict = if is_stuck { Verdict::Stuck } else { Verdict::Hangs };
    CheckedRun::of(&run.row, vec![Finding::of(verdict, None, detail)])
}
