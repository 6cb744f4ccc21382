//! `hansom dev` with a Postgres of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::{Value, json};

use crate::processes::Server;

/// A directory of the test's own, short enough for a socket's path.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hansom-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory is made");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left behind, it is only a few megabytes of a temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn dev(directory: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
    command.args(["dev", "--listen", "127.0.0.1:0", "--data", "data"]).current_dir(directory);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(std::env::var_os("HANSOM_PG_BIN").map(|bin| ("HANSOM_PG_BIN", bin)));
    Server::of(command, |line| Some(line.strip_prefix("Hansom is up at ")?.trim().to_owned()))
}

fn json_of(server: &Server, args: &[&str]) -> Value {
    let (exit, said) = server.says(args);
    assert_eq!(exit, Some(0), "{args:?}: {said}");
    serde_json::from_str(&said).expect("the API's own JSON")
}

#[test]
fn dev_brings_everything_up_and_a_second_start_after_a_kill_goes_on_where_it_was() {
    let directory = Directory::new("dev");
    let mut server = dev(&directory.0);
    let input = json!({"call_id": 900, "user_id": "1", "user_name": "nana", "distance": 2000});
    let start = ["wf", "start", "taxi_call", "kept", "--input", &input.to_string()];
    assert_eq!(server.says(&start).0, Some(0));
    server.signal("-KILL");
    assert_eq!(server.ended(), None, "it was killed");

    let mut server = dev(&directory.0);
    let trip = json_of(&server, &["wf", "show", "kept", "-o", "json"]);
    assert_eq!(trip["workflow_id"], "kept");
    let end = Instant::now() + PATIENCE;
    while json_of(&server, &["wf", "show", "kept", "-o", "json"])["undo"] != "owed" {
        assert!(Instant::now() < end, "the saga does not go on");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

/// The pid of the server that keeps its data there, as Postgres notes it.
fn postgres_of(directory: &Path) -> String {
    let pid_file = |home: PathBuf| std::fs::read_to_string(home.join("data/postmaster.pid")).ok();
    let asked = directory.join("data/pg");
    let elsewhere = std::fs::read_to_string(asked.join("LOCATION")).ok();
    let home = elsewhere.map_or(asked, |path| PathBuf::from(path.trim()));
    let noted = pid_file(home).expect("a server runs");
    noted.lines().next().expect("its pid").trim().to_owned()
}

#[test]
fn dev_starts_its_postgres_again_when_that_is_killed() {
    let directory = Directory::new("revive");
    let mut server = dev(&directory.0);
    let killed = postgres_of(&directory.0);
    let kill = Command::new("kill").args(["-KILL", &killed]).status().expect("kill runs");
    assert!(kill.success());
    let input = json!({"call_id": 901, "user_id": "1", "user_name": "nana", "distance": 2000});
    let start = ["wf", "start", "taxi_call", "revived", "--input", &input.to_string()];
    let end = Instant::now() + PATIENCE;
    while server.says(&start).0 != Some(0) {
        assert!(Instant::now() < end, "it does not come back");
    }
    assert_ne!(postgres_of(&directory.0), killed);
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}
