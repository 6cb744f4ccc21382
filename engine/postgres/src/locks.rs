//! Two file locks per cluster, released by the kernel however a process ends.
//!
//! `users.lock` is held shared by every process that uses the cluster. `gate.lock` is held
//! exclusively while one of them makes, starts or stops the server or a test template. A user joins
//! while holding the gate, so whoever holds the gate and gets `users.lock` exclusively is alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::ClusterError;

/// How often a taken gate is tried again. Polled, not blocked on: a blocked thread would outlive a
/// cancelled caller and keep its runtime from ending.
const TRY_AGAIN: Duration = Duration::from_millis(10);

pub(crate) fn gate_path(home: &Path) -> PathBuf {
    home.join("gate.lock")
}

pub(crate) fn users_path(home: &Path) -> PathBuf {
    home.join("users.lock")
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that is between fork and exec. A failure
        // leaves the release to the close that follows.
        let _ = self.file.unlock();
    }
}

/// Waits until no other holder has the gate.
pub(crate) async fn gate(home: &Path) -> Result<Held, ClusterError> {
    exclusively(&gate_path(home)).await
}

/// Waits until nobody else holds the lock `path`.
pub(crate) async fn exclusively(path: &Path) -> Result<Held, ClusterError> {
    loop {
        if let Some(held) = hold(path, File::try_lock)? {
            return Ok(held);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Joins the users. Only with the gate held, so that it never has to wait for long.
pub(crate) async fn join(home: &Path) -> Result<Held, ClusterError> {
    loop {
        if let Some(held) = hold(&users_path(home), File::try_lock_shared)? {
            return Ok(held);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// With the gate held: the lock that shows there is no other user, or `None`.
pub(crate) fn alone(home: &Path) -> Result<Option<Held>, ClusterError> {
    hold(&users_path(home), File::try_lock)
}

fn hold(
    path: &Path,
    take: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<Held>, ClusterError> {
    let existed = path.exists();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(ClusterError::io("open", path))?;
    if !existed {
        // The server's account takes these locks too, whatever root's umask (see `testing`).
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
            .map_err(ClusterError::io("set the permissions of", path))?;
    }
    match take(&file) {
        Ok(()) => Ok(Some(Held { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(ClusterError::io("lock", path)(source)),
    }
}
