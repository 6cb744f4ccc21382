//! The URL of the database: where it is set, also as a secret in a file, as container platforms
//! hand one in; what it may say; and how it is shown.

use std::str::FromStr as _;

use super::{Key, Reader, bare, scheme};

/// What is looked at only where nothing of ours is set.
pub(super) const FALLBACK: &str = "DATABASE_URL";

/// Parameters that anybody may read.
const SHOWN: [&str; 14] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Those that nobody may.
const HIDDEN: [&str; 4] = ["options", "password", "ssl-key", "sslkey"];

impl Reader<'_> {
    /// The URL that is set, or that of the file which is set instead.
    pub(super) fn database(&mut self) -> Option<String> {
        let given = self.given;
        let origin = |key| given.iter().find(|(name, _)| *name == key).map(|(_, it)| &*it.origin);
        match (origin(Key::DatabaseUrl), origin(Key::DatabaseUrlFile)) {
            (Some(url), Some(file)) if url != FALLBACK => {
                self.wrong.push(format!("{file}: {url} is set too; only one of them may be"));
                None
            }
            (_, Some(_)) => self.get(Key::DatabaseUrlFile, from_file),
            (_, None) => self.get(Key::DatabaseUrl, database_url),
        }
    }
}

/// What the file says, but for white space around it. Who else may read it is not looked at:
/// platforms mount secrets for everybody in the container.
fn from_file(path: &str) -> Result<String, String> {
    if path.contains("://") {
        return Err("it is the path of a file; a URL is set as HANSOM_DATABASE_URL".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        url => database_url(url),
    }
}

fn database_url(text: &str) -> Result<String, String> {
    if !matches!(scheme(text), Some("postgres" | "postgresql")) {
        return Err("a database URL is written postgres://user:password@host:5432/name".to_owned());
    }
    if is_ambiguous(text) {
        let why = "in a user or password `/` is written %2F, `?` %3F, `#` %23 and `@` %40";
        return Err(why.to_owned());
    }
    let query = text.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        // What has no name may be the end of a password.
        let Some((key, _)) = pair.split_once('=') else {
            return Err("a parameter is written name=value".to_owned());
        };
        // Whoever reads the URL would log it with its value, and leave it alone.
        if !SHOWN.contains(&key) && !HIDDEN.contains(&key) && !key.starts_with("options[") {
            return Err(format!("it has no parameter `{}`", key.escape_debug()));
        }
    }
    match sqlx::postgres::PgConnectOptions::from_str(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A database URL without its secrets; where they end is not sure, no more than its scheme.
pub fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| !is_ambiguous(url)) else {
        return bare(url).to_owned();
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let named =
        place.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host)));
    let place = named.map_or(place.to_owned(), |(name, host)| format!("{name}:***@{host}"));
    if query.is_empty() {
        return format!("{scheme}://{place}");
    }
    let query = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if SHOWN.contains(&key) => pair.to_owned(),
        Some((key, _)) if HIDDEN.contains(&key) => format!("{key}=***"),
        _ => "***".to_owned(),
    });
    format!("{scheme}://{place}?{}", query.collect::<Vec<_>>().join("&"))
}

/// Whether a password may go on where whoever reads a URL takes its host to end.
fn is_ambiguous(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once(['/', '?', '#']).map_or("", |(_, path)| path);
    path.contains('@') || url.contains('#') || scheme(url) == Some("")
}
