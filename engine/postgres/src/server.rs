//! Making the data and starting and stopping the server. All of it with the gate held.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::cluster::Durability;
use crate::error::ClusterError;
use crate::place::{Place, SOCKET};
use crate::process;
use crate::programs::Programs;

/// Recovery after a crash replays up to `max_wal_size` of log before the first connection.
const READY_WITHIN: Duration = Duration::from_mins(10);

/// How long the backends of a killed server may take to notice that it is gone.
const ORPHANS_LEAVE_WITHIN: Duration = Duration::from_mins(1);

/// A server that came up and was gone at the first connection this often is not started again.
const MOST_LAUNCHES: u32 = 5;

const TRY_AGAIN: Duration = Duration::from_millis(10);

/// At a start, a longer log makes room for a new one.
const LONGEST_LOG: u64 = 16 << 20;

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// The server was already running.
    Adopted,
    Launched,
}

/// The server's process, if it is alive.
pub(crate) fn running(place: &Place) -> Option<i32> {
    let pid = recorded_pid(place)?;
    process::find(pid)?.serves(&place.data(), &place.socket).then_some(pid)
}

fn recorded_pid(place: &Place) -> Option<i32> {
    let text = fs::read_to_string(place.data().join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Makes the data under another name; only a whole cluster gets the name that counts.
pub(crate) async fn make_data(
    place: &Place,
    programs: &Programs,
    durability: Durability,
) -> Result<(), ClusterError> {
    let half = place.home.join("data.init");
    if half.exists() {
        fs::remove_dir_all(&half).map_err(ClusterError::io("remove", &half))?;
    }
    fs::create_dir(&half).map_err(ClusterError::io("create", &half))?;
    place.account.give(&half, 0o700)?;
    let output = place
        .account
        .command(&programs.bin.join("initdb"))
        .args(["--username=hansom", "--auth=trust", "--encoding=UTF8", "--no-locale"])
        .args(["--data-checksums", "--no-sync", "--pgdata"])
        .arg(&half)
        .output()
        .await
        .map_err(ClusterError::io("run", &programs.bin.join("initdb")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(ClusterError::Initdb(text.trim().replace('\n', " ")));
    }
    if durability == Durability::Durable {
        sync_file_system(&half)?;
    }
    fs::rename(&half, place.data()).map_err(ClusterError::io("rename", &half))?;
    let home = File::open(&place.home).map_err(ClusterError::io("open", &place.home))?;
    home.sync_all().map_err(ClusterError::io("sync", &place.home))
}

/// One call in place of the thousand that initdb would make, one per file.
fn sync_file_system(dir: &Path) -> Result<(), ClusterError> {
    #[cfg(target_os = "linux")]
    {
        let dir_file = File::open(dir).map_err(ClusterError::io("open", dir))?;
        rustix::fs::syncfs(dir_file).map_err(|error| ClusterError::io("sync", dir)(error.into()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        rustix::fs::sync();
        Ok(())
    }
}

/// Adopts the server that runs, or starts one. Returns when it accepts connections.
pub(crate) async fn ensure_running(
    place: &Place,
    programs: &Programs,
    durability: Durability,
) -> Result<Started, ClusterError> {
    let mut started = Started::Adopted;
    let begun = Instant::now();
    let mut launches = 0;
    loop {
        // No connection means that it was on its way down, or died while recovering.
        if let Some(pid) = running(place)
            && let Some(connection) = accepts_connections(place, pid).await?
        {
            agree_on_durability(place, connection, durability).await?;
            return Ok(started);
        }
        clear_remains(place)?;
        let log_before = fresh_log(place)?;
        if launches < MOST_LAUNCHES && launch(place, programs, durability).await? {
            started = Started::Launched;
            launches += 1;
            continue;
        }
        if running(place).is_some() {
            // One that a process killed since had launched was faster.
            continue;
        }
        let tail = log_since(place, log_before);
        // The backends of a killed server hold its shared memory until they notice.
        if !tail.contains("shared memory block") || begun.elapsed() > ORPHANS_LEAVE_WITHIN {
            return Err(ClusterError::NotStarted { log: place.log(), tail });
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Waits for a connection; `None` when the server ended instead.
async fn accepts_connections(
    place: &Place,
    pid: i32,
) -> Result<Option<PgConnection>, ClusterError> {
    let begun = Instant::now();
    loop {
        let error = match PgConnection::connect(&place.url("postgres")).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(error) => error,
        };
        if running(place) != Some(pid) {
            return Ok(None);
        }
        if begun.elapsed() > READY_WITHIN {
            let seconds = READY_WITHIN.as_secs();
            return Err(ClusterError::NotReady { seconds, source: error });
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

async fn agree_on_durability(
    place: &Place,
    mut connection: PgConnection,
    durability: Durability,
) -> Result<(), ClusterError> {
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&mut connection).await?;
    connection.close().await?;
    if (fsync == "on") == (durability == Durability::Durable) {
        return Ok(());
    }
    Err(ClusterError::OtherDurability { path: place.home.clone(), fsync })
}

/// Removes what a killed server left and the next one would stumble over.
///
/// `postmaster.pid` may name a zombie (in containers nothing reaps it) or an unrelated process that
/// got the number since, and Postgres refuses to start while anything has that number. Only the
/// number is replaced: the rest of the file names the shared memory that guards against backends
/// which survived their server.
fn clear_remains(place: &Place) -> Result<(), ClusterError> {
    for name in [SOCKET.to_owned(), format!("{SOCKET}.lock")] {
        let path = place.socket.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ClusterError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    let Some(pid) = recorded_pid(place) else { return Ok(()) };
    if process::find(pid).is_none() {
        return Ok(());
    }
    let path = place.data().join("postmaster.pid");
    let text = fs::read_to_string(&path).map_err(ClusterError::io("read", &path))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    // Above every system's largest process number, so that nothing ever has it.
    let replaced = path.with_extension("pid.new");
    fs::write(&replaced, format!("{}\n{rest}", i32::MAX))
        .map_err(ClusterError::io("write", &replaced))?;
    place.account.give(&replaced, 0o600)?;
    fs::rename(&replaced, &path).map_err(ClusterError::io("replace", &path))?;
    tracing::info!(stale_pid = pid, "postgres.pid_file_replaced");
    Ok(())
}

/// Runs `pg_ctl start`; whether the server came up.
///
/// `pg_ctl` gets no pipe for its output: the server inherits it, and reading it would never end.
async fn launch(
    place: &Place,
    programs: &Programs,
    durability: Durability,
) -> Result<bool, ClusterError> {
    let timeout = READY_WITHIN.as_secs().to_string();
    let status = place
        .account
        .command(&programs.bin.join("pg_ctl"))
        // Relative paths, since pg_ctl hands them to a shell in double quotes.
        .current_dir(&place.home)
        .args(["start", "-D", "data", "-l", "server.log", "-w", "-s", "-t", &timeout, "-o"])
        .arg(options(&place.socket, durability))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .map_err(ClusterError::io("run", &programs.bin.join("pg_ctl")))?;
    Ok(status.success())
}

/// The settings, quoted for the shell that `pg_ctl` starts the server through.
fn options(socket: &Path, durability: Durability) -> String {
    // Postgres takes a list of directories: double quotes keep commas and spaces in one.
    let socket = format!("\"{}\"", socket.to_string_lossy().replace('"', "\"\""));
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_directories", &socket),
        ("unix_socket_permissions", "0700"),
    ];
    settings.extend(match durability {
        Durability::Durable => [
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("max_connections", "200"),
            ("shared_buffers", "256MB"),
            ("max_wal_size", "4GB"),
            ("checkpoint_timeout", "15min"),
            ("wal_compression", "on"),
        ],
        Durability::Throwaway => [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("max_connections", "300"),
            ("shared_buffers", "128MB"),
            ("max_wal_size", "4GB"),
            ("checkpoint_timeout", "15min"),
            ("wal_compression", "off"),
        ],
    });
    let quoted = settings.iter().map(|(name, value)| {
        let setting = format!("{name}={value}").replace('\'', r"'\''");
        format!("-c '{setting}'")
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Makes sure there is a log the server may write; its present length.
fn fresh_log(place: &Place) -> Result<u64, ClusterError> {
    let log = place.log();
    if fs::metadata(&log).is_ok_and(|found| found.len() > LONGEST_LOG) {
        let old = log.with_extension("log.1");
        fs::rename(&log, &old).map_err(ClusterError::io("rename", &log))?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(ClusterError::io("open", &log))?;
    place.account.give(&log, 0o600)?;
    Ok(file.metadata().map_err(ClusterError::io("look at", &log))?.len())
}

/// What the log gained since it was `from` bytes long: the last lines of it, as one.
fn log_since(place: &Place, from: u64) -> String {
    let mut text = String::new();
    let read = File::open(place.log()).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_string(&mut text)
    });
    if let Err(error) = read {
        return format!("(cannot be read: {error})");
    }
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines[lines.len().saturating_sub(6)..].join(" / ")
}

/// Stops the server and waits until it is gone.
pub(crate) async fn stop(place: &Place, programs: &Programs) -> Result<(), ClusterError> {
    if running(place).is_none() {
        return Ok(());
    }
    let status = place
        .account
        .command(&programs.bin.join("pg_ctl"))
        .current_dir(&place.home)
        .args(STOP.map(OsStr::new))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .map_err(ClusterError::io("run", &programs.bin.join("pg_ctl")))?;
    if status.success() || running(place).is_none() {
        Ok(())
    } else {
        Err(ClusterError::NotStopped { log: place.log() })
    }
}

/// `pg_ctl`'s arguments for a stop that ends sessions and leaves nothing to recover.
const STOP: [&str; 9] = ["stop", "-D", "data", "-m", "fast", "-w", "-s", "-t", "120"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_shell_whatever_the_path_holds() {
        let dir = Path::new("/a b/it's, $HOME");
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("printf '%s\\n' {}", options(dir, Durability::Durable))])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("unix_socket_directories=\"/a b/it's, $HOME\"\n"), "{text}");
        assert!(text.contains("-c\nfsync=on\n"), "{text}");
    }
}
