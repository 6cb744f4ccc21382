//! Processor time and memory, from Linux's `/proc`; nothing elsewhere.

use std::fs;
use std::path::Path;

/// Ticks of a second in `/proc/*/stat`; fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// Seconds of processor time this process has used.
pub(super) fn own_seconds() -> Option<f64> {
    Stat::read("self").map(|stat| stat.seconds)
}

/// Resident memory of this process in bytes.
pub(super) fn own_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Seconds of processor time of the server that `backend` belongs to, its
/// processes that have ended included. `None` where it runs elsewhere.
pub(super) fn server_seconds(backend: i32) -> Option<f64> {
    let server = Stat::read(&backend.to_string())?.parent;
    let whole = Stat::read(&server.to_string())?;
    let children = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid = entry.file_name().into_string().ok()?;
        pid.parse::<i32>().ok()?;
        Stat::read(&pid).filter(|stat| stat.parent == server)
    });
    Some(whole.seconds + whole.ended + children.map(|stat| stat.seconds).sum::<f64>())
}

struct Stat {
    parent: i32,
    seconds: f64,
    /// Of children that have ended.
    ended: f64,
}

impl Stat {
    fn read(pid: &str) -> Option<Self> {
        let text = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
        // The name, in parentheses, may hold anything; what follows is plain.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            seconds: (ticks(11)? + ticks(12)?) / TICKS,
            ended: (ticks(13)? + ticks(14)?) / TICKS,
        })
    }
}
