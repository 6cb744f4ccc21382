use std::io;
use std::path::{Path, PathBuf};

/// Why the private cluster could not be made, started, stopped or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Postgres's own programs are nowhere to be found.
    #[error(
        "no Postgres {wanted} found: install it ({install}), or set HANSOM_PG_BIN to a folder with \
         initdb, pg_ctl and postgres, or HANSOM_DATABASE_URL to a running database{detail}"
    )]
    NoPrograms {
        /// The version that would do, such as "14 or newer".
        wanted: String,
        /// The command that installs it on this platform.
        install: &'static str,
        /// What else was tried and how it failed; empty, or starting with "; ".
        detail: String,
    },
    /// `HANSOM_PG_BIN` is set to a folder that does not serve.
    #[error("HANSOM_PG_BIN={path} cannot be used: {reason}", path = path.display())]
    ProgramsUnusable {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The programs of the pinned package could not be fetched or checked.
    #[error("the Postgres package could not be fetched: {0}")]
    Download(String),
    /// Root may not run Postgres, and there is no other account to run it as.
    #[error("Postgres refuses to run as root, and /etc/passwd has neither `postgres` nor `nobody`")]
    NoAccount,
    /// A directory that must be private belongs to somebody else.
    #[error("{path} belongs to another account: remove it, or choose another data directory", path = path.display())]
    WrongOwner {
        /// The directory.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// The verb of what was tried.
        doing: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended before it accepted connections.
    #[error("Postgres did not start; {log} ends with: {tail}", log = log.display())]
    NotStarted {
        /// The server's log.
        log: PathBuf,
        /// The last lines it wrote.
        tail: String,
    },
    /// The server runs and accepts no connections.
    #[error("Postgres runs but accepted no connection for {seconds} s: {source}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// The last refusal.
        source: sqlx::Error,
    },
    /// The server did not stop when told to.
    #[error("Postgres did not stop: see {log}", log = log.display())]
    NotStopped {
        /// The server's log.
        log: PathBuf,
    },
    /// The server that runs here was started with the other [`Durability`](crate::Durability).
    #[error("the server of {path} runs with fsync {fsync}; stop it first", path = path.display())]
    OtherDurability {
        /// The cluster's directory.
        path: PathBuf,
        /// The setting it runs with, `on` or `off`.
        fsync: String,
    },
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ClusterError {
    /// For `map_err`: what was done to which path.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
