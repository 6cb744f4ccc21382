//! The account the server runs as. Postgres refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::error::ClusterError;

/// Who runs the server: this process's own account, or, for root, another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    Own,
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// For root: the owner of `data` where it exists, else `postgres`, else `nobody`.
    pub(crate) fn for_data(data: &Path) -> Result<Self, ClusterError> {
        let own = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(data).ok().map(|found| (found.uid(), found.gid()));
        match owner {
            Some((uid, _)) if own != 0 && uid != own => {
                Err(ClusterError::WrongOwner { path: data.to_owned() })
            }
            _ if own != 0 => Ok(Self::Own),
            Some((uid, gid)) if uid != 0 => Ok(Self::Other { uid, gid }),
            _ => {
                let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
                let (uid, gid) = ["postgres", "nobody"]
                    .iter()
                    .find_map(|name| ids_of(&known, name))
                    .ok_or(ClusterError::NoAccount)?;
                Ok(Self::Other { uid, gid })
            }
        }
    }

    pub(crate) fn uid(self) -> u32 {
        match self {
            Self::Own => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => uid,
        }
    }

    /// A command run as this account: no input, and none of the caller's `PG*` variables, which
    /// would send Postgres's programs to another cluster.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = std::process::Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // macOS's postmaster becomes multithreaded, and gives up, where no locale is set.
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        let mut command = Command::from(command);
        if let Self::Other { uid, gid } = self {
            // With another uid the standard library also clears root's supplementary groups.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes `path` this account's own with permissions `mode`.
    pub(crate) fn give(self, path: &Path, mode: u32) -> Result<(), ClusterError> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(ClusterError::io("set the permissions of", path))?;
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(ClusterError::io("give away", path))
            }
        }
    }

    /// Whether the account can enter `dir`. Asked of the system, since modes alone miss access
    /// lists and network file systems.
    pub(crate) async fn reaches(self, dir: &Path) -> bool {
        let entered = self
            .command(Path::new("/bin/sh"))
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        entered.is_ok_and(|status| status.success())
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(|id| id.parse::<i64>().ok());
    // macOS writes nobody's ids as -2: the system reads them as unsigned.
    let mut next = || u32::try_from(ids.next()?? & 0xffff_ffff).ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd_even_with_negative_ids() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/\npostgres:x:101:104::/:/\nnobody:*:-2:-2::/:/\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "nobody"), Some((u32::MAX - 1, u32::MAX - 1)));
        assert_eq!(ids_of(passwd, "absent"), None);
    }
}
