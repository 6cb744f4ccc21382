//! Where the browser is.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MACOS: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

static TOLD: Once = Once::new();

/// `$CHROME`, or a Chromium of this machine. Says once when there is none.
///
/// # Panics
///
/// Without one, when `HANSOM_E2E` is `required`.
pub(crate) fn found() -> Option<PathBuf> {
    let chosen = env::var_os("CHROME").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = &chosen {
        assert!(path.is_file(), "$CHROME is {}, and there is no such file", path.display());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let installed = || {
        let mut all = env::split_paths(&paths)
            .flat_map(|folder| NAMES.map(|name| folder.join(name)))
            .chain([Path::new(MACOS).to_owned()]);
        all.find(|path| path.is_file())
    };
    let found = chosen.or_else(installed);
    if found.is_none() {
        let required = env::var_os("HANSOM_E2E").is_some_and(|wish| wish == "required");
        assert!(!required, "no Chromium, and HANSOM_E2E=required: install it, or set $CHROME");
        // Past the test harness, which keeps what a test prints to itself.
        TOLD.call_once(|| {
            let _ = writeln!(std::io::stderr(), "skipped: no Chromium");
        });
    }
    found
}
