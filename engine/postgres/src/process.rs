//! The process table, as far as telling a live server from its remains needs it.

#[cfg(target_os = "linux")]
use std::fs;
use std::path::Path;

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    name: String,
    zombie: bool,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        !self.zombie
    }

    /// Whether this is a live Postgres that serves `data` or was given the socket directory
    /// `socket`. Either will do: containers hide the directory of another account's process even
    /// from root, and a server started by hand has another command line.
    pub(crate) fn serves(&self, data: &Path, socket: &Path) -> bool {
        self.is_alive()
            && self.name == "postgres"
            && (directory(self.pid).is_some_and(|found| found == data)
                || command_line(self.pid).contains(&*socket.to_string_lossy()))
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn find(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state parent …", and the name may hold spaces and brackets.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some(Process { pid, parent: fields.next()?.parse().ok()?, name, zombie })
}

/// Every process that is there.
#[cfg(target_os = "linux")]
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| find(entry.file_name().to_str()?.parse().ok()?)).collect()
}

#[cfg(target_os = "linux")]
fn directory(pid: i32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

#[cfg(target_os = "linux")]
fn command_line(pid: i32) -> String {
    fs::read(format!("/proc/{pid}/cmdline"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn find(pid: i32) -> Option<Process> {
    ps(&["-p", &pid.to_string()]).pop()
}

/// Every process that is there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn all() -> Vec<Process> {
    ps(&["-A"])
}

#[cfg(not(target_os = "linux"))]
fn ps(which: &[&str]) -> Vec<Process> {
    let Ok(output) = std::process::Command::new("ps")
        .args(which)
        .args(["-o", "pid=", "-o", "ppid=", "-o", "stat=", "-o", "comm="])
        .output()
    else {
        return Vec::new();
    };
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let pid = fields.next()?.parse().ok()?;
        let parent = fields.next()?.parse().ok()?;
        let zombie = fields.next()?.starts_with('Z');
        let name = fields.collect::<Vec<_>>().join(" ");
        let name = name.rsplit('/').next()?.to_owned();
        Some(Process { pid, parent, name, zombie })
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).collect()
}

#[cfg(not(target_os = "linux"))]
fn directory(_pid: i32) -> Option<std::path::PathBuf> {
    None
}

#[cfg(not(target_os = "linux"))]
fn command_line(pid: i32) -> String {
    std::process::Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
