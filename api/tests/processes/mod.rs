//! The binary, run as processes: servers, and services beside them.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde_json::Value;
use tokio::net::TcpSocket;

pub(crate) async fn empty_database() -> TestDatabase {
    database("empty", |_| async {}).await
}

pub(crate) fn command(args: &[&str], url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
    command.args(args).current_dir(std::env::temp_dir()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HANSOM_DATABASE_URL", url);
    command
}

pub(crate) fn run(args: &[&str], url: &str) -> Output {
    command(args, url).output().expect("the binary runs")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes text")
}

pub(crate) async fn migrated() -> TestDatabase {
    let database = empty_database().await;
    let migrated = run(&["migrate", "--partitions", "8"], database.url());
    assert_eq!(migrated.status.code(), Some(0), "{}", text(&migrated.stderr));
    database
}

/// Asks servers on this machine, on a connection of its own each time: what has been killed has
/// none. It costs milliseconds to make one.
pub(crate) fn http() -> reqwest::Client {
    // It fails where the test has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    http.build().expect("it has what it needs")
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

/// A server or a service, killed when the test ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    http: reqwest::Client,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    /// The port of a service, so that nobody else draws it while the service is dead.
    held: Option<TcpSocket>,
}

/// A port that is not listened to, and that no other program is given. Elsewhere than on Linux
/// nobody could listen there then: it may be any.
fn hold_port() -> (Option<TcpSocket>, String) {
    if !cfg!(target_os = "linux") {
        return (None, "0".to_owned());
    }
    let socket = TcpSocket::new_v4().expect("a socket is free");
    // Whoever names it may listen there nevertheless.
    socket.set_reuseaddr(true).expect("it can be shared");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let port = socket.local_addr().expect("it has an address").port();
    (Some(socket), port.to_string())
}

impl Server {
    /// `hansom serve` on a free port, which its log names.
    pub(crate) fn start(database: &str) -> Self {
        Self::start_with(database, &["--listen", "127.0.0.1:0"])
    }

    /// With these flags.
    pub(crate) fn start_with(database: &str, flags: &[&str]) -> Self {
        let args = [&["serve", "--log-format", "json"], flags].concat();
        Self::of(command(&args, database), ready)
    }

    /// `hansom service` on a free port, which it has for as long as the test has the service.
    pub(crate) fn service(name: &str, database: &str) -> Self {
        let (held, port) = hold_port();
        let mut service = Self::service_at(name, &port, database);
        service.held = held;
        service
    }

    fn service_at(name: &str, port: &str, database: &str) -> Self {
        let args = ["service", name, "--port", port, "--log-format", "json"];
        Self::of(command(&args, database), ready)
    }

    /// Kills a service, as a machine that loses power does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs until it is killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Starts it again where it was.
    pub(crate) fn revive(&mut self, name: &str, database: &str) {
        let port = self.url.rsplit(':').next().expect("a port").to_owned();
        let held = self.held.take();
        *self = Self::service_at(name, &port, database);
        self.held = held;
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let began = Instant::now();
        let method = method.parse().expect("a method");
        let asked = self.http.request(method, format!("{}{path}", self.url));
        let asked = body.iter().fold(asked, reqwest::RequestBuilder::json);
        let answer = asked.timeout(PATIENCE).send().await.expect("it answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.expect("it answers whole");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body, took: began.elapsed() }
    }

    /// What it has logged so far, but for the line that said where it listens.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it has logged this.
    pub(crate) async fn until_logged(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// Looks again and again until it is as expected.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if answer.status == 200 && is(&answer.body) {
                return answer.body;
            }
            assert!(Instant::now() < end, "{path} is still {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whatever tells its URL in a line on stderr.
    pub(crate) fn of(mut command: Command, url_in: impl Fn(&str) -> Option<String>) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            let read = log.read_line(&mut line).expect("it says something");
            assert!(read > 0, "it ended before it was ready: {said}");
            if let Some(url) = url_in(&line) {
                break url;
            }
            said.push_str(&line);
        };
        let kept = Arc::new(Mutex::new(said));
        let to = Arc::clone(&kept);
        let reader = std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let mut kept = to.lock().expect("nobody panics with it");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, url, http: http(), log: kept, reader, held: None }
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
        command.args(args).current_dir(std::env::temp_dir()).env_clear();
        command.env("HANSOM_URL", &self.url).output().expect("the binary runs")
    }

    /// The exit code and stdout of a command.
    pub(crate) fn says(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.ask(args);
        (output.status.code(), text(&output.stdout))
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end; all that it said until then is in its log.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let status = self.child.try_wait().expect("it can be asked");
            // Who reads the log may be behind.
            if let Some(status) = status.filter(|_| self.reader.is_finished()) {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

/// Where a line of the log says that it listens.
pub(crate) fn ready(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).expect("every line is JSON");
    let address = event["address"].as_str().filter(|_| event["message"] == "server.ready");
    address.map(|address| format!("http://{address}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, which is what most tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
