//! The built binary: what it refuses, how it says so, and how it ends.

use std::net::TcpListener;
use std::process::{Command, Output};

/// The binary in an environment of its own.
fn hansom(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let directory = std::env::temp_dir();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
    command.args(args).current_dir(directory).env_clear();
    command.envs(environment.iter().copied()).output().expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it writes text")
}

/// It ends so, with one `error:` line, nothing on stdout, and all of `words`.
#[track_caller]
fn refused(args: &[&str], environment: &[(&str, &str)], exit: i32, words: &[&str]) {
    let output = hansom(args, environment);
    let stderr = stderr(&output);
    assert_eq!(output.status.code(), Some(exit), "{args:?} {environment:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?} wrote to stdout");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{args:?} {environment:?} does not say {word:?}: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_typo_is_answered_with_the_nearest_word() {
    refused(&["wrokflow", "list"], &[], 2, &["workflow"]);
    refused(&["workflow", "lst"], &[], 2, &["list"]);
    refused(&["schedule", "triger", "s"], &[], 2, &["trigger"]);
    refused(&["dev", "--listn", "x"], &[], 2, &["--listen", "Usage"]);
    refused(&["workflow", "list", "-o", "tabel"], &[], 2, &["table"]);
}

#[test]
fn every_command_has_help_with_an_example() {
    let commands = [
        "dev",
        "serve",
        "bench",
        "check",
        "migrate",
        "db url",
        "db psql",
        "schedule create",
        "schedule list",
        "schedule show",
        "schedule fires",
        "schedule update",
        "schedule pause",
        "schedule resume",
        "schedule trigger",
        "schedule backfill",
        "schedule delete",
        "views list",
        "views rebuild",
        "workflow start",
        "workflow list",
        "workflow show",
        "workflow history",
        "workflow signal",
        "workflow update",
        "workflow cancel",
        "workflow terminate",
        "workflow retry",
        "workflow state",
        "workflow wait",
        "workflow undo-plan",
        "wf result",
        "wf export",
    ];
    for command in commands {
        let mut args: Vec<_> = command.split(' ').collect();
        args.push("--help");
        let output = hansom(&args, &[]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = String::from_utf8(output.stdout).expect("it writes text");
        assert!(help.contains("Example"), "{command} has no example: {help}");
        assert!(output.stderr.is_empty(), "{command} wrote to stderr");
    }
}

#[test]
fn a_setting_that_is_wrong_is_named_with_its_source() {
    refused(
        &["dev"],
        &[("HANSOM_LISTN", "x")],
        2,
        &["HANSOM_LISTN", "did you mean HANSOM_LISTEN?"],
    );
    refused(&["dev"], &[("HANSOM_LEASE", "5")], 2, &["HANSOM_LEASE", "unit"]);
    refused(&["dev", "--lease", "10ms"], &[], 2, &["--lease", "1s"]);
    refused(&["serve", "--partitions", "0"], &[], 2, &["--partitions", "1 to 4096"]);
    refused(&["serve", "--config", "/nonexistent.toml"], &[], 2, &["/nonexistent.toml"]);
    let two = [("HANSOM_LEASE", "5"), ("HANSOM_GATEWAY", "taxisv")];
    refused(&["dev"], &two, 2, &["2 settings", "HANSOM_LEASE", "did you mean `taxisvc`?"]);
}

#[test]
fn without_authentication_only_this_machine_is_served() {
    refused(
        &["dev", "--listen", "0.0.0.0:0"],
        &[],
        2,
        &["0.0.0.0:0", "no authentication", "127.0.0.1"],
    );
    refused(&["dev", "--listen", "[::]:0"], &[], 2, &["no authentication"]);
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let told = [&*address, "the port is taken", "--listen"];
    refused(&["dev", "--listen", &address], &[], 2, &told);
    let (_, port) = address.split_once(':').expect("it has a port");
    let told = [&*address, "the port is taken", "--port"];
    refused(&["service", "payment", "--port", port], &[], 2, &told);
}

#[test]
fn a_database_url_that_is_none_is_refused_without_its_password() {
    for url in
        ["mysql://me:s3cret@localhost/x", "me:s3cret@localhost/x", "postgres://me:s3cret@h:x/d"]
    {
        let environment = [("HANSOM_DATABASE_URL", url)];
        refused(&["migrate"], &environment, 2, &["HANSOM_DATABASE_URL"]);
    }
    let mysql = [("DATABASE_URL", "mysql://me:s3cret@localhost/x")];
    assert!(!stderr(&hansom(&["migrate"], &mysql)).contains("s3cret"));
    refused(&["serve"], &[], 2, &["no database is set", "HANSOM_DATABASE_URL"]);
    let nowhere = std::env::temp_dir().join(format!("hansom-nowhere-{}", std::process::id()));
    let nowhere = nowhere.to_str().expect("it is text");
    refused(&["check"], &[("HANSOM_DATA", nowhere)], 2, &["no database is set"]);
    for look in [&["audit"][..], &["views", "rebuild"]] {
        let told = ["no database is set", "no private one", nowhere, "HANSOM_DATABASE_URL"];
        refused(look, &[("HANSOM_DATA", nowhere)], 2, &told);
    }
    assert!(!std::path::Path::new(nowhere).exists(), "who only looks makes nothing");
}

#[test]
fn a_database_that_cannot_be_reached_is_said_in_one_line() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = closed.local_addr().expect("it has an address").port();
    drop(closed);
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/x");
    for command in ["migrate", "serve"] {
        let args: &[&str] =
            if command == "serve" { &["serve", "--listen", "127.0.0.1:0"] } else { &["migrate"] };
        let environment = [("HANSOM_DATABASE_URL", url.as_str())];
        refused(args, &environment, 7, &["me:***@127.0.0.1", "cause:", "hint:"]);
        assert!(!stderr(&hansom(args, &environment)).contains("s3cret"));
    }
    let unknown = [("HANSOM_DATABASE_URL", "postgres://me@no-such-host.invalid/x")];
    refused(&["migrate"], &unknown, 7, &["no-such-host.invalid", "hint:"]);
}

#[test]
fn without_a_server_a_workflow_command_says_how_to_start_one() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", closed.local_addr().expect("it has an address"));
    drop(closed);
    refused(&["workflow", "list", "--url", &url], &[], 7, &[&url, "hansom dev"]);
    refused(&["wf", "show", "a"], &[("HANSOM_URL", &url)], 7, &[&url, "hansom dev"]);
    refused(&["wf", "list", "--url", "localhost"], &[], 2, &["--url", "http://127.0.0.1:8088"]);
}

#[test]
fn input_that_is_no_json_is_refused_before_it_is_sent() {
    refused(
        &["wf", "start", "trip", "a", "--input", "{"],
        &[],
        2,
        &["--input is not JSON", "hint:"],
    );
    refused(&["wf", "start", "trip", "a", "--input", "@/nonexistent"], &[], 2, &["/nonexistent"]);
    refused(&["wf", "start", "trip", "a", "--input", "@/tmp"], &[], 2, &["/tmp"]);
    refused(&["wf", "start", "trip", "a", "--input", "@/dev/zero"], &[], 2, &["more than"]);
    refused(&["wf", "start", "trip", "a", "--label", "x"], &[], 2, &["KEY=VALUE"]);
}
