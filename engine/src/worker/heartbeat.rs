//! Attempts that say that they are alive, and how far they are.
//!
//! A beat costs an attempt nothing but memory; what was said last is written now and then by one
//! task for all attempts of the worker, in one statement for all that have news.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use hansom_core::{Attempt, Payload, Pulse};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::store::Pool;
use crate::store::heartbeat::{self, Step};

/// Nothing is written more often of one attempt, unless its heartbeat is shorter than thrice this.
const OFTEN: Duration = Duration::from_secs(1);
/// So long a failed attempt waits until its last words are written.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// So many words are taken in at once.
const INTAKE: usize = 1_024;

/// What the writer is told.
enum Told {
    /// An attempt said this.
    Beat(Step, u32, Payload),
    /// These have ended, and it is committed.
    Over(Vec<Step>),
    /// Everything before this is to be written.
    Flush(oneshot::Sender<()>),
}

/// Writes heartbeats, and reads them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Heartbeats {
    pool: Pool,
    writer: UnboundedSender<Told>,
}

/// The attempt whose heart is listened to.
#[derive(Clone, Copy)]
pub(crate) struct Patient {
    pub(crate) step: Step,
    pub(crate) attempt: u32,
    /// Nobody has attempted this step before.
    pub(crate) first: bool,
    /// Longer it may not be silent.
    pub(crate) heartbeat: Duration,
    /// Longer it may not last.
    pub(crate) limit: Duration,
}

impl Heartbeats {
    /// Starts the writer, which ends when nobody has anything to say any more.
    pub(crate) fn start(pool: Pool) -> Self {
        let (writer, told) = unbounded_channel();
        tokio::spawn(write(pool.clone(), told));
        Self { pool, writer }
    }

    /// These steps have ended, and it is committed.
    pub(crate) fn over(&self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.tell(Told::Over(steps));
        }
    }

    /// Makes an attempt and listens to its heart. Says also whether there is anything to forget.
    pub(crate) async fn listen<F: Future<Output = Attempt>>(
        &self,
        patient: Patient,
        handle: impl FnOnce(Pulse) -> F,
    ) -> (Attempt, bool) {
        let end = Instant::now() + patient.limit;
        let late = || Attempt::failed(format!("no answer within {:?}", patient.limit));
        let earlier = if patient.first {
            Some(None)
        } else {
            timeout_at(end, self.last(patient.step)).await.ok()
        };
        let Some(earlier) = earlier else { return (late(), false) };
        let mut known = earlier.is_some();
        let (says, mut heard) = watch::channel(None);
        let pulse = Pulse::new(earlier, move |details| {
            // Also without news: that it beats is news.
            says.send_modify(|last| *last = details.or_else(|| last.take()));
        });
        let mut handled = pin!(handle(pulse));
        let often = (patient.heartbeat / 3).min(OFTEN);
        let (mut beat, mut written) = (Instant::now(), None::<Instant>);
        let (mut news, mut listening) = (false, true);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut handled => break ended,
                () = sleep_until(end) => break late(),
                () = sleep_until(written.map_or(beat, |at| at + often)), if news => {
                    self.say(patient, &heard);
                    (written, news, known) = (Some(Instant::now()), false, true);
                }
                changed = heard.changed(), if listening => {
                    // Without its context the handler cannot beat any more.
                    listening = changed.is_ok();
                    if listening {
                        beat = Instant::now();
                        news |= heard.borrow().is_some();
                    }
                }
                () = sleep_until(beat + patient.heartbeat) => {
                    break Attempt::failed(format!("no heartbeat within {:?}", patient.heartbeat));
                }
            }
        };
        // The last may have come with the answer.
        news |= matches!(heard.changed().now_or_never(), Some(Ok(()))) && heard.borrow().is_some();
        if let Attempt::Failed { .. } = ended
            && news
        {
            self.say(patient, &heard);
            self.flush().await;
        }
        (ended, known)
    }

    fn say(
        &self,
        Patient { step, attempt, .. }: Patient,
        heard: &watch::Receiver<Option<Payload>>,
    ) {
        if let Some(details) = heard.borrow().clone() {
            self.tell(Told::Beat(step, attempt, details));
        }
    }

    async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.tell(Told::Flush(done));
        if timeout(LAST_WORDS, flushed).await.is_err() {
            tracing::warn!("heartbeat_not_written");
        }
    }

    fn tell(&self, told: Told) {
        // The writer ends with the runtime, and so does who tells it.
        let _ = self.writer.send(told);
    }

    /// What was said last of a step, as often as it takes to hear it.
    async fn last(&self, step: Step) -> Option<Payload> {
        let mut wait = Duration::from_millis(50);
        loop {
            match heartbeat::last(&self.pool, step).await {
                Ok(last) => return last,
                Err(error) => tracing::warn!(%error, "heartbeat_not_read"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(OFTEN);
        }
    }
}

/// What has to be written.
#[derive(Default)]
struct Words {
    beats: HashMap<Step, (u32, Payload)>,
    over: Vec<Step>,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Words {
    fn take_in(&mut self, told: Told) {
        match told {
            Told::Beat(step, attempt, details) => {
                self.beats.insert(step, (attempt, details));
            }
            Told::Over(steps) => {
                for step in &steps {
                    self.beats.remove(step);
                }
                self.over.extend(steps);
            }
            Told::Flush(done) => self.flushed.push(done),
        }
    }

    async fn write(&mut self, pool: &Pool) -> Result<(), sqlx::Error> {
        if !self.over.is_empty() {
            heartbeat::forget(pool, &self.over).await?;
            self.over.clear();
        }
        if !self.beats.is_empty() {
            let beats = self.beats.iter();
            let beats = beats.map(|(step, (attempt, said))| (*step, *attempt, said.clone()));
            heartbeat::write(pool, &beats.collect::<Vec<_>>()).await?;
            self.beats.clear();
        }
        Ok(())
    }
}

async fn write(pool: Pool, mut told: UnboundedReceiver<Told>) {
    let (mut words, mut intake) = (Words::default(), Vec::new());
    while told.recv_many(&mut intake, INTAKE).await > 0 {
        let mut wait = Duration::from_millis(50);
        loop {
            intake.drain(..).for_each(|told| words.take_in(told));
            match words.write(&pool).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "heartbeat_not_written"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(OFTEN);
            // What comes meanwhile replaces what waits: no more is kept than there are attempts.
            while let Ok(more) = told.try_recv() {
                intake.push(more);
            }
        }
        for done in words.flushed.drain(..) {
            // The attempt may not have waited.
            let _ = done.send(());
        }
    }
}
