//! Where settings stand: flags, environment, `hansom.toml`.

use std::path::{Path, PathBuf};

use hansom_activities::service::{self as services, Kind};
use toml::de::{DeTable, DeValue};

use super::database::FALLBACK;
use crate::nearest::nearest;

/// The file that is read when it is there.
const FILE: &str = "hansom.toml";

/// Variables of the prefix that other rooms of the house read.
const OTHER_VARIABLES: [&str; 4] =
    ["HANSOM_PG_BIN", "HANSOM_ADMIN_KEY", "HANSOM_CONFIG", "HANSOM_TEST_DIR"];

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described at its field of `Config`")]
pub enum Key {
    DatabaseUrl,
    DatabaseUrlFile,
    Data,
    Partitions,
    Listen,
    Gateway,
    Lease,
    WorkerThreads,
    Remote,
    MaxBacklog,
    AnycallNoticeEvery,
    AnycallGiveUpAfter,
    AnycallNoShowAfter,
    AnycallReviewFor,
    Log,
    LogFormat,
    Url,
    Landscape,
    /// Where a bundled service runs.
    Service(&'static Kind),
    /// When the breaker of a bundled service opens.
    Breaker(&'static Kind),
}

impl Key {
    /// Those that are not of a service.
    const OWN: [Self; 18] = [
        Self::DatabaseUrl,
        Self::DatabaseUrlFile,
        Self::Data,
        Self::Partitions,
        Self::Listen,
        Self::Gateway,
        Self::Lease,
        Self::WorkerThreads,
        Self::Remote,
        Self::MaxBacklog,
        Self::AnycallNoticeEvery,
        Self::AnycallGiveUpAfter,
        Self::AnycallNoShowAfter,
        Self::AnycallReviewFor,
        Self::Log,
        Self::LogFormat,
        Self::Url,
        Self::Landscape,
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_services = services::ALL.iter().flat_map(|kind| Self::of_service(kind));
        Self::OWN.into_iter().chain(of_services)
    }

    /// Those of a service.
    pub(super) fn of_service(kind: &'static Kind) -> [Self; 2] {
        [Self::Service(kind), Self::Breaker(kind)]
    }

    /// As it is written in `hansom.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DatabaseUrl => "database_url",
            Self::DatabaseUrlFile => "database_url_file",
            Self::Data => "data",
            Self::Partitions => "partitions",
            Self::Listen => "listen",
            Self::Gateway => "gateway",
            Self::Lease => "lease",
            Self::WorkerThreads => "worker_threads",
            Self::Remote => "remote",
            Self::MaxBacklog => "max_backlog",
            Self::AnycallNoticeEvery => "anycall_notice_every",
            Self::AnycallGiveUpAfter => "anycall_give_up_after",
            Self::AnycallNoShowAfter => "anycall_no_show_after",
            Self::AnycallReviewFor => "anycall_review_for",
            Self::Log => "log",
            Self::LogFormat => "log_format",
            Self::Url => "url",
            Self::Landscape => "landscape",
            Self::Service(kind) => kind.setting,
            Self::Breaker(kind) => kind.breaker,
        }
    }

    pub(super) fn variable(self) -> String {
        format!("HANSOM_{}", self.name().to_uppercase())
    }

    fn flag(self) -> String {
        format!("--{}", self.name().replace('_', "-"))
    }
}

/// A setting as it was written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) origin: String,
}

/// Everything that settings are read from.
#[derive(Debug, Default)]
pub struct Sources {
    /// From the command line.
    pub flags: Vec<(Key, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The file's path and text.
    pub file: Option<(PathBuf, String)>,
}

impl Sources {
    /// These flags, this process's environment, and the file: the one named, else
    /// `hansom.toml` in the working directory if it is there.
    pub fn of_process(flags: Vec<(Key, String)>, file: Option<&Path>) -> Result<Self, String> {
        let environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = file.map(Path::to_owned).or_else(|| {
            let (_, path) = environment.iter().find(|(name, _)| name == "HANSOM_CONFIG")?;
            Some(PathBuf::from(path))
        });
        let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE));
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        Ok(Self { flags, environment, file })
    }

    /// What is set, each from its strongest source, and what is wrong with the sources.
    pub(crate) fn gather(&self) -> (Vec<(Key, Given)>, Vec<String>) {
        let mut wrong = Vec::new();
        let mut given: Vec<(Key, Given)> = Vec::new();
        for (key, text) in &self.flags {
            given.push((*key, Given { text: text.clone(), origin: key.flag() }));
        }
        self.gather_environment(&mut given, &mut wrong);
        if let Some((path, text)) = &self.file {
            gather_file(path, text, &mut given, &mut wrong);
        }
        let theirs =
            self.environment.iter().find(|(name, url)| name == FALLBACK && !url.is_empty());
        if let Some((origin, text)) = theirs {
            let url = Given { text: text.clone(), origin: origin.clone() };
            given.push((Key::DatabaseUrl, url));
        }
        (given, wrong)
    }

    fn gather_environment(&self, given: &mut Vec<(Key, Given)>, wrong: &mut Vec<String>) {
        let ours = self.environment.iter().filter(|(name, _)| name.starts_with("HANSOM_"));
        for (name, text) in ours {
            match Key::all().find(|key| key.variable() == *name) {
                // An empty variable is how a shell or a compose file says "not set".
                Some(_) if text.is_empty() => {}
                Some(key) => {
                    given.push((key, Given { text: text.clone(), origin: name.clone() }));
                }
                None if OTHER_VARIABLES.contains(&name.as_str()) => {}
                None => wrong.push(format!("{name} is not a setting{}", near_variable(name))),
            }
        }
    }
}

fn near_variable(name: &str) -> String {
    let known: Vec<_> = Key::all().map(Key::variable).collect();
    let known = known.iter().map(String::as_str).chain(OTHER_VARIABLES);
    nearest(name, known).map_or(String::new(), |near| format!(", did you mean {near}?"))
}

fn gather_file(path: &Path, text: &str, given: &mut Vec<(Key, Given)>, wrong: &mut Vec<String>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = |at: usize| format!("{}:{}", path.display(), line(text, at));
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            wrong.push(format!("{}: {}", place(at), error.message()));
            return;
        }
    };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let origin = place(name.span().start);
        let name = name.get_ref();
        let Some(key) = Key::all().find(|key| key.name() == name) else {
            let near = nearest(name, Key::all().map(Key::name));
            let near = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            wrong.push(format!("{origin}: `{}` is not a setting{near}", name.escape_debug()));
            continue;
        };
        let origin = format!("{origin}: {name}");
        match value.get_ref() {
            DeValue::String(text) => given.push((key, Given { text: text.to_string(), origin })),
            DeValue::Integer(number) => {
                given.push((key, Given { text: number.as_str().to_owned(), origin }));
            }
            other => {
                wrong.push(format!("{origin}: it is text or a number, not {}", other.type_str()));
            }
        }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}
