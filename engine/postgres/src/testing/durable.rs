use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::keeper::Keeper;
use crate::cluster::{Cluster, Durability};
use crate::{process, server};

const TRY_AGAIN: Duration = Duration::from_millis(5);

/// A cluster of a test's own with the settings of production, for tests that kill the server. Gone,
/// data and all, when dropped; its server is gone as well when the test's process is killed.
#[derive(Debug)]
pub struct DurableCluster {
    asked: PathBuf,
    // An `Option` only so that `restart` can let go of the old handle first.
    held: Option<(Cluster, Keeper)>,
}

impl DurableCluster {
    /// Makes and starts a cluster in a new temporary directory.
    pub async fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hansom-durable-{}-{count}", std::process::id());
        let asked = std::env::temp_dir().join(name);
        // A killed test with the same process number may have left its data.
        let _ = fs::remove_dir_all(&asked);
        let held = Some(hold(&asked).await);
        Self { asked, held }
    }

    /// The running cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.held.as_ref().expect("it is only empty while `restart` runs, which has it mutably").0
    }

    /// The URL of `database`.
    pub fn url(&self, database: &str) -> String {
        self.cluster().url(database)
    }

    /// Kills every process of the server with SIGKILL and returns when none of them is left. Panics
    /// unless there was one to kill.
    pub async fn kill_server(&self) {
        let place = self.cluster().place();
        let server = server::running(place).expect("a server runs until somebody kills it");
        let family = || {
            let processes = process::all();
            processes.into_iter().filter(|found| found.pid == server || found.parent == server)
        };
        let mut killed: Vec<i32> = family().map(|found| found.pid).collect();
        // The server first: left alive, it would replace its children.
        killed.sort_by_key(|pid| *pid != server);
        for pid in &killed {
            // A child may have ended by itself since.
            let _ = kill_process(Pid::from_raw(*pid).expect("the table has no 0"), Signal::KILL);
        }
        while killed.iter().any(|pid| process::find(*pid).is_some_and(|found| found.is_alive())) {
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Starts the server again after [`kill_server`](Self::kill_server), and returns when it has
    /// recovered. The URLs stay the same.
    pub async fn restart(&mut self) {
        if let Some((cluster, keeper)) = self.held.take() {
            let_go(&cluster, keeper);
        }
        self.held = Some(hold(&self.asked).await);
    }
}

async fn hold(asked: &std::path::Path) -> (Cluster, Keeper) {
    let started = async {
        let cluster = Cluster::start(asked, Durability::Durable).await?;
        let keeper = Keeper::stop_at_once(&cluster)?;
        Ok::<_, crate::ClusterError>((cluster, keeper))
    };
    started.await.unwrap_or_else(|error| panic!("no durable Postgres for this test: {error}"))
}

/// Errors are left to what follows: a start, or nothing.
fn let_go(cluster: &Cluster, mut keeper: Keeper) {
    let _ = match server::running(cluster.place()) {
        Some(_) => keeper.finish(),
        None => keeper.dismiss(),
    };
}

impl Drop for DurableCluster {
    fn drop(&mut self) {
        let Some((cluster, keeper)) = self.held.take() else { return };
        let_go(&cluster, keeper);
        if std::thread::panicking() {
            eprintln!("the test's cluster is kept: {}", cluster.data_dir().display());
            return;
        }
        let place = cluster.place();
        for dir in [&place.socket, &place.home, &self.asked] {
            let _ = fs::remove_dir_all(dir);
        }
    }
}
