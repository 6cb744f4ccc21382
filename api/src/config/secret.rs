//! The URL of the database where it is a secret: in a file, as container platforms hand one in.

use super::{Key, Reader, database_url};

/// What is looked at only where nothing of ours is set.
const FALLBACK: &str = "DATABASE_URL";

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
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        url => database_url(url),
    }
}
