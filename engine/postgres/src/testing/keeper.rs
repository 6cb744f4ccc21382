use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::locks;

/// A small shell process that outlives this one, however it ends, to stop its server: test
/// binaries run no code of ours at their end. It waits for the end of a pipe only this process
/// holds open.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
}

/// `$1` gate, `$2` users, `$3` the note that says to keep it running, `$4` `pg_ctl`. The kernel may
/// close the pipe just before it releases the locks, hence the short sleep. macOS has no flock(1)
/// and Perl everywhere.
const AFTER_THE_LAST: &str = r#"
cat >/dev/null
sleep 0.2
if command -v flock >/dev/null; then
  exec flock "$1" flock -n "$2" sh -c '[ -e "$1" ] || exec "$2" stop -D data -m fast -w -s' sh "$3" "$4"
fi
exec perl -MFcntl=:flock -e '
  open(G, "<", $ARGV[0]) && flock(G, LOCK_EX) or exit 1;
  open(U, "<", $ARGV[1]) && flock(U, LOCK_EX | LOCK_NB) or exit 1;
  -e $ARGV[2] or system($ARGV[3], qw(stop -D data -m fast -w -s));
' "$1" "$2" "$3" "$4"
"#;

/// `$4` `pg_ctl`.
const AT_ONCE: &str = r#"
cat >/dev/null
exec "$4" stop -D data -m immediate -w -s
"#;

impl Keeper {
    /// Stops the server once no process uses it any more.
    pub(crate) fn stop_after_the_last(cluster: &Cluster) -> Result<Self, ClusterError> {
        Self::spawn(cluster, AFTER_THE_LAST)
    }

    /// Stops the server with this process, whoever else uses it, and without a clean shutdown.
    pub(crate) fn stop_at_once(cluster: &Cluster) -> Result<Self, ClusterError> {
        Self::spawn(cluster, AT_ONCE)
    }

    fn spawn(cluster: &Cluster, script: &str) -> Result<Self, ClusterError> {
        let place = cluster.place();
        let shell = Path::new("/bin/sh");
        let mut command: Command = place.account.command(shell).into_std();
        let mut child = command
            .args(["-c", script, "sh"])
            .arg(locks::gate_path(&place.home))
            .arg(locks::users_path(&place.home))
            .arg(super::keep_note(cluster))
            .arg(cluster.bin_dir().join("pg_ctl"))
            .current_dir(&place.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for the tests.
            .process_group(0)
            .spawn()
            .map_err(ClusterError::io("run", shell))?;
        let pipe = child.stdin.take();
        Ok(Self { shell: child, pipe })
    }

    /// Lets the shell do its work now, and waits for it.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        drop(self.pipe.take());
        self.shell.wait().map(drop)
    }

    /// Lets go of a server that is gone already: `pg_ctl` would wait for its zombie.
    pub(crate) fn dismiss(&mut self) -> io::Result<()> {
        self.shell.kill()?;
        self.finish()
    }
}
