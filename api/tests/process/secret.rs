//! A database URL that is a secret, and what the place where a server runs is called.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::processes::{Server, command, migrated, ready, text};

const PASSWORD: &str = "s3cret-of-the-file";

/// A file of the test's own.
struct Secret(PathBuf);

impl Secret {
    fn new(name: &str, url: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hansom-{name}-{}", std::process::id()));
        std::fs::write(&path, format!("{url}\n")).expect("it can be written");
        Self(path)
    }

    /// The binary, told of this file in its environment, and of no other database.
    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = command(args, "");
        command.env_remove("HANSOM_DATABASE_URL").env("HANSOM_DATABASE_URL_FILE", &self.0);
        command
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Left behind, it is a line in a temporary directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_its_landscape_and_nowhere_the_password_of_its_database() {
    let database = migrated().await;
    let more = if database.url().contains('?') { '&' } else { '?' };
    let secret = Secret::new("served", &format!("{}{more}password={PASSWORD}", database.url()));
    let flags = ["serve", "--log-format", "json", "--log", "debug", "--listen", "127.0.0.1:0"];
    let mut command = secret.command(&flags);
    command.env("HANSOM_LANDSCAPE", "prod-eu");
    let first = RefCell::new(String::new());
    let server = Server::of(command, |line| {
        let url = ready(line)?;
        first.replace(line.to_owned());
        Some(url)
    });
    let call = json!({ "userId": "1", "userName": "nana", "distance": "20" });
    assert_eq!(server.post("/calls", call).await.status, 201);
    server.until("/calls/1", |call| call["callStatus"] == "driveStart").await;

    let said = server.get("/v1/server").await.body;
    assert_eq!(said, json!({ "version": env!("CARGO_PKG_VERSION"), "landscape": "prod-eu" }));
    let metrics = server.get("/metrics").await.body.to_string();
    assert!(metrics.contains(r#"hansom_landscape_info{landscape=\"prod-eu\"} 1"#), "{metrics}");
    let first = first.into_inner();
    let event: Value = serde_json::from_str(&first).expect("it is JSON");
    assert_eq!(event["landscape"], "prod-eu");

    let log = server.log();
    assert!(log.contains(r#""level":"DEBUG""#), "it says all that there is to say: {log}");
    let process = PathBuf::from(format!("/proc/{}", server.child.id()));
    for place in ["cmdline", "environ"].map(|name| process.join(name)) {
        // Where there is such a place.
        let Ok(bytes) = std::fs::read(&place) else { continue };
        let shown = String::from_utf8_lossy(&bytes);
        assert!(shown.contains("serve") || shown.contains("HANSOM_LANDSCAPE"), "{shown}");
        assert!(!shown.contains(PASSWORD), "{}", place.display());
    }
    for shown in [first, log, metrics, said.to_string()] {
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[test]
fn the_password_of_the_file_is_what_the_database_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let mut read = || {
            let mut bytes = [0; 1024];
            let length = stream.read(&mut bytes).expect("it says something");
            (bytes[..length].to_vec(), stream.try_clone().expect("it is open"))
        };
        // What it begins with is answered: say your password, in plain text.
        let (_, mut answer) = read();
        answer.write_all(b"R\0\0\0\x08\0\0\0\x03").expect("it listens");
        let (password, _) = read();
        password
    });
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1:{port}/x?sslmode=disable");
    let refused = Secret::new("told", &url).command(&["migrate"]).output().expect("it runs");
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && !said.contains(PASSWORD), "{said}");
    assert!(said.contains("postgres://me:***@"), "{said}");
    let heard = heard.join().expect("it asked");
    assert!(heard.starts_with(b"p") && text(&heard[5..]).contains(PASSWORD), "{heard:?}");
}

#[test]
fn a_file_without_a_url_is_said_by_its_name() {
    let empty = Secret::new("empty", "");
    let refused = empty.command(&["serve"]).output().expect("it runs");
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("HANSOM_DATABASE_URL_FILE") && said.contains("is empty"), "{said}");
}

#[test]
fn psql_is_told_the_password_where_nobody_else_reads_it() {
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1:1/x?sslmode=disable");
    let secret = Secret::new("psql", &url);
    // A `psql` that shows what it is told: `env` prints its variables, and takes an argument that
    // has a `=` for one of them.
    let programs = std::env::temp_dir().join(format!("hansom-programs-{}", std::process::id()));
    std::fs::create_dir_all(&programs).expect("a directory is made");
    std::os::unix::fs::symlink("/usr/bin/env", programs.join("psql")).expect("it is linked");
    let shown = secret.command(&["db", "psql"]).env("PATH", &programs).output();
    std::fs::remove_dir_all(&programs).expect("it is removed");
    let shown = text(&shown.expect("it runs").stdout);
    assert!(shown.contains(&format!("PGPASSWORD={PASSWORD}\n")), "{shown}");
    assert!(shown.contains("postgres://me@127.0.0.1:1/x?sslmode=disable\n"), "{shown}");
    assert_eq!(shown.matches(PASSWORD).count(), 1, "{shown}");
}
