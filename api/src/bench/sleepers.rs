//! Sagas asleep on a timer: they must cost rows, not memory.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use hansom_core::{Payload, Workflow};
use hansom_engine::{StartRequest, Worker};
use sqlx::PgPool;

use super::report::Asleep;
use super::saga::Sleeper;
use super::{BenchError, cpu};

/// They sleep for longer than anybody measures.
const SECONDS: u64 = 30 * 24 * 3_600;

pub(super) async fn measure<Fut>(
    pool: &PgPool,
    start: impl Fn() -> Fut,
    sagas: u32,
) -> Result<Asleep, BenchError>
where
    Fut: Future<Output = Result<Worker, BenchError>>,
{
    let worker = start().await?;
    let client = worker.client();
    let empty = cpu::own_memory().unwrap_or_default();
    stream::iter(0..sagas)
        .map(|n| {
            let client = client.clone();
            async move {
                let id = format!("sleeper-{n}");
                let request = StartRequest::new(Sleeper::NAME, &id, Payload::of(&SECONDS)?);
                client.start_raw(request).await.map_err(BenchError::from)
            }
        })
        .buffer_unordered(512)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    all_parked(pool).await?;
    let rss_growth_bytes = cpu::own_memory().unwrap_or_default().saturating_sub(empty);
    worker.drain().await;
    let begun = Instant::now();
    let worker = start().await?;
    let restart_ms = begun.elapsed().as_secs_f64() * 1e3;
    worker.drain().await;
    Ok(Asleep { sagas, rss_growth_bytes, restart_ms })
}

/// Waits until a new owner would load none of them.
async fn all_parked(pool: &PgPool) -> Result<(), BenchError> {
    for _ in 0..600 {
        if hansom_engine::measure::hot(pool).await? == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
