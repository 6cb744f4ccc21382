//! Settings: flag over environment (`HANSOM_*`) over `hansom.toml` over default.
//!
//! All that is wrong is said at once, with where it stands: a setting that is misspelt and
//! ignored costs more than one that is refused.

mod args;
mod breaker;
mod database;
mod sources;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hansom_activities::breaker::BreakerSettings;
use hansom_activities::service as services;
use hansom_workflows::anycall_ride::Terms;

pub use self::args::{ConfigArgs, DatabaseArgs, LogArgs, ServerArgs};
pub use self::database::mask;
use self::sources::Given;
pub use self::sources::{Key, Sources};
use crate::duration;
use crate::nearest::nearest;
use crate::systems::Urls;

/// The most partitions that a database may be created with.
const MAX_PARTITIONS: u32 = 4096;

/// The most threads that workflows run on.
const MAX_THREADS: u32 = 256;

/// The longest name of a landscape, in bytes.
const MAX_LANDSCAPE: usize = 63;

const MIN_LEASE: Duration = Duration::from_secs(1);
const MAX_LEASE: Duration = Duration::from_mins(5);

const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_hours(365 * 24);

/// What is set.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data is.
    pub database: Database,
    /// What is served, and how.
    pub server: Server,
    /// What is logged.
    pub log: Logging,
    /// The server that CLI commands talk to.
    pub url: String,
    /// `HANSOM_LANDSCAPE`: what the place where this runs is called, as `dev` or `prod`.
    pub landscape: Option<String>,
}

/// Where the data is.
#[derive(PartialEq, Eq)]
pub struct Database {
    /// `HANSOM_DATABASE_URL`, or what the file `HANSOM_DATABASE_URL_FILE` says, else
    /// `DATABASE_URL`; without it `dev` keeps a cluster of its own.
    pub url: Option<String>,
    /// `HANSOM_PARTITIONS`: fixed when a database is created; 256 when it is not set.
    pub partitions: Option<i32>,
    /// `HANSOM_DATA`, default `./.hansom`.
    pub data: PathBuf,
}

/// What is served, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// `HANSOM_LISTEN`, default 127.0.0.1:8088.
    pub listen: SocketAddr,
    /// `HANSOM_GATEWAY`: the façade that is served at the bare paths too.
    pub gateway: Gateway,
    /// `HANSOM_LEASE`, default 5s: a worker that is silent for so long is taken over.
    pub lease: Duration,
    /// `HANSOM_WORKER_THREADS`: threads that run workflows; by default the engine's choice.
    pub worker_threads: Option<usize>,
    /// `HANSOM_REMOTE`: activities that are performed by remote workers; by default none.
    pub remote: Vec<String>,
    /// `HANSOM_MAX_BACKLOG`, default 20000: with so much to do nothing more is started; 0 is no
    /// bound.
    pub max_backlog: usize,
    /// `HANSOM_ANYCALL_…`: how long rides wait for what, from now on.
    pub rides: Terms,
    /// `HANSOM_<NAME>_URL`: bundled services that run elsewhere; by default all run here.
    pub services: Urls,
    /// `HANSOM_<NAME>_BREAKER`: breakers that open at another time than by default, by service.
    pub breakers: BTreeMap<&'static str, BreakerSettings>,
}

/// A façade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Taxi calls, as `taxisvc`.
    Taxisvc,
    /// Rides that a driver accepts, as `anycall`.
    Anycall,
    /// Movers, as `move`.
    Move,
    /// Bikes, as `bike`.
    Bike,
    /// None at the bare paths.
    None,
}

/// What is logged.
#[derive(Debug, PartialEq, Eq)]
pub struct Logging {
    /// `HANSOM_LOG`, a filter of tracing's; default [`DEFAULT_FILTER`].
    pub filter: String,
    /// `HANSOM_LOG_FORMAT`.
    pub format: LogFormat,
}

/// What is logged unless somebody says otherwise.
pub const DEFAULT_FILTER: &str = "info,sqlx=warn";

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// All that is wrong with the settings, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Without its password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url", &self.url.as_deref().map(mask))
            .field("partitions", &self.partitions)
            .field("data", &self.data)
            .finish()
    }
}

impl Config {
    /// Reads what is set, or says all that is wrong with it.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigError> {
        let (given, mut wrong) = sources.gather();
        let mut read = Reader { given: &given, wrong: &mut wrong };
        let config = Self {
            database: Database {
                url: read.database(),
                partitions: read
                    .get(Key::Partitions, |text| whole(text, MAX_PARTITIONS).map(u32::cast_signed)),
                data: read.get(Key::Data, path).unwrap_or_else(|| PathBuf::from("./.hansom")),
            },
            server: Server {
                listen: read.get(Key::Listen, address).unwrap_or_else(default_listen),
                gateway: read.get(Key::Gateway, gateway).unwrap_or(Gateway::Taxisvc),
                lease: read.get(Key::Lease, lease).unwrap_or(Duration::from_secs(5)),
                worker_threads: read
                    .get(Key::WorkerThreads, |text| whole(text, MAX_THREADS))
                    .map(|threads| threads as usize),
                remote: read.get(Key::Remote, names).unwrap_or_default(),
                max_backlog: read.get(Key::MaxBacklog, backlog).unwrap_or(20_000),
                rides: rides(&mut read),
                services: services::ALL
                    .iter()
                    .filter_map(|kind| Some((kind.name, read.get(Key::Service(kind), plain)?)))
                    .collect(),
                breakers: services::ALL
                    .iter()
                    .filter_map(|kind| {
                        let set = read.get(Key::Breaker(kind), breaker::breaker)?;
                        Some((kind.name, set))
                    })
                    .collect(),
            },
            log: Logging {
                filter: read.get(Key::Log, filter).unwrap_or_else(|| DEFAULT_FILTER.to_owned()),
                format: read.get(Key::LogFormat, format).unwrap_or(LogFormat::Text),
            },
            url: read.get(Key::Url, url).unwrap_or_else(|| "http://127.0.0.1:8088".to_owned()),
            landscape: read.get(Key::Landscape, landscape),
        };
        if wrong.is_empty() { Ok(config) } else { Err(ConfigError(wrong)) }
    }
}

