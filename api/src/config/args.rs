//! Settings as flags. All are plain text: they are read where the other sources are.
#![expect(clippy::doc_markdown, reason = "these comments are the help, which is plain text")]

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use hansom_activities::service::{self as services, Kind};

use super::{Config, ConfigError, Key, Sources};

/// Flags of the settings.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    rides: RideArgs,
    #[command(flatten)]
    services: ServiceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Where the data is.
#[derive(Args, Clone, Debug, Default)]
pub struct DatabaseArgs {
    /// Postgres to use [env: HANSOM_DATABASE_URL, else DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// File that has the URL of the Postgres, a secret, alone in it [env: HANSOM_DATABASE_URL_FILE]
    #[arg(long, value_name = "FILE")]
    database_url_file: Option<String>,
    /// Where the embedded Postgres keeps its data [env: HANSOM_DATA] [default: ./.hansom]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Partitions of a database that is created now [env: HANSOM_PARTITIONS] [default: 256]
    #[arg(long, value_name = "N")]
    partitions: Option<String>,
    /// File with settings [env: HANSOM_CONFIG] [default: ./hansom.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What is served, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerArgs {
    /// Address to serve at [env: HANSOM_LISTEN] [default: 127.0.0.1:8088]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// System that is served at the bare paths too: taxisvc, anycall, move, bike, none [env: HANSOM_GATEWAY] [default: taxisvc]
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Silence after which a worker is taken over [env: HANSOM_LEASE] [default: 5s]
    #[arg(long, value_name = "DURATION")]
    lease: Option<String>,
    /// Threads that run workflows [env: HANSOM_WORKER_THREADS]
    #[arg(long, value_name = "N")]
    worker_threads: Option<String>,
    /// Activities that remote workers perform, with commas between them [env: HANSOM_REMOTE]
    #[arg(long, value_name = "NAMES")]
    remote: Option<String>,
    /// Starts and attempts that wait here before starts are refused; 0: never [env: HANSOM_MAX_BACKLOG] [default: 20000]
    #[arg(long, value_name = "N")]
    max_backlog: Option<String>,
    /// What the place where this runs is called, as dev or prod [env: HANSOM_LANDSCAPE]
    #[arg(long, value_name = "NAME")]
    landscape: Option<String>,
}

/// How long rides wait for what.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rides of anycall")]
pub(super) struct RideArgs {
    /// From one notice that a taxi is still looked for to the next [env: HANSOM_ANYCALL_NOTICE_EVERY] [default: 30s]
    #[arg(long = "anycall-notice-every", value_name = "DURATION")]
    notice_every: Option<String>,
    /// A call that no taxi took for so long is cancelled [env: HANSOM_ANYCALL_GIVE_UP_AFTER] [default: 2h]
    #[arg(long = "anycall-give-up-after", value_name = "DURATION")]
    give_up_after: Option<String>,
    /// So is one whose taxi has not started for so long [env: HANSOM_ANYCALL_NO_SHOW_AFTER] [default: 1h]
    #[arg(long = "anycall-no-show-after", value_name = "DURATION")]
    no_show_after: Option<String>,
    /// So long a ride may be reviewed [env: HANSOM_ANYCALL_REVIEW_FOR] [default: 7d]
    #[arg(long = "anycall-review-for", value_name = "DURATION")]
    review_for: Option<String>,
}

/// What is logged.
#[derive(Args, Clone, Debug, Default)]
pub struct LogArgs {
    /// What to log, as info,hansom=debug [env: HANSOM_LOG]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How to log: text, json [env: HANSOM_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Where bundled services run, and when their breakers open: two flags for each of them.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceArgs(Vec<(Key, String)>);

impl Args for ServiceArgs {
    fn augment_args(command: Command) -> Command {
        let args = services::ALL.iter().flat_map(|kind| [url_of(kind), breaker_of(kind)]);
        args.fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServiceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let keys = services::ALL.iter().flat_map(|kind| Key::of_service(kind));
        let given = keys.filter_map(|key| Some((key, matches.get_one(key.name()).cloned()?)));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn url_of(kind: &'static Kind) -> Arg {
    let (name, variable) = (kind.name, Key::Service(kind).variable());
    Arg::new(kind.setting)
        .long(kind.flag)
        .value_name("URL")
        .help(format!("Where `hansom service {name}` runs, if not here [env: {variable}]"))
        .help_heading("Bundled services")
}

fn breaker_of(kind: &'static Kind) -> Arg {
    let (name, variable) = (kind.name, Key::Breaker(kind).variable());
    Arg::new(kind.breaker)
        .long(kind.breaker_flag)
        .value_name("WHEN")
        .help(format!(
            "When the breaker of {name} opens, as slow:610ms,window:10s,calls:20,failed:30,open:5s \
             [env: {variable}]"
        ))
        .help_heading("Breakers of bundled services")
        .hide_short_help(true)
}

impl DatabaseArgs {
    /// Reads the settings with these flags.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        self.resolve_with(&LogArgs::default())
    }

    /// … and with those of the log.
    pub fn resolve_with(&self, log: &LogArgs) -> Result<Config, ConfigError> {
        let (database, log) = (self.clone(), log.clone());
        ConfigArgs { database, log, ..ConfigArgs::default() }.resolve()
    }
}

impl ConfigArgs {
    /// Reads the settings with these flags.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let sources = Sources::of_process(self.flags(), self.database.config.as_deref());
        Config::resolve(&sources.map_err(|error| ConfigError(vec![error]))?)
    }

    /// Those that are given.
    pub(super) fn flags(&self) -> Vec<(Key, String)> {
        let Self { database, server, rides, services, log } = self;
        let flags = [
            (Key::DatabaseUrl, &database.database_url),
            (Key::DatabaseUrlFile, &database.database_url_file),
            (Key::Data, &database.data),
            (Key::Partitions, &database.partitions),
            (Key::Listen, &server.listen),
            (Key::Gateway, &server.gateway),
            (Key::Lease, &server.lease),
            (Key::WorkerThreads, &server.worker_threads),
            (Key::Remote, &server.remote),
            (Key::MaxBacklog, &server.max_backlog),
            (Key::Landscape, &server.landscape),
            (Key::AnycallNoticeEvery, &rides.notice_every),
            (Key::AnycallGiveUpAfter, &rides.give_up_after),
            (Key::AnycallNoShowAfter, &rides.no_show_after),
            (Key::AnycallReviewFor, &rides.review_for),
            (Key::Log, &log.log),
            (Key::LogFormat, &log.log_format),
        ];
        let flags = flags.into_iter().filter_map(|(key, text)| Some((key, text.clone()?)));
        flags.chain(services.0.iter().cloned()).collect()
    }
}
