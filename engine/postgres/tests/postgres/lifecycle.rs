use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hansom_postgres::{Cluster, ClusterError, Durability, Stopped};
use sqlx::{Connection, PgConnection};

use crate::support::{Dir, ask, kill_server_in, part_dir, play, run};

#[tokio::test]
async fn a_warm_start_finds_the_rows_of_a_cold_one_and_fsync_is_on() {
    let dir = Dir::new();
    let begun = Instant::now();
    let cluster = dir.start().await;
    println!("cold start: {:?}", begun.elapsed());
    cluster.ensure_database("rows").await.unwrap();
    let url = cluster.url("rows");
    run(&url, "create table kept as select 42 as answer").await;
    assert_eq!(cluster.stop().await.unwrap(), Stopped::Server);

    let begun = Instant::now();
    let cluster = dir.start().await;
    println!("warm start: {:?}", begun.elapsed());
    assert_eq!(cluster.url("rows"), url);
    assert_eq!(ask(&url, "select answer from kept").await, "42");
    for setting in ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"] {
        let value = ask(&url, &format!("current_setting('{setting}')")).await;
        assert_eq!(value, "on", "{setting}");
    }
    assert_eq!(ask(&url, "current_setting('listen_addresses')").await, "");
    assert_eq!(ask(&url, "current_setting('server_encoding')").await, "UTF8");
    assert!(cluster.server_log().is_file());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_does_not_count() {
    let dir = Dir::new();
    let half = dir.path().join("data.init");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "99\n").unwrap();
    let cluster = dir.start().await;
    assert_eq!(ask(&cluster.url("postgres"), "select 1").await, "1");
    assert!(!half.exists());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_private_directory() {
    let dir = Dir::new();
    let deep = dir.path().join("deep/".repeat(20));
    let cluster = Cluster::start(&deep, Durability::Durable).await.unwrap();
    let url = cluster.url("postgres");
    let socket = PathBuf::from(ask(&url, "current_setting('unix_socket_directories')").await);
    let socket = PathBuf::from(socket.to_string_lossy().trim_matches('"').to_owned());
    assert!(socket.starts_with("/tmp"), "{}", socket.display());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(deep.join("data").is_dir());
    cluster.stop().await.unwrap();
    fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn a_path_may_hold_spaces_quotes_commas_and_dollars() {
    let dir = Dir::new();
    let odd = dir.path().join("it's a, $HOME \"x\"");
    let cluster = Cluster::start(&odd, Durability::Durable).await.unwrap();
    assert_eq!(ask(&cluster.url("postgres"), "select 1").await, "1");
    assert!(odd.join("socket/.s.PGSQL.5432").exists());
    assert_eq!(cluster.stop().await.unwrap(), Stopped::Server);
}

#[tokio::test]
async fn a_directory_closed_to_the_servers_account_gets_its_data_elsewhere() {
    if !rustix::process::geteuid().is_root() {
        println!("only root runs the server as another account");
        return;
    }
    let dir = Dir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let asked = dir.path().join("pg");
    let cluster = Cluster::start(&asked, Durability::Durable).await.unwrap();
    let home = cluster.data_dir().to_owned();
    assert!(home.starts_with("/var/lib/hansom"), "{}", home.display());
    assert_eq!(fs::read_to_string(asked.join("LOCATION")).unwrap().trim(), home.to_str().unwrap());
    run(&cluster.url("postgres"), "create table kept ()").await;
    cluster.stop().await.unwrap();

    // Found again although the directory is open by now.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let cluster = Cluster::start(&asked, Durability::Durable).await.unwrap();
    assert_eq!(cluster.data_dir(), home);
    assert_eq!(ask(&cluster.url("postgres"), "select count(*) from kept").await, "0");
    cluster.stop().await.unwrap();
    kill_server_in(&home);
    fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_server_is_not_adopted_with_the_other_durability() {
    let dir = Dir::new();
    let cluster = Cluster::start(dir.path(), Durability::Throwaway).await.unwrap();
    let error = Cluster::start(dir.path(), Durability::Durable).await.unwrap_err();
    assert!(
        matches!(&error, ClusterError::OtherDurability { fsync, .. } if fsync == "off"),
        "{error}"
    );
    assert_eq!(cluster.stop().await.unwrap(), Stopped::Server);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let dir = Dir::new();
    dir.start().await.stop().await.unwrap();
    let settings = dir.path().join("data/postgresql.auto.conf");
    fs::write(&settings, "no_such_setting = 1\n").unwrap();
    let error = Cluster::start(dir.path(), Durability::Durable).await.unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[tokio::test]
async fn programs_that_are_not_there_give_one_clear_line() {
    let dir = Dir::new();
    let output =
        play("lifecycle::part_start_without_programs", dir.path()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.contains("error:")).expect("the part prints it");
    assert!(line.contains("HANSOM_PG_BIN=/nowhere cannot be used: there is no initdb"), "{line}");
}

#[test]
#[ignore = "a part of programs_that_are_not_there_give_one_clear_line"]
fn part_start_without_programs() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::part_start_and_print_the_error", "--ignored", "--nocapture"])
        .env("HANSOM_PG_BIN", "/nowhere")
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
#[ignore = "a part of part_start_without_programs"]
async fn part_start_and_print_the_error() {
    let error = Cluster::start(Path::new(&part_dir()), Durability::Durable).await.unwrap_err();
    println!("\nerror: {error}");
}

#[tokio::test]
async fn a_url_names_its_socket_whatever_the_database_is_called() {
    let dir = Dir::new();
    let cluster = dir.start().await;
    let name = "a \"b\" / c%";
    cluster.ensure_database(name).await.unwrap();
    let mut connection = PgConnection::connect(&cluster.url(name)).await.unwrap();
    let found: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut connection).await.unwrap();
    assert_eq!(found, name);
    connection.close().await.unwrap();
    cluster.stop().await.unwrap();
}
