use std::fs;

use hansom_postgres::{Cluster, Durability, Stopped};
use sqlx::{Connection, PgConnection};

use crate::support::{Dir, ask, part_dir, play, run, server_pid};

#[tokio::test]
async fn processes_that_start_at_once_on_an_empty_directory_make_one_cluster() {
    let dir = Dir::new();
    let parts: Vec<_> = (0..3).map(|_| play("sharing::part_join_and_write", dir.path())).collect();
    for part in parts {
        let output = part.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let cluster = dir.start().await;
    let url = cluster.url("shared");
    let rows = ask(&url, "select count(*) || ' ' || count(distinct cluster) from joined").await;
    assert_eq!(rows, "3 1", "three processes wrote, all of them to one cluster");
    cluster.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "a part of processes_that_start_at_once_on_an_empty_directory_make_one_cluster"]
async fn part_join_and_write() {
    let cluster = Cluster::start(&part_dir(), Durability::Durable).await.unwrap();
    cluster.ensure_database("shared").await.unwrap();
    let mut connection = PgConnection::connect(&cluster.url("shared")).await.unwrap();
    // `create table if not exists` races with itself; a lock of our own does not.
    sqlx::raw_sql(
        "begin; select pg_advisory_xact_lock(1);
         create table if not exists joined (cluster bigint not null);
         insert into joined select system_identifier from pg_control_system(); commit",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn handles_that_start_at_once_share_a_server_and_each_database_is_made_once() {
    let dir = Dir::new();
    let starts = (0..6).map(|_| {
        let path = dir.path().to_owned();
        tokio::spawn(async move {
            let cluster = Cluster::start(&path, Durability::Durable).await.unwrap();
            cluster.ensure_database("raced").await.unwrap();
            cluster
        })
    });
    let mut clusters = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        clusters.push(start.await.unwrap());
    }
    let last = clusters.pop().unwrap();
    for cluster in clusters {
        assert_eq!(cluster.stop().await.unwrap(), Stopped::LeftRunning);
    }
    assert_eq!(ask(&last.url("raced"), "select 1").await, "1");
    assert_eq!(last.stop().await.unwrap(), Stopped::Server);
}

#[tokio::test]
async fn the_last_one_out_stops_the_server() {
    let dir = Dir::new();
    let first = dir.start().await;
    let second = dir.start().await;
    let url = first.url("postgres");
    assert_eq!(first.stop().await.unwrap(), Stopped::LeftRunning);
    assert_eq!(ask(&url, "select 1").await, "1");
    assert_eq!(second.stop().await.unwrap(), Stopped::Server);
    assert!(PgConnection::connect(&url).await.is_err());
    assert_eq!(server_pid(dir.path()), None);
}

#[tokio::test]
async fn a_dropped_handle_leaves_the_server_to_the_next_one() {
    let dir = Dir::new();
    let cluster = dir.start().await;
    let pid = server_pid(dir.path());
    drop(cluster);
    let cluster = dir.start().await;
    assert_eq!(server_pid(dir.path()), pid);
    assert_eq!(cluster.stop().await.unwrap(), Stopped::Server);
}

#[tokio::test]
async fn the_server_of_a_process_that_aborted_is_adopted() {
    let dir = Dir::new();
    let output = play("sharing::part_write_and_abort", dir.path()).wait_with_output().unwrap();
    assert!(!output.status.success(), "the part is meant to abort");
    assert!(dir.path().join("about-to-abort").exists(), "it aborted too early: {output:?}");
    let pid = server_pid(dir.path());
    let cluster = dir.start().await;
    assert_eq!(server_pid(dir.path()), pid, "a second server was started");
    assert_eq!(ask(&cluster.url("postgres"), "select answer from kept").await, "42");
    assert_eq!(cluster.stop().await.unwrap(), Stopped::Server);
}

#[tokio::test]
#[ignore = "a part of the_server_of_a_process_that_aborted_is_adopted"]
async fn part_write_and_abort() {
    let dir = part_dir();
    let cluster = Cluster::start(&dir, Durability::Durable).await.unwrap();
    run(&cluster.url("postgres"), "create table kept as select 42 as answer").await;
    fs::write(dir.join("about-to-abort"), "").unwrap();
    std::process::abort();
}
