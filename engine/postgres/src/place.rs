//! Where a cluster lives: its home, its data, its socket.

use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::ClusterError;

/// The name Postgres gives its socket at the default port.
pub(crate) const SOCKET: &str = ".s.PGSQL.5432";

/// The system's limit for a socket's path is 103 bytes on macOS and 107 on Linux.
const LONGEST_SOCKET: usize = 100;

/// Where root's clusters go when the server's account cannot reach the directory asked for.
const ELSEWHERE: &str = "/var/lib/hansom";

/// Names the home of a cluster that lives elsewhere.
const LOCATION: &str = "LOCATION";

/// The directories of one cluster and the account that owns the data.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Holds the locks, the log, the data and, unless its path is too long, the socket.
    pub(crate) home: PathBuf,
    /// A directory of mode 0700 that holds the socket.
    pub(crate) socket: PathBuf,
    pub(crate) account: Account,
}

impl Place {
    /// Makes the directories for a cluster asked for at `asked`. Repeatable and safe to race.
    pub(crate) async fn prepare(asked: &Path) -> Result<Self, ClusterError> {
        fs::create_dir_all(asked).map_err(ClusterError::io("create", asked))?;
        let asked = fs::canonicalize(asked).map_err(ClusterError::io("find", asked))?;
        let mut home = moved_to(&asked).unwrap_or_else(|| asked.clone());
        let account = Account::for_data(&home.join("data"))?;
        open_up(&home, account)?;
        if home == asked && !account.reaches(&home).await {
            home = Path::new(ELSEWHERE).join(hash(&asked));
            fs::create_dir_all(&home).map_err(ClusterError::io("create", &home))?;
            open_up(Path::new(ELSEWHERE), account)?;
            open_up(&home, account)?;
            let note = asked.join(LOCATION);
            fs::write(&note, format!("{}\n", home.display()))
                .map_err(ClusterError::io("write", &note))?;
        }
        let socket = socket_directory(&home);
        make_private(&socket, account)?;
        Ok(Self { home, socket, account })
    }

    /// Whether a cluster that was asked for at `asked` has been made.
    pub(crate) fn has_data(asked: &Path) -> bool {
        let home = moved_to(asked).unwrap_or_else(|| asked.to_owned());
        // Its parent is the server's account's alone, so what is in there may be out of sight.
        home.join("data").is_dir()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// A URL for `database`; the port is spelled out because `PGPORT` would change the default.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = escape(self.socket.as_os_str().as_bytes());
        format!("postgres://hansom@localhost:5432/{}?host={socket}", escape(database.as_bytes()))
    }

    /// The major version of the data, if there is data.
    pub(crate) fn data_major(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }
}

/// Follows a note left by an earlier start, so that data stays found when permissions change or the
/// checkout moves. Only to where such notes can point: root follows it.
fn moved_to(asked: &Path) -> Option<PathBuf> {
    let note = fs::read_to_string(asked.join(LOCATION)).ok()?;
    let home = PathBuf::from(note.trim_end());
    (home.parent() == Some(Path::new(ELSEWHERE)) && home.is_dir()).then_some(home)
}

/// Lets the server's account into `dir`. Another account than the owner's needs to pass through;
/// what is inside has modes of its own.
fn open_up(dir: &Path, account: Account) -> Result<(), ClusterError> {
    let found = fs::metadata(dir).map_err(ClusterError::io("look at", dir))?;
    let wanted = if account == Account::Own { 0o700 } else { 0o711 };
    if found.mode() & wanted == wanted {
        return Ok(());
    }
    let mode = found.mode() | wanted;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode & 0o7777))
        .map_err(ClusterError::io("set the permissions of", dir))
}

fn socket_directory(home: &Path) -> PathBuf {
    let beside = home.join("socket");
    if beside.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
        return beside;
    }
    PathBuf::from(format!("/tmp/hansom-{}", hash(home)))
}

/// `/tmp` is everybody's: what is already there must be a directory of our own, and not a link.
fn make_private(dir: &Path, account: Account) -> Result<(), ClusterError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(ClusterError::io("create", dir)(error)),
    }
    let found = fs::symlink_metadata(dir).map_err(ClusterError::io("look at", dir))?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || ![own, account.uid()].contains(&found.uid()) {
        return Err(ClusterError::WrongOwner { path: dir.to_owned() });
    }
    account.give(dir, 0o700)
}

fn hash(path: &Path) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_stays_beside_its_data_until_its_path_is_too_long() {
        let short = Path::new("/srv/hansom/pg");
        assert_eq!(socket_directory(short), short.join("socket"));
        let deep = PathBuf::from(format!("/srv/{}", "deep/".repeat(20)));
        let fallback = socket_directory(&deep);
        assert!(fallback.starts_with("/tmp"), "{}", fallback.display());
        assert_ne!(fallback, socket_directory(&deep.join("other")));
    }

    #[test]
    fn a_url_survives_spaces_and_percent_signs() {
        assert_eq!(escape(b"/a b/100%"), "%2Fa%20b%2F100%25");
    }

    #[test]
    fn a_note_that_points_outside_the_shared_directory_is_ignored() {
        let dir = std::env::temp_dir().join(format!("hansom-note-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(LOCATION), "/etc\n").unwrap();
        assert_eq!(moved_to(&dir), None);
        fs::write(dir.join(LOCATION), format!("{ELSEWHERE}/../../../etc\n")).unwrap();
        assert_eq!(moved_to(&dir), None);
        fs::remove_dir_all(&dir).unwrap();
    }
}
