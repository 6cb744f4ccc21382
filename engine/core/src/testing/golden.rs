//! Histories that are kept, and what must stay true of them.

use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::panic::Location;
use std::path::{Path, PathBuf};

use super::history::json;
use super::script::SEED;
use super::{History, Script, tell};
use crate::{Machine, Workflow, WorkflowType};

/// When this variable is set, [`golden`] keeps what is new.
const UPDATE: &str = "HANSOM_UPDATE_GOLDEN";

/// No story comes out differently more often.
const VERSIONS: u32 = 100;

/// A history as it was stored once. A body that is changed must still agree
/// with it, or the runs that are under way cannot go on.
///
/// It is JSON, one event a line, in the words of the database; what
/// `hansom workflow export` prints is one.
///
/// ```
/// # use hansom_core::{Ctx, Never, Workflow, testing::Golden};
/// # struct Nap;
/// # impl Workflow for Nap {
/// #     const NAME: &str = "nap";
/// #     const ACTIVITIES: &[&str] = &[];
/// #     type Input = u64;
/// #     type Output = ();
/// #     type Error = Never;
/// #     async fn run(ctx: Ctx, seconds: u64) -> Result<(), Never> {
/// #         Ok(ctx.sleep(std::time::Duration::from_secs(seconds)).await)
/// #     }
/// # }
/// let golden = Golden::<Nap>::parse(
///     r#"{
///       "workflow": "nap",
///       "run": "00000000-0000-0000-0000-000000000000",
///       "history": [
///         {"at": 0, "events": [
///           {"started":{"input":60}},
///           {"start_timer":{"at":60000000}}
///         ]}
///       ]
///     }"#,
/// );
/// golden.replay();
/// assert_eq!(golden.story(), ["timer 60s"]);
/// ```
pub struct Golden<W> {
    history: History,
    workflow: PhantomData<fn() -> W>,
}

impl<W: Workflow> Golden<W> {
    /// Reads it.
    ///
    /// # Panics
    ///
    /// When it is not a history of `W`.
    pub fn parse(json: &str) -> Self {
        let history = History::parse(json)
            .unwrap_or_else(|error| panic!("this is not a history that was kept: {error}"));
        assert_eq!(history.workflow, W::NAME, "this is the history of another workflow");
        Self { history, workflow: PhantomData }
    }

    /// The history of a story.
    pub fn of(script: &Script<W>) -> Self {
        let (workflow, commits) = (W::NAME.to_owned(), script.history().to_vec());
        let history = History { workflow, run: SEED, commits };
        Self { history, workflow: PhantomData }
    }

    /// Replays it: wherever the run may have been when its body was changed, it
    /// can go on from there.
    ///
    /// # Panics
    ///
    /// When the body does not agree, with the event, what history has there and
    /// what the code asks for.
    pub fn replay(&self) -> Machine {
        let (mut number, mut first) = (0, None);
        // A commit that ends without a fault forgives what the body did in it: it unwound.
        let mut ends = self.history.commits.iter().scan(0, |end, (_, events)| {
            *end += events.len();
            Some(*end)
        });
        let mut end = ends.next();
        let kind = Some(WorkflowType::of::<W>());
        let commits = self.history.commits.iter().cloned();
        Machine::replay_with(kind, self.history.run, commits, |machine| {
            first = machine.fault().cloned().map(|fault| first.take().unwrap_or((number, fault)));
            number += 1;
            if Some(number) != end {
                return;
            }
            end = ends.next();
            if let Some((number, (reason, detail))) = &first {
                let name = W::NAME;
                panic!("`{name}` does not agree with event {number}: {}: {detail}", reason.code());
            }
        })
    }

    /// What happened in it: see [`tell`].
    pub fn story(&self) -> Vec<String> {
        tell(&self.history.commits)
    }

    /// The first event that is another one in `other`.
    fn differs(&self, other: &Self) -> Option<String> {
        let (kept, told) = (self.lines(), other.lines());
        let length = kept.len().max(told.len());
        let number = (0..length).find(|number| kept.get(*number) != told.get(*number))?;
        let line = |lines: &[String]| lines.get(number).cloned().unwrap_or("nothing".to_owned());
        Some(format!("event {number}\n  kept {}\n  told {}", line(&kept), line(&told)))
    }

    fn lines(&self) -> Vec<String> {
        let commits = self.history.commits.iter();
        let events = commits.flat_map(|(at, events)| events.iter().map(|event| (at.0, event)));
        events.map(|(at, event)| format!("at {at}: {}", json(event))).collect()
    }
}