struct Reader<'a> {
    given: &'a [(Key, Given)],
    wrong: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn get<T>(&mut self, key: Key, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (_, given) = self.given.iter().find(|(name, _)| *name == key)?;
        match parse(&given.text) {
            Ok(value) => Some(value),
            Err(why) => {
                let shown = match key {
                    Key::DatabaseUrl => mask(&given.text),
                    Key::DatabaseUrlFile => scheme(&given.text).unwrap_or(&given.text).to_owned(),
                    Key::Service(_) | Key::Url => bare(&given.text).to_owned(),
                    _ => given.text.clone(),
                };
                self.wrong.push(format!("{}: `{}`: {why}", given.origin, shown.escape_debug()));
                None
            }
        }
    }
}

fn rides(read: &mut Reader<'_>) -> Terms {
    let terms = Terms::default();
    Terms {
        notice_every_ms: read.get(Key::AnycallNoticeEvery, wait).unwrap_or(terms.notice_every_ms),
        give_up_after_ms: read.get(Key::AnycallGiveUpAfter, wait).unwrap_or(terms.give_up_after_ms),
        no_show_after_ms: read.get(Key::AnycallNoShowAfter, wait).unwrap_or(terms.no_show_after_ms),
        review_for_ms: read.get(Key::AnycallReviewFor, wait).unwrap_or(terms.review_for_ms),
    }
}

/// In milliseconds.
fn wait(text: &str) -> Result<u64, String> {
    let wait = between(text, MIN_WAIT, MAX_WAIT)?;
    Ok(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8088)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replace("localhost", "127.0.0.1");
    text.parse().map_err(|_| "an address is written with its port, as 127.0.0.1:8088".to_owned())
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(text.into()) }
}

fn gateway(text: &str) -> Result<Gateway, String> {
    let words = [
        ("taxisvc", Gateway::Taxisvc),
        ("anycall", Gateway::Anycall),
        ("move", Gateway::Move),
        ("bike", Gateway::Bike),
        ("none", Gateway::None),
    ];
    one_of(text, &words)
}

fn landscape(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=MAX_LANDSCAPE).contains(&text.len()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!("a landscape has 1 to {MAX_LANDSCAPE} of A-Z, a-z, 0-9, `.`, `_` and `-`"))
    }
}

fn format(text: &str) -> Result<LogFormat, String> {
    one_of(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let near = nearest(text, names.iter().copied());
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        format!("{near}it is one of {}", names.join(", "))
    })
}

fn whole(text: &str, max: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("it is a whole number from 1 to {max}"))
}

fn backlog(text: &str) -> Result<usize, String> {
    let number: Option<u32> = text.parse().ok();
    let number = number.ok_or_else(|| "it is a whole number; 0 is no bound".to_owned())?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn names(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let plain = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
    if names.iter().all(plain) {
        return Ok(names);
    }
    Err("names are written with commas between them, as mark_call,complete_drive".to_owned())
}

fn lease(text: &str) -> Result<Duration, String> {
    between(text, MIN_LEASE, MAX_LEASE)
}

fn between(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let given = duration::parse(text).map_err(|error| error.to_string())?;
    if (min..=max).contains(&given) {
        return Ok(given);
    }
    Err(format!("it is {} to {}", duration::show(min), duration::show(max)))
}

fn filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; a filter is written as info,hansom=debug"))
}

fn url(text: &str) -> Result<String, String> {
    let parsed = reqwest::Url::parse(text).ok();
    let is_http = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if parsed.as_ref().is_some_and(is_http) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err("a server is written as http://127.0.0.1:8088".to_owned())
}

/// A URL that may be read by whoever reads histories and logs: they say which service failed.
fn plain(text: &str) -> Result<String, String> {
    let url = url(text)?;
    let parsed = reqwest::Url::parse(&url).map_err(|error| error.to_string())?;
    let signs_in = !parsed.username().is_empty() || parsed.password().is_some();
    if signs_in || parsed.query().is_some() || parsed.fragment().is_some() {
        let why = "it is repeated in histories and logs, so it has neither user nor password, \
                   neither query nor fragment";
        return Err(why.to_owned());
    }
    Ok(url)
}

/// A URL, or of one that may have a secret in it no more than its scheme.
fn bare(url: &str) -> &str {
    if url.contains(['@', '?', '#']) { scheme(url).unwrap_or_default() } else { url }
}

/// What a URL begins with; empty when that is no scheme, and none when it is no URL at all.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let is_plain = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    Some(if is_plain { scheme } else { "" })
}

#[cfg(test)]
mod tests;
