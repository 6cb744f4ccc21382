use std::fs;
use std::path::Path;
use std::process::Child;

use hansom_postgres::testing::DurableCluster;
use sqlx::PgConnection;
use sqlx::{Connection, Executor};

use crate::support::{as_server, ask, run, server_pid, until};

#[tokio::test]
async fn what_was_committed_survives_kill_9_of_every_server_process() {
    let mut durable = DurableCluster::start().await;
    let url = durable.url("postgres");
    run(&url, "create table kept as select generate_series(1, 1000) as n").await;
    let mut open = PgConnection::connect(&url).await.unwrap();
    open.execute("begin; insert into kept values (0)").await.unwrap();

    durable.kill_server().await;
    assert!(PgConnection::connect(&url).await.is_err(), "the server outlived its death");
    assert!(open.execute("commit").await.is_err());

    durable.restart().await;
    assert_eq!(durable.url("postgres"), url);
    assert_eq!(ask(&url, "select count(*) from kept").await, "1000");
    let log = fs::read_to_string(durable.cluster().server_log()).unwrap();
    assert!(log.contains("automatic recovery in progress"), "it was a clean shutdown: {log}");
}

/// Kills the server and gives the number in its pid file to `process`.
async fn pid_file_names(durable: &DurableCluster, process: &Child) {
    durable.kill_server().await;
    let home = durable.cluster().data_dir();
    let path = home.join("data/postmaster.pid");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&path, format!("{}\n{rest}", process.id())).unwrap();
    let _ = fs::remove_file(home.join("socket/.s.PGSQL.5432.lock"));

    let refused = as_server(home, durable.cluster().bin_dir().join("pg_ctl"))
        .args(["start", "-w", "-t", "20", "-D"])
        .arg(home.join("data"))
        .args(["-o", "-c listen_addresses='' -c unix_socket_directories=''"])
        .status()
        .unwrap();
    assert!(!refused.success(), "Postgres by itself is not bothered: this test tests nothing");
    assert_eq!(server_pid(home), i32::try_from(process.id()).ok());
}

fn sleeper(home: &Path, program: &str, argument: &str) -> Child {
    as_server(home, program).arg(argument).spawn().unwrap()
}

#[tokio::test]
async fn a_pid_file_that_names_an_unrelated_process_is_repaired() {
    let mut durable = DurableCluster::start().await;
    let url = durable.url("postgres");
    run(&url, "create table kept as select 42 as answer").await;
    let mut unrelated = sleeper(durable.cluster().data_dir(), "sleep", "600");
    pid_file_names(&durable, &unrelated).await;

    durable.restart().await;
    assert_eq!(ask(&url, "select answer from kept").await, "42");
    assert!(unrelated.try_wait().unwrap().is_none(), "the unrelated process was killed");
    unrelated.kill().unwrap();
    unrelated.wait().unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_zombie_is_repaired() {
    let mut durable = DurableCluster::start().await;
    let url = durable.url("postgres");
    run(&url, "create table kept as select 42 as answer").await;
    let mut zombie = sleeper(durable.cluster().data_dir(), "sleep", "0");
    let state = format!("/proc/{}/stat", zombie.id());
    if cfg!(target_os = "linux") {
        until("it is a zombie", || fs::read_to_string(&state).unwrap().contains(") Z ")).await;
    }
    pid_file_names(&durable, &zombie).await;

    durable.restart().await;
    assert_eq!(ask(&url, "select answer from kept").await, "42");
    zombie.wait().unwrap();
}
