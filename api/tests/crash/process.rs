//! The binary as a process: started, listened to, stopped, killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hansom_postgres::testing::PATIENCE;
use serde_json::Value;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(10);

/// Looks again and again until there is something to see.
pub(crate) async fn until<T, Fut>(what: &str, mut look: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A line of a log; text where it is no JSON, as a greeting.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) seen: Instant,
    pub(crate) event: Value,
}

impl Line {
    pub(crate) fn is(&self, message: &str) -> bool {
        self.event["message"] == message
    }

    /// A field, as text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.event[name].as_str().unwrap_or_default()
    }
}

/// What a process has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Line>>>);

impl Log {
    fn push(&self, text: &str) {
        let event = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        self.0.lock().expect("nobody panics with it").push(Line { seen: Instant::now(), event });
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn all(&self, message: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.is(message)).collect()
    }

    pub(crate) async fn until(&self, message: &str) -> Line {
        until(&format!("the log says {message}"), async || self.all(message).into_iter().next())
            .await
    }

    /// Whatever was done to it: nothing panicked, and nothing is worth an error.
    pub(crate) fn assert_calm(&self) {
        for line in self.lines() {
            let text = line.event.to_string();
            let bad = line.event["level"] == "ERROR" || text.contains("panicked at");
            assert!(!bad, "{text}");
        }
    }
}

/// A running `hansom serve` or `hansom dev`; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) log: Log,
    reader: JoinHandle<()>,
    /// How long it took until it listened.
    pub(crate) start: Duration,
}

/// The binary, with nothing of the caller's environment but the search path.
pub(crate) fn hansom(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansom"));
    command.args(args).current_dir(std::env::temp_dir()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(std::env::var_os("HANSOM_PG_BIN").map(|bin| ("HANSOM_PG_BIN", bin)));
    command
}

/// Where a line says that a process listens.
fn address(line: &Line) -> Option<String> {
    if line.is("server.ready") {
        return Some(format!("http://{}", line.field("address")));
    }
    let greeting = line.event.as_str()?.strip_prefix("Hansom is up at ")?;
    Some(greeting.trim().to_owned())
}

impl Process {
    /// Starts it, and returns when it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        let began = Instant::now();
        command.env("HANSOM_LISTEN", "127.0.0.1:0").env("HANSOM_LOG_FORMAT", "json");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let log = Log::default();
        let to = log.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                to.push(&line);
            }
        });
        let mut process = Self { child, url: String::new(), log, reader, start: Duration::ZERO };
        let look = || {
            let ended = process.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "it ended before it listened: {:?}", process.log.lines());
            let url = process.log.lines().iter().find_map(address);
            async { url }
        };
        process.url = until("it listens", look).await;
        process.start = began.elapsed();
        process
    }

    /// The identity that it has as a worker; the latest.
    pub(crate) fn worker(&self) -> String {
        let joined = self.log.all("joined");
        joined.last().expect("it joined before it listened").field("worker").to_owned()
    }

    /// Sends a signal, such as `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "{name} could not be sent");
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        use std::os::unix::process::ExitStatusExt as _;

        self.child.kill().expect("it runs until it is killed");
        let status = self.child.wait().expect("it can be waited for");
        assert_eq!(status.signal(), Some(9), "it ended by itself: {:?}", self.log.lines());
        self.log.assert_calm();
    }

    /// Waits for its end; all that it said until then is in its log.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = until("it ends", || {
            let ended = self.child.try_wait().expect("it can be asked");
            // Who reads the log may be behind.
            let ended = ended.filter(|_| self.reader.is_finished());
            async move { ended }
        });
        let status = status.await;
        self.log.assert_calm();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, which is what most tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
