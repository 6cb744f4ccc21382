//! Puts load on a worker: many sagas at once, or a few one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hansom_core::{Payload, Workflow};
use hansom_engine::{Client, StartRequest};

use super::BenchError;
use super::report::{Latency, Rate};
use super::saga::{Bench, Order};

/// No saga of a benchmark takes longer.
const WAIT: Duration = Duration::from_mins(1);

pub(super) fn request(prefix: &str, n: u64) -> Result<StartRequest, BenchError> {
    let input = Payload::of(&Order::new(n))?;
    Ok(StartRequest::new(Bench::NAME, &format!("{prefix}-{n}"), input))
}

/// All at once; timed until the last is closed.
pub(super) async fn throughput(client: &Client, sagas: u32) -> Result<Rate, BenchError> {
    let begun = Instant::now();
    let runs: Vec<_> = (0..u64::from(sagas))
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let (_, ending) = client.start_to_end(request("throughput", n)?).await?;
                ending.outcome(WAIT).await.map_err(BenchError::from)
            })
        })
        .collect();
    for run in runs {
        run.await??;
    }
    Ok(Rate { sagas_per_s: f64::from(sagas) / begun.elapsed().as_secs_f64() })
}

/// `in_flight` at a time, until there have been `sagas`.
pub(super) async fn latency(
    client: &Client,
    in_flight: u32,
    sagas: u32,
) -> Result<Latency, BenchError> {
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= u64::from(sagas) {
                        return Ok::<_, BenchError>(times);
                    }
                    let begun = Instant::now();
                    let request = request(&format!("latency-{in_flight}"), n)?;
                    let (_, ending) = client.start_to_end(request).await?;
                    ending.outcome(WAIT).await?;
                    times.push(begun.elapsed().as_secs_f64() * 1e3);
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await??);
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    Ok(Latency { p50_ms: at(50), p99_ms: at(99) })
}
