//! `hansom bench`: what this machine and this Postgres can do, in one run.
//!
//! Everything is measured with the durable part: real commits, on a database
//! made for it and dropped afterwards. Figures of one run compare with each
//! other; figures of different runs only as far as the machine was as quiet.

mod cpu;
mod load;
mod report;
mod rest;
mod saga;
mod schedules;
mod sleepers;

use std::collections::BTreeMap;
use std::time::Duration;

use hansom_engine::{Registry, Settings, Worker, connect, measure, migrate};
use sqlx::PgPool;

pub use report::{Asleep, Latency, PerSaga, Rate, Report, Scheduled};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Sagas of the throughput runs.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub sagas: u32,
    /// Also put so many sagas to sleep, and measure memory and restart.
    #[arg(long, default_value_t = 0)]
    pub sleepers: u32,
    /// Also let so many schedules fire every minute beside a steady load. Takes five minutes.
    #[arg(long, default_value_t = 0)]
    pub schedules: u32,
    /// Seconds for the ceiling.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub ceiling_seconds: u64,
    /// Threads that own partitions.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

/// Why a benchmark came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] hansom_engine::EngineError),
    /// A saga did not start or end.
    #[error(transparent)]
    Client(#[from] hansom_engine::ClientError),
    /// The database did not answer.
    #[error("the database is unavailable: {0}")]
    Database(#[from] sqlx::Error),
    /// A request over loopback failed.
    #[error("over HTTP: {0}")]
    Http(#[from] reqwest::Error),
    /// A socket could not be opened.
    #[error("loopback: {0}")]
    Io(#[from] std::io::Error),
    /// A REST answer that was not a completed saga.
    #[error("REST answered {0}")]
    Rest(String),
    /// A task of the benchmark was lost.
    #[error("lost: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A payload has no JSON form.
    #[error("payload: {0}")]
    Payload(#[from] serde_json::Error),
}

/// Measures, on the empty database at `url`, telling `progress` what it is at.
///
/// # Errors
///
/// [`BenchError`]; nothing of the figures is kept.
pub async fn run(
    args: &BenchArgs,
    url: &str,
    progress: impl Fn(&str),
) -> Result<Report, BenchError> {
    let pool = connect(url, 16).await?;
    migrate(&pool, None).await?;
    progress("warming up");
    let worker = start(&pool, args).await?;
    let client = worker.client();
    load::throughput(&client, args.sagas.min(2_000)).await?;
    let mut latency = BTreeMap::new();
    for in_flight in [1, 16] {
        progress(&format!("latency with {in_flight} in flight"));
        let sagas = if in_flight == 1 { 500 } else { 2_000 };
        latency.insert(in_flight.to_string(), load::latency(&client, in_flight, sagas).await?);
    }
    worker.drain().await;
    measure::reset(&pool).await?;

    progress(&format!("{} sagas in process", args.sagas));
    let worker = start(&pool, args).await?;
    let before = Reading::take(&pool).await?;
    let in_process = load::throughput(&worker.client(), args.sagas).await?;
    let after = Reading::take(&pool).await?;
    // A connection that closes tells what it still had to tell about rows.
    worker.drain().await;
    let per_saga = after.with_rows(&pool).await?.since(&before, args.sagas);
    measure::reset(&pool).await?;

    progress(&format!("{} sagas through REST", args.sagas));
    let rest = rest::throughput(start(&pool, args).await?, args.sagas).await?;
    measure::reset(&pool).await?;

    progress("the ceiling");
    let ceiling = ceiling(&pool, args).await?;
    measure::reset(&pool).await?;
    let asleep = match args.sleepers {
        0 => None,
        sleepers => {
            progress(&format!("{sleepers} sagas asleep"));
            Some(sleepers::measure(&pool, || start(&pool, args), sleepers).await?)
        }
    };
    let scheduled = match args.schedules {
        0 => None,
        schedules => {
            progress("a steady load without schedules");
            let worker = start(&pool, args).await?;
            Some(schedules::measure(worker, schedules, &progress).await?)
        }
    };
    pool.close().await;
    Ok(Report { ceiling, in_process, rest: Some(rest), latency, per_saga, asleep, scheduled })
}

async fn start(pool: &PgPool, args: &BenchArgs) -> Result<Worker, BenchError> {
    let registry = Registry::new(saga::workflows(), saga::handlers())?;
    let settings = Settings { threads: args.threads, ..Settings::default() };
    Ok(Worker::start(pool.clone(), registry, settings).await?)
}

/// The best of a few batch sizes: what could be written at most.
async fn ceiling(pool: &PgPool, args: &BenchArgs) -> Result<Rate, BenchError> {
    let step = |n: u8| {
        format!(
            r#"{{"run":{{"activity":"step","request":{{"n":{n}}},"undo":{{"activity":"undo","request":{{"n":{n}}}}}}}}}"#
        )
    };
    let receipt = format!(r#"{{"note":"{}"}}"#, "r".repeat(88));
    let done = |n: u8| format!(r#"{{"done":{{"seq":{n},"output":{receipt}}}}}"#);
    let input = serde_json::to_string(&saga::Order::new(1))?;
    let events = [
        format!(r#"[{{"started":{{"input":{input}}}}},{}]"#, step(1)),
        format!("[{},{}]", done(0), step(2)),
        format!("[{},{}]", done(1), step(3)),
        format!(r#"[{},{{"complete":{{"output":{receipt}}}}}]"#, done(2)),
    ];
    let duration = Duration::from_secs(args.ceiling_seconds);
    let rate = measure::ceiling(pool, 4, 250, &events, duration).await?;
    Ok(Rate { sagas_per_s: rate })
}

/// Counters before and after.
struct Reading {
    database: measure::Counters,
    own: Option<f64>,
    server: Option<f64>,
}

impl Reading {
    async fn take(pool: &PgPool) -> Result<Self, BenchError> {
        let own = cpu::own_seconds();
        let database = measure::counters(pool).await?;
        let server = cpu::server_seconds(database.backend_pid);
        Ok(Self { database, own, server })
    }

    /// The same, with the rows that are known by now.
    async fn with_rows(mut self, pool: &PgPool) -> Result<Self, BenchError> {
        self.database.rows = measure::counters(pool).await?.rows;
        Ok(self)
    }

    fn since(&self, before: &Self, sagas: u32) -> PerSaga {
        #[expect(clippy::cast_precision_loss, reason = "counters far below 2^52")]
        let per = |after: i64, before: i64| (after - before) as f64 / f64::from(sagas);
        let seconds = |after: Option<f64>, before: Option<f64>| {
            Some((after? - before?) * 1e3 / f64::from(sagas))
        };
        let (after, first) = (&self.database, &before.database);
        PerSaga {
            transactions: per(after.transactions, first.transactions),
            rows: per(after.rows, first.rows),
            wal_bytes: per(after.wal_bytes, first.wal_bytes),
            table_bytes: per(after.table_bytes, first.table_bytes),
            cpu_ms_hansom: seconds(self.own, before.own),
            cpu_ms_postgres: seconds(self.server, before.server),
        }
    }
}
