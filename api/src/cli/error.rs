//! How a command ends, and how it says why.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::ConfigError;

/// How a command ends. The numbers are for scripts and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// The command or a setting is wrong.
    Usage = 2,
    /// Not authenticated, or not permitted.
    Denied = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It is in a state that does not allow it.
    Conflict = 5,
    /// It was done, and some of it came out badly.
    Failures = 6,
    /// The server or database cannot be reached, or did not answer in time.
    Unreachable = 7,
    /// The wait is over, the workflow is not.
    WaitOver = 8,
    /// The workflow failed, and is undone.
    Failed = 20,
    /// The workflow is stuck.
    Stuck = 21,
    /// The workflow was cancelled, and is undone.
    Cancelled = 22,
    /// The workflow was terminated: what it owed stays owed.
    Terminated = 23,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command was not carried out: what, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct CliError {
    exit: Exit,
    what: Box<str>,
    cause: Option<Box<str>>,
    hint: Option<Box<str>>,
    request_id: Option<Box<str>>,
    /// The server's own words, printed instead of ours where JSON is asked for.
    problem: Option<Box<[u8]>>,
}

impl CliError {
    /// What went wrong, in one line.
    pub fn new(exit: Exit, what: impl Into<Box<str>>) -> Self {
        let what = what.into();
        Self { exit, what, cause: None, hint: None, request_id: None, problem: None }
    }

    /// Whoever read the answer has gone, and has seen enough: nothing is wrong, and nothing is said.
    pub(crate) fn unheard() -> Self {
        Self::new(Exit::Ok, "")
    }

    /// Why, as far as it is known.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The server's name for the request.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// The problem+json to print instead.
    #[must_use]
    pub fn problem(mut self, problem: Vec<u8>) -> Self {
        self.problem = Some(problem.into());
        self
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Says it on stderr.
    pub fn report(&self) -> ExitCode {
        if self.exit == Exit::Ok {
            return self.exit.into();
        }
        let mut stderr = std::io::stderr().lock();
        // Where nobody listens any more, there is nobody to tell.
        let _ = match &self.problem {
            Some(problem) => stderr.write_all(problem).and_then(|()| writeln!(stderr)),
            None => self.lines().iter().try_for_each(|(label, text)| {
                writeln!(stderr, "{label}: {}", text.replace('\n', "\n  "))
            }),
        };
        self.exit.into()
    }

    fn lines(&self) -> Vec<(&'static str, &str)> {
        let lines = [
            ("error", Some(&self.what)),
            ("cause", self.cause.as_ref()),
            ("hint", self.hint.as_ref()),
            ("request-id", self.request_id.as_ref()),
        ];
        lines.into_iter().filter_map(|(label, text)| Some((label, &**text?))).collect()
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let what = match error.0.len() {
            1 => "a setting is wrong".to_owned(),
            more => format!("{more} settings are wrong"),
        };
        Self::new(Exit::Usage, what).cause(error.to_string())
    }
}
