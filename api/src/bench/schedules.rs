//! Schedules that fire every minute, all at once, beside a steady load: what is left of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use hansom_core::{Payload, Workflow};
use hansom_engine::schedule::{Action, Definition, Outcome, Policy, When};
use hansom_engine::{Client, Worker};
use tokio::task::JoinSet;

use super::BenchError;
use super::load::request;
use super::report::{Rate, Scheduled};
use super::saga::{Bench, Order};

/// So many sagas are under way at a time.
const IN_FLIGHT: u64 = 1_000;
/// Each schedule fires once in it.
const WINDOW: Duration = Duration::from_mins(1);
/// Windows with schedules, each between two without.
const ROUNDS: u32 = 2;

/// Throughput without and with so many schedules, in turn, so that a machine that grows slower
/// tells on both.
pub(super) async fn measure(
    worker: Worker,
    schedules: u32,
    progress: impl Fn(&str),
) -> Result<Scheduled, BenchError> {
    let client = worker.client();
    let mut load = Load::begin(&client);
    let (mut without, mut with, mut fires) = (load.window().await?, 0.0, 0);
    for round in 1..=ROUNDS {
        progress(&format!("{schedules} schedules, round {round} of {ROUNDS}"));
        each(schedules, |n| create(&client, n)).await?;
        with += load.window().await?;
        fires += each(schedules, |n| started(&client, n)).await?.iter().sum::<u32>();
        each(schedules, |n| delete(&client, n)).await?;
        without += load.window().await?;
    }
    load.end().await?;
    worker.drain().await;
    let of = |rates: f64, windows: u32| Rate { sagas_per_s: rates / f64::from(windows) };
    Ok(Scheduled { schedules, fires, without: of(without, ROUNDS + 1), with: of(with, ROUNDS) })
}

/// Sagas one after the other, many at a time.
struct Load {
    tasks: JoinSet<Result<(), BenchError>>,
    done: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Load {
    fn begin(client: &Client) -> Self {
        let (done, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for first in 0..IN_FLIGHT {
            let (client, done, over) = (client.clone(), Arc::clone(&done), Arc::clone(&over));
            tasks.spawn(async move {
                let mut n = first;
                while !over.load(Ordering::Relaxed) {
                    let (_, ending) = client.start_to_end(request("steady", n)?).await?;
                    ending.outcome(WINDOW).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                    n += IN_FLIGHT;
                }
                Ok(())
            });
        }
        Self { tasks, done, over }
    }

    /// Sagas per second in the minute that begins now.
    async fn window(&mut self) -> Result<f64, BenchError> {
        let (before, begun) = (self.done.load(Ordering::Relaxed), Instant::now());
        tokio::select! {
            () = tokio::time::sleep(WINDOW) => {}
            // None of them ends by itself, but with an error.
            Some(lost) = self.tasks.join_next() => lost??,
        }
        let done = u32::try_from(self.done.load(Ordering::Relaxed) - before).unwrap_or(u32::MAX);
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    async fn end(mut self) -> Result<(), BenchError> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Does it for each schedule, some at a time.
async fn each<F, T>(schedules: u32, act: impl Fn(u32) -> F) -> Result<Vec<T>, BenchError>
where
    F: Future<Output = Result<T, BenchError>>,
{
    stream::iter(0..schedules).map(act).buffer_unordered(8).try_collect().await
}

async fn create(client: &Client, n: u32) -> Result<(), BenchError> {
    let action = Action {
        workflow_type: Bench::NAME.to_owned(),
        workflow_id_prefix: name(n),
        input: Payload::of(&Order::new(u64::from(n)))?,
        labels: BTreeMap::new(),
    };
    let when = When::new("* * * * *", "UTC");
    let definition = Definition { action, when, policy: Policy::default() };
    client.create_schedule(&name(n), &definition, None).await?;
    Ok(())
}

/// How many runs it has started.
async fn started(client: &Client, n: u32) -> Result<u32, BenchError> {
    let fires = client.schedule_fires(&name(n), Some(Outcome::Started), None, 200).await?;
    Ok(u32::try_from(fires.items.len()).unwrap_or(u32::MAX))
}

async fn delete(client: &Client, n: u32) -> Result<(), BenchError> {
    Ok(client.delete_schedule(&name(n)).await?)
}

fn name(n: u32) -> String {
    format!("minutely-{n}")
}