impl<W> fmt::Display for Golden<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.history.fmt(f)
    }
}

/// Keeps the history of a story in the file at `path`, by convention
/// `tests/golden/<story>.json`, and holds the body to all that were kept there.
///
/// What was kept once is never overwritten: a story that comes out differently
/// is kept beside it, as `<story>.2.json`, when the test is run with
/// `HANSOM_UPDATE_GOLDEN=1`. Every one of them must replay; today's story must
/// be the last.
///
/// ```no_run
/// # use hansom_core::testing::{Script, golden};
/// # fn story<W: hansom_core::Workflow<Input = u64>>() {
/// golden("tests/golden/nap.json", &Script::<W>::start(&60).fire());
/// # }
/// ```
///
/// # Panics
///
/// When the body does not agree with one of them, when the story is another
/// than the last, and when files cannot be read or written.
#[track_caller]
pub fn golden<W: Workflow>(path: impl AsRef<Path>, script: &Script<W>) {
    let update = std::env::var_os(UPDATE).is_some();
    if let Err(changed) = keep(path.as_ref(), script, update) {
        let test = Location::caller().file();
        panic!(
            "{changed}\nif that is meant, run {test} with {UPDATE}=1, and look at what it keeps"
        );
    }
}

/// Says what is another than it was, unless it is kept.
fn keep<W: Workflow>(path: &Path, script: &Script<W>, update: bool) -> Result<(), String> {
    let told = Golden::of(script);
    let mut last: Option<(u32, PathBuf, Golden<W>)> = None;
    for version in 1..VERSIONS {
        let file = version_of(path, version);
        if file.exists() {
            let kept = fs::read_to_string(&file).unwrap_or_else(|error| broken(&file, &error));
            let kept = Golden::parse(&kept);
            kept.replay();
            last = Some((version, file, kept));
        }
    }
    let (version, changed) = match last {
        None => (1, format!("{} is not there yet", path.display())),
        Some((version, file, kept)) => match kept.differs(&told) {
            None => return Ok(()),
            Some(difference) => (version + 1, format!("{}: {difference}", file.display())),
        },
    };
    if !update {
        return Err(changed);
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).unwrap_or_else(|error| broken(folder, &error));
    let file = version_of(path, version);
    fs::write(&file, told.to_string()).unwrap_or_else(|error| broken(&file, &error));
    Ok(())
}

fn version_of(path: &Path, version: u32) -> PathBuf {
    match version {
        1 => path.to_owned(),
        version => path.with_extension(format!("{version}.json")),
    }
}

fn broken<T>(path: &Path, error: &std::io::Error) -> T {
    panic!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ctx, Never};

    macro_rules! nap {
        ($name:ident, $($seconds:literal)*) => {
            struct $name;
            impl Workflow for $name {
                const NAME: &'static str = "nap";
                const ACTIVITIES: &'static [&'static str] = &[];
                type Input = ();
                type Output = ();
                type Error = Never;
                async fn run(ctx: Ctx, (): ()) -> Result<(), Never> {
                    $(ctx.sleep(std::time::Duration::from_secs($seconds)).await;)*
                    Ok(())
                }
            }
        };
    }
    nap!(Nap, 1);
    nap!(Twice, 1 1);
    nap!(Long, 2);

    #[test]
    fn what_was_kept_is_never_overwritten_and_holds_what_comes_after() {
        let folder = std::env::temp_dir().join(format!("hansom-golden-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let path = folder.join("nap.json");
        let nap = Script::<Nap>::start(&());
        assert!(keep(&path, &nap, false).unwrap_err().contains("is not there yet"));
        keep(&path, &nap, true).unwrap();
        keep(&path, &nap, false).unwrap();
        let first = fs::read_to_string(&path).unwrap();

        // It agrees with what was kept, and goes on differently from there.
        let twice = Script::<Twice>::start(&()).fire();
        let changed = keep(&path, &twice, false).unwrap_err();
        assert!(
            changed.contains("event 2\n  kept nothing\n  told at 1000000: {\"fired\""),
            "{changed}"
        );
        keep(&path, &twice, true).unwrap();
        keep(&path, &twice, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert!(folder.join("nap.2.json").exists() && !folder.join("nap.3.json").exists());

        // One that does not agree is not kept, even if it is meant.
        let long = Script::<Long>::start(&());
        let refused =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keep(&path, &long, true)));
        assert!(refused.is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
