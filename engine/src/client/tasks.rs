//! For remote workers: attempts are claimed here, and answered.

use std::time::{Duration, Instant};

use hansom_core::Payload;
use rand::seq::SliceRandom;
use tokio::sync::oneshot;

use super::Client;
use crate::owner::remote::Outcome;
use crate::store::task::{self, Claim, Row};
use crate::task::{ActivityInfo, ClaimRequest, Task, TaskBeat, TaskError, TaskToken};
use crate::worker::told::ToLane;

/// Queues are looked at this often, whatever hints say.
const POLL: Duration = Duration::from_secs(2);
/// The longest reason that is kept, in bytes.
const REASON_MAX: usize = 2_000;

impl Client {
    /// Takes attempts that are made elsewhere, oldest first, and waits for some if there are none.
    /// Who takes one has until its `deadline`, and beats if it has to; then it is another's.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unavailable`].
    pub async fn claim_tasks(&self, request: &ClaimRequest) -> Result<Vec<Task>, TaskError> {
        let end = Instant::now() + request.wait;
        let bells = self.hub.bells().listen(&request.queues);
        loop {
            let rows = self.claim(request).await?;
            let left = end.saturating_duration_since(Instant::now());
            if !rows.is_empty() || left.is_zero() {
                let unreadable = |error: serde_json::Error| sqlx::Error::Decode(error.into());
                let task = |row| Task::try_from(row).map_err(unreadable);
                return Ok(rows.into_iter().map(task).collect::<Result<_, _>>()?);
            }
            let poll = POLL.mul_f64(rand::random_range(0.8..1.2));
            // Nobody has to ring.
            let _ = tokio::time::timeout(left.min(poll), bells.ring()).await;
        }
    }

    /// Whoever asked may be gone before the answer is there: then it is given back.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Row>, sqlx::Error> {
        let mut queues = request.queues.clone();
        queues.shuffle(&mut rand::rng());
        let limit = i32::try_from(request.limit.max(1)).unwrap_or(i32::MAX);
        let (pool, worker) = (self.pool.clone(), request.worker.clone());
        let (asks, answer) = oneshot::channel();
        tokio::spawn(async move {
            let claimed = task::claim(&pool, &queues, &worker, limit).await;
            if let Err(Ok(rows)) = asks.send(claimed) {
                let claim = |r: Row| Claim { part: r.part, run: r.run, seq: r.seq, token: r.token };
                let rows: Vec<_> = rows.into_iter().map(claim).collect();
                if let Err(error) = task::unclaim(&pool, &rows).await {
                    tracing::warn!(%error, "claim_not_given_back");
                }
            }
        });
        answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Says that an attempt is alive and how far it is, and hears whether it is still needed.
    ///
    /// # Errors
    ///
    /// [`TaskError::Lost`], [`TaskError::TooLarge`].
    pub async fn beat_task(
        &self,
        token: &TaskToken,
        details: Option<&Payload>,
    ) -> Result<TaskBeat, TaskError> {
        if let Some(details) = details {
            check_size("the details", details, hansom_core::Pulse::MAX)?;
        }
        let beaten = task::beat(&self.pool, token.claim, details).await?;
        let beaten = beaten.ok_or(TaskError::Lost)?;
        Ok(TaskBeat { cancel_requested: beaten.cancelled, expires_at: beaten.expires_at })
    }

    /// An attempt is done.
    ///
    /// # Errors
    ///
    /// [`TaskError::Lost`], [`TaskError::InvalidAnswer`], [`TaskError::UnknownActivity`],
    /// [`TaskError::TooLarge`].
    pub async fn complete_task(&self, token: &TaskToken, output: Payload) -> Result<(), TaskError> {
        self.check_answer(token, "output", &output)?;
        self.settle(token, &Outcome::Done(output)).await
    }

    /// An attempt is refused: a business no, final, and nothing happened.
    ///
    /// # Errors
    ///
    /// As [`Client::complete_task`].
    pub async fn refuse_task(&self, token: &TaskToken, refusal: Payload) -> Result<(), TaskError> {
        self.check_answer(token, "refusal", &refusal)?;
        self.settle(token, &Outcome::Refused(refusal)).await
    }

    /// An attempt failed technically: it is tried again as its policy says, and not before
    /// `retry_after`.
    ///
    /// # Errors
    ///
    /// [`TaskError::Lost`].
    pub async fn fail_task(
        &self,
        token: &TaskToken,
        reason: &str,
        retry_after: Option<Duration>,
    ) -> Result<(), TaskError> {
        let mut reason = reason.replace('\0', "\u{fffd}");
        reason.truncate(reason.floor_char_boundary(REASON_MAX));
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let retry_after = retry_after.map(millis);
        self.settle(token, &Outcome::Failed { reason, retry_after }).await
    }

    /// The activities of this binary, by name, and how many attempts wait for workers elsewhere.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unavailable`].
    pub async fn activities(&self) -> Result<Vec<ActivityInfo>, TaskError> {
        let counts = task::counts(&self.pool).await?;
        let info = |(name, queue): (&'static str, Option<&str>)| {
            let count = counts.iter().find(|(of, ..)| Some(of.as_str()) == queue);
            let (waiting, claimed) =
                count.map_or((0, 0), |(_, waiting, claimed)| (*waiting, *claimed));
            let remote = queue.is_some();
            ActivityInfo { name, remote, queue: queue.map(str::to_owned), waiting, claimed }
        };
        Ok(self.registry.activities().map(info).collect())
    }

    async fn settle(&self, token: &TaskToken, outcome: &Outcome) -> Result<(), TaskError> {
        let last = !matches!(outcome, Outcome::Failed { .. });
        let outcome = serde_json::to_string(outcome).expect("an outcome is plain data");
        let lane = self.hub.lane_of(token.claim.part);
        let claim = (token.claim, token.activity.as_str());
        if !task::settle(&self.pool, claim, &outcome, last, lane.is_none()).await? {
            return Err(TaskError::Lost);
        }
        if let Some(lane) = lane {
            // A lane that stops leaves the inbox to the next owner.
            let _ = lane.send(ToLane::Poke);
        }
        Ok(())
    }

    /// What does not fit is refused at the door: a body could not go on from there.
    fn check_answer(
        &self,
        token: &TaskToken,
        what: &'static str,
        answer: &Payload,
    ) -> Result<(), TaskError> {
        check_size(what, answer, Payload::MAX)?;
        let handler = self.registry.handler(&token.activity);
        let answers = handler.map(|handler| handler.answers);
        let answers = answers.ok_or_else(|| TaskError::UnknownActivity(token.activity.clone()))?;
        let fits = match what {
            "output" => answers.check_output(answer),
            _ => answers.check_refusal(answer),
        };
        fits.map_err(|error| TaskError::InvalidAnswer {
            what,
            activity: token.activity.clone(),
            detail: error.to_string(),
        })
    }
}

fn check_size(what: &'static str, payload: &Payload, limit: usize) -> Result<(), TaskError> {
    let bytes = payload.get().len();
    if bytes > limit { Err(TaskError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
