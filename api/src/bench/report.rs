//! What was measured, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything that was measured, in one run on one Postgres.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Batches of the engine's own rows, with nothing else going on.
    pub ceiling: Rate,
    /// All started at once in this process.
    pub in_process: Rate,
    /// The same through REST on loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rate>,
    /// From start to completed, by sagas in flight.
    pub latency: BTreeMap<String, Latency>,
    /// Of the in-process run.
    pub per_saga: PerSaga,
    /// Sagas that sleep on a timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Asleep>,
    /// A steady load without and with schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
}

/// A throughput.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Sagas in a second.
    pub sagas_per_s: f64,
}

/// How long one saga takes, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of them are faster.
    pub p50_ms: f64,
    /// One in a hundred is slower.
    pub p99_ms: f64,
}

/// What one saga costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PerSaga {
    /// Transactions that wrote.
    pub transactions: f64,
    /// Rows inserted, updated and deleted.
    pub rows: f64,
    /// Bytes of write-ahead log.
    pub wal_bytes: f64,
    /// Bytes of tables and indexes.
    pub table_bytes: f64,
    /// Milliseconds of processor time of this process, its callers included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_hansom: Option<f64>,
    /// Milliseconds of processor time of all of Postgres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_postgres: Option<f64>,
}

/// What sleeping sagas cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Asleep {
    /// How many.
    pub sagas: u32,
    /// By how much resident memory grew over the empty process.
    pub rss_growth_bytes: u64,
    /// From the start of a new worker until it is ready.
    pub restart_ms: f64,
}

/// What schedules leave of a steady load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scheduled {
    /// How many, each due every minute.
    pub schedules: u32,
    /// How many runs they started while it was measured.
    pub fires: u32,
    /// Without them.
    pub without: Rate,
    /// Beside them, their own runs not counted.
    pub with: Rate,
}

impl Report {
    /// A line per figure: what, how much, and in which unit.
    pub fn lines(&self) -> Vec<(String, String, &'static str)> {
        let mut lines = vec![line("ceiling", self.ceiling.sagas_per_s, "sagas/s")];
        lines.push(line("in process", self.in_process.sagas_per_s, "sagas/s"));
        let share = 100.0 * self.in_process.sagas_per_s / self.ceiling.sagas_per_s;
        lines.push(line("  of the ceiling", share, "%"));
        lines.extend(self.rest.map(|rest| line("through REST", rest.sagas_per_s, "sagas/s")));
        for (in_flight, latency) in &self.latency {
            lines.push(line(&format!("{in_flight} in flight, p50"), latency.p50_ms, "ms"));
            lines.push(line(&format!("{in_flight} in flight, p99"), latency.p99_ms, "ms"));
        }
        let per = &self.per_saga;
        lines.push(line("transactions per saga", per.transactions, ""));
        lines.push(line("rows per saga", per.rows, ""));
        lines.push(line("WAL per saga", per.wal_bytes, "bytes"));
        lines.push(line("tables per saga", per.table_bytes, "bytes"));
        lines.extend(per.cpu_ms_hansom.map(|ms| line("CPU per saga, hansom", ms, "ms")));
        lines.extend(per.cpu_ms_postgres.map(|ms| line("CPU per saga, postgres", ms, "ms")));
        if let Some(asleep) = self.asleep {
            lines.push(line("sagas asleep", f64::from(asleep.sagas), ""));
            #[expect(clippy::cast_precision_loss, reason = "megabytes to one digit")]
            let growth = asleep.rss_growth_bytes as f64 / 1e6;
            lines.push(line("  memory grew by", growth, "MB"));
            lines.push(line("  a restart is ready in", asleep.restart_ms, "ms"));
        }
        if let Some(scheduled) = self.scheduled {
            let (without, with) = (scheduled.without.sagas_per_s, scheduled.with.sagas_per_s);
            lines.push(line("steady load", without, "sagas/s"));
            lines.push(line("schedules, every minute", f64::from(scheduled.schedules), ""));
            lines.push(line("  runs they started", f64::from(scheduled.fires), ""));
            lines.push(line("  the load beside them", with, "sagas/s"));
            lines.push(line("  that is", 100.0 * with / without, "%"));
        }
        lines
    }
}

fn line(what: &str, figure: f64, unit: &'static str) -> (String, String, &'static str) {
    let digits = match figure.abs() {
        large if large >= 100.0 => 0,
        small if small < 0.1 => 4,
        _ => 2,
    };
    (what.to_owned(), format!("{figure:.digits$}"), unit)
}
