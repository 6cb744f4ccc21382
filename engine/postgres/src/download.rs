//! The pinned package of Postgres's binaries, fetched through npm: for machines that have npm and
//! no Postgres. npm brings the registry, the proxy and the certificates it is set up with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Output, Stdio};

use sha2::{Digest, Sha512};
use sqlx::types::JsonValue;
use tokio::process::Command;

use crate::account::Account;
use crate::error::ClusterError;
use crate::locks;

/// The major version of [`VERSION`].
pub(crate) const MAJOR: u32 = 18;

/// Each package's "beta" is its packager's: the server in it is the release 18.4.
const VERSION: &str = "18.4.0-beta.17";

/// `dist.integrity` of the packages, as `npm view <package>@<version> dist.integrity` prints it.
const PACKAGES: [(&str, &str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "linux-x64",
        "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    ),
    (
        "macos",
        "x86_64",
        "darwin-x64",
        "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    ),
    (
        "macos",
        "aarch64",
        "darwin-arm64",
        "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    ),
];

/// The folder with the package's programs, fetched on first use and kept per user.
pub(crate) async fn programs(account: Account) -> Result<PathBuf, ClusterError> {
    let (_, _, platform, integrity) = PACKAGES
        .into_iter()
        .find(|(os, arch, ..)| *os == std::env::consts::OS && *arch == std::env::consts::ARCH)
        .ok_or_else(|| failed("there is none for this platform"))?;
    let cache = cache(account)?;
    fs::create_dir_all(&cache).map_err(ClusterError::io("create", &cache))?;
    let package = cache.join(format!("postgres-{platform}-{VERSION}"));
    let bin = package.join("native/bin");
    let _alone = locks::exclusively(&cache.join("fetch.lock")).await?;
    if !bin.is_dir() {
        let fetched = fetch(&cache, platform, integrity).await;
        let scratch = cache.join("fetching");
        let placed = fetched.and_then(|whole| {
            fs::rename(&whole, &package).map_err(ClusterError::io("rename", &whole))
        });
        let _ = fs::remove_dir_all(&scratch);
        placed?;
    }
    Ok(bin)
}

/// Fetches, checks and unpacks into a folder that does not count until it is renamed.
async fn fetch(cache: &Path, platform: &str, integrity: &str) -> Result<PathBuf, ClusterError> {
    let scratch = cache.join("fetching");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(ClusterError::io("create", &scratch))?;
    let name = format!("@embedded-postgres/{platform}@{VERSION}");
    tracing::info!(package = name, "postgres.fetch");
    run("npm", &["pack", "--silent", &name], &scratch).await?;
    let archive = scratch.join(format!("embedded-postgres-{platform}-{VERSION}.tgz"));
    let bytes = fs::read(&archive).map_err(ClusterError::io("read", &archive))?;
    let found = format!("sha512-{}", base64(&Sha512::digest(&bytes)));
    if found != integrity {
        return Err(failed(&format!("{name} has the checksum {found}, expected was {integrity}")));
    }
    run("tar", &["-xzf", &archive.to_string_lossy()], &scratch).await?;
    let package = scratch.join("package");
    link(&package)?;
    // The server's account reads it, whatever the umask was.
    run("chmod", &["-R", "a+rX,u+w", "package"], &scratch).await?;
    Ok(package)
}

/// Creates the links npm packages cannot hold, listed as pairs of paths in the same folder.
fn link(package: &Path) -> Result<(), ClusterError> {
    let list = package.join("native/pg-symlinks.json");
    let text = fs::read_to_string(&list).map_err(ClusterError::io("read", &list))?;
    let pairs: JsonValue = text.parse().map_err(|_| failed("its list of links is not JSON"))?;
    for pair in pairs.as_array().into_iter().flatten() {
        let path = |key: &str| pair[key].as_str().map(Path::new).filter(|path| stays_inside(path));
        let (Some(source), Some(target)) = (path("source"), path("target")) else {
            return Err(failed("its list of links leads outside of it"));
        };
        let (Some(name), true) = (source.file_name(), source.parent() == target.parent()) else {
            return Err(failed("its list of links crosses folders"));
        };
        let target = package.join(target);
        symlink(name, &target).map_err(ClusterError::io("link", &target))?;
    }
    Ok(())
}

fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Root's own cache would be out of reach for the account the server runs as.
fn cache(account: Account) -> Result<PathBuf, ClusterError> {
    if account != Account::Own {
        return Ok(PathBuf::from("/var/cache/hansom"));
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    set("XDG_CACHE_HOME")
        .or_else(|| Some(set("HOME")?.join(home)))
        .map(|cache| cache.join("hansom"))
        .ok_or_else(|| failed("HOME is not set"))
}

async fn run(program: &str, arguments: &[&str], dir: &Path) -> Result<(), ClusterError> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| failed(&format!("{program} does not run ({error})")))?;
    if output.status.success() { Ok(()) } else { Err(failed(&first_words(program, &output))) }
}

fn first_words(program: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().find(|line| !line.trim().is_empty() && !line.contains("warn"));
    format!("{program} failed ({}): {}", output.status, said.unwrap_or("it said nothing").trim())
}

fn failed(what: &str) -> ClusterError {
    ClusterError::Download(what.to_owned())
}

/// RFC 4648 §4, with padding: how the registry writes its checksums.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * position)) as usize & 63];
            text.push(if position > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_written_as_the_registry_writes_them() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_link_may_not_lead_out_of_the_package() {
        assert!(stays_inside(Path::new("native/lib/libpq.so")));
        assert!(!stays_inside(Path::new("../outside")));
        assert!(!stays_inside(Path::new("/etc/passwd")));
    }

    #[tokio::test]
    #[ignore = "downloads 24 MB"]
    async fn the_pinned_package_is_fetched_checked_and_runs() {
        let account = Account::for_data(Path::new("/nonexistent")).unwrap();
        let bin = programs(account).await.unwrap();
        let output = account.command(&bin.join("initdb")).arg("--version").output().await.unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("18.4"), "{output:?}");
    }
}
