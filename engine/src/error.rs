//! What can go wrong, for a caller to tell apart.

use hansom_core::Status;

/// Why a client's request was not carried out. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no workflow of that id.
    #[error("there is no workflow `{0}`")]
    NotFound(String),
    /// The id is not 1 to 255 of `[A-Za-z0-9._:-]`.
    #[error("`{0}` is not an id: 1 to 255 of A-Z a-z 0-9 . _ : -")]
    InvalidId(String),
    /// This binary has no workflow of that type.
    #[error("there is no workflow type `{name}`; there are: {}", known.join(", "))]
    UnknownType {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// This binary has no view of that name.
    #[error("there is no view `{name}`; there are: {}", known.join(", "))]
    UnknownView {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The workflow does not listen to that signal.
    #[error("`{workflow_type}` has no signal `{name}`; it has: {}", known.join(", "))]
    UnknownSignal {
        /// The type of the workflow.
        workflow_type: String,
        /// What was sent.
        name: String,
        /// What it listens to.
        known: Vec<&'static str>,
    },
    /// The workflow does not answer that update.
    #[error("`{workflow_type}` has no update `{name}`; it has: {}", known.join(", "))]
    UnknownUpdate {
        /// The type of the workflow.
        workflow_type: String,
        /// What was sent.
        name: String,
        /// What it answers.
        known: Vec<&'static str>,
    },
    /// It is not stuck: there is nothing to try again.
    #[error("`{0}` is not stuck")]
    NotStuck(String),
    /// The input of a start, or the payload of a signal, does not have the shape
    /// that the type asks for.
    #[error("the payload does not fit: {0}")]
    InvalidInput(String),
    /// A payload is larger than the engine carries.
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Which payload.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A run of that id has another input.
    #[error("`{workflow_id}` was started with another input (SHA-256 {stored}, yours {given})")]
    InputConflict {
        /// The id.
        workflow_id: String,
        /// SHA-256 of the input it has, as hex.
        stored: String,
        /// SHA-256 of the input given, as hex.
        given: String,
    },
    /// It is closed.
    #[error("`{workflow_id}` is closed ({status:?})")]
    Closed {
        /// The id.
        workflow_id: String,
        /// How it closed.
        status: Status,
    },
    /// Too many messages wait for it.
    #[error("{limit} messages wait for `{workflow_id}` already")]
    QueueFull {
        /// The id.
        workflow_id: String,
        /// How many may wait.
        limit: i64,
    },
    /// It passed its point of no return: it will be carried to its end.
    #[error("`{0}` passed its point of no return; it will be carried to its end")]
    AfterPivot(String),
    /// There is no schedule of that id.
    #[error("there is no schedule `{0}`")]
    NoSchedule(String),
    /// A schedule of that id is defined otherwise.
    #[error("there is a schedule `{0}` with another definition")]
    ScheduleExists(String),
    /// A schedule that cannot be read, or with something out of range.
    #[error(transparent)]
    Schedule(#[from] crate::schedule::ScheduleError),
    /// There are more nominal times than may be asked for at once.
    #[error("`{schedule_id}` has more than {limit} nominal times in that range")]
    TooManyFires {
        /// The schedule.
        schedule_id: String,
        /// How many may be asked for.
        limit: usize,
    },
    /// Too many fires wait already.
    #[error("more than {limit} fires of `{schedule_id}` would wait")]
    BufferFull {
        /// The schedule.
        schedule_id: String,
        /// How many may.
        limit: usize,
    },
    /// The worker is being stopped; another one, or this one later, will answer.
    #[error("this worker is draining")]
    Draining,
    /// The database did not answer, or not in time. A start may have been kept:
    /// repeat it with the same id.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The wait is over before the workflow is.
    #[error("`{0}` is still open")]
    StillOpen(String),
}

/// Why a worker or a client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Workflows ask for activities that nobody performs.
    #[error("no handler for: {}", .0.join(", "))]
    MissingHandlers(Vec<String>),
    /// Two of one name: which of them was meant is nobody's guess.
    #[error("more than one: {}", .0.join(", "))]
    Duplicates(Vec<String>),
    /// This binary has no view of that name.
    #[error("there is no view `{name}`; there are: {}", known.join(", "))]
    UnknownView {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The schema is older than this binary.
    #[error("the database has no schema of this version; run `hansom migrate`")]
    NotMigrated,
    /// The number of partitions is fixed when a database is created.
    #[error("the database has {stored} partitions, not {asked}; the number is fixed at creation")]
    Partitions {
        /// What the database was created with.
        stored: i32,
        /// What was asked for.
        asked: i32,
    },
    /// The database did not answer.
    #[error("the database is unavailable: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}
