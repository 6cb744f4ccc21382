use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::books;
use crate::process::{Process, hansom, until};
use crate::town::{Api, open};

/// Everything that one `hansom dev` keeps; its Postgres ends with it.
struct House(PathBuf);

impl House {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("hansom-crash-{}", std::process::id()));
        // A killed test with the same process number may have left its data.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory is made");
        Self(path)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = hansom(args);
        command.env("HANSOM_DATA", &self.0);
        command
    }

    async fn dev(&self) -> Process {
        Process::start(self.command(&["dev"])).await
    }

    fn database_url(&self) -> String {
        let told = self.command(&["db", "url"]).output().expect("it runs");
        String::from_utf8(told.stdout).expect("it is text").trim().to_owned()
    }

    /// The number in Postgres's pid file, while it lives.
    fn postgres(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.0.join("pg/data/postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        processes().iter().any(|process| process.pid == pid).then_some(pid)
    }

    /// Postgres and all its children.
    fn family(&self) -> Vec<u32> {
        let Some(postgres) = self.postgres() else { return Vec::new() };
        let family = processes().into_iter();
        let family = family.filter(|found| found.pid == postgres || found.parent == postgres);
        family.map(|found| found.pid).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        kill(&self.family());
        if std::thread::panicking() {
            eprintln!("what `hansom dev` kept is still there: {}", self.0.display());
        } else {
            // Left behind, it is only a few megabytes of a temporary directory.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

struct Found {
    pid: u32,
    parent: u32,
}

/// All processes that live; a zombie does not.
fn processes() -> Vec<Found> {
    let table = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).output();
    let table = table.expect("ps runs").stdout;
    let found = |line: &str| {
        let mut columns = line.split_whitespace();
        let pid = columns.next()?.parse().ok()?;
        let parent = columns.next()?.parse().ok()?;
        (!columns.next()?.starts_with('Z')).then_some(Found { pid, parent })
    };
    String::from_utf8_lossy(&table).lines().filter_map(found).collect()
}

fn kill(pids: &[u32]) {
    if !pids.is_empty() {
        // One may have ended since.
        let pids = pids.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-KILL").args(pids).output();
    }
}

fn is_alive(pid: u32) -> bool {
    processes().iter().any(|found| found.pid == pid)
}

/// Calls that are paid, with attempts to find a driver under way; one is too far for any.
async fn place(api: &Api) {
    // Longer than any attempt may take: until then each is under way. A restart forgets it.
    api.fault("drive", json!({ "latency_ms": 60_000 })).await;
    for distance in [10, 20, 30, 101] {
        let ask = json!({ "userId": 1, "userName": "nana", "distance": distance });
        let answer = api.post("/calls", ask).await.expect("it is there");
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

/// A server after a kill: every call so far comes to its end there, and the books are right.
async fn assert_recovers(house: &House, process: &Process, began: Instant, calls: usize) {
    let (api, books) = (Api::to(&process.url), open(&house.database_url()).await);
    books::close_all(&books, &api, &[]).await;
    println!(
        "listens {} ms after its start, and all calls are at their end after {} ms",
        process.start.as_millis(),
        began.elapsed().as_millis()
    );
    let tally = books::check(&books, &api, &[]).await;
    assert_eq!(tally.completed + tally.not_available, calls, "{tally:?}");
    assert_eq!(tally.lost_in, calls, "every kill hit every call of its time: {tally:?}");
    books.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_survives_kill_9_of_itself_and_of_its_postgres_as_well() {
    let house = House::new();
    let process = house.dev().await;
    println!("a first start takes {} ms", process.start.as_millis());
    place(&Api::to(&process.url)).await;
    let postgres = house.postgres().expect("its Postgres runs");
    process.kill();
    assert!(is_alive(postgres), "Postgres was to outlive it");

    let began = Instant::now();
    let process = house.dev().await;
    assert_eq!(house.postgres(), Some(postgres), "the server that still ran is adopted");
    assert_recovers(&house, &process, began, 4).await;

    place(&Api::to(&process.url)).await;
    let family = house.family();
    assert!(family.len() > 4, "Postgres has children");
    process.kill();
    kill(&family);
    until("Postgres is gone, with all its processes", async || {
        (!family.iter().any(|pid| is_alive(*pid))).then_some(())
    })
    .await;

    let began = Instant::now();
    let mut process = house.dev().await;
    assert_ne!(house.postgres(), Some(postgres));
    assert_recovers(&house, &process, began, 8).await;
    let log = std::fs::read_to_string(house.0.join("pg/server.log")).expect("it keeps a log");
    assert!(log.contains("automatic recovery in progress"), "it was a clean shutdown");
    process.signal("-TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    assert_eq!(house.postgres(), None, "the last one to leave stops it");

    let audit = house.command(&["audit"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&audit.stdout);
    assert_eq!(audit.status.code(), Some(0), "{said}");
    assert!(said.contains("all adds up") && !said.contains("no saga"), "{said}");
    assert_eq!(house.postgres(), None, "who only looked leaves it as it was");
    let mut unheard = house.command(&["audit"]).stdout(Stdio::piped()).spawn().expect("it runs");
    drop(unheard.stdout.take());
    assert_eq!(unheard.wait().expect("it ends").code(), Some(0));
    assert_eq!(house.postgres(), None, "and so does whom nobody listens to");
}
