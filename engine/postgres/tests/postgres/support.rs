//! Directories that clean up, processes that play a part, and the few statements the tests need.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use hansom_postgres::{Cluster, Durability};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A temporary directory: when dropped, a server still running in it is killed, and it is removed.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hansom-pg-{}-{count}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(fs::canonicalize(dir).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) async fn start(&self) -> Cluster {
        Cluster::start(&self.0, Durability::Durable).await.unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        kill_server_in(&self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn kill_server_in(home: &Path) {
    let Some(pid) = server_pid(home) else { return };
    if command_name(pid).as_deref() == Some("postgres") {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::QUIT);
    }
}

fn command_name(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") {
        return Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned());
    }
    let output = Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    Some(name.trim().rsplit('/').next()?.to_owned())
}

/// The number in the server's pid file.
pub(crate) fn server_pid(home: &Path) -> Option<i32> {
    let text = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok()
}

/// A command that runs as the server's account.
pub(crate) fn as_server(home: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    use std::os::unix::process::CommandExt;
    let owner = fs::metadata(home.join("data")).unwrap();
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

/// This test program again, to run the ignored test `part` in the directory `dir`.
pub(crate) fn play(part: &str, dir: &Path) -> Child {
    play_with(&std::env::current_exe().unwrap(), part, dir).spawn().unwrap()
}

pub(crate) fn play_with(program: &Path, part: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", part, "--ignored", "--nocapture"]).env("HANSOM_TEST_DIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The directory a part is played in.
pub(crate) fn part_dir() -> PathBuf {
    std::env::var_os("HANSOM_TEST_DIR").expect("parts are only played by other tests").into()
}

pub(crate) async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The first column of the only row, as text.
pub(crate) async fn ask(url: &str, query: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = format!("select ({query})::text");
    let answer = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let limit = std::time::Duration::from_mins(1);
    tokio::time::timeout(limit, waited).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
