//! The breaker of a service, as it is written: `slow:610ms,calls:20,failed:30,open:5s`.

use std::time::Duration;

use hansom_activities::breaker::BreakerSettings;

use crate::nearest::nearest;

const WORDS: [&str; 5] = ["slow", "window", "calls", "failed", "open"];

const MIN: Duration = Duration::from_millis(10);
const MAX: Duration = Duration::from_hours(1);

/// Reads it; what is not named is as in [`BreakerSettings::default`].
pub(super) fn breaker(text: &str) -> Result<BreakerSettings, String> {
    let mut settings = BreakerSettings::default();
    let mut said = Vec::new();
    for part in text.split(',') {
        let (word, value) = part.split_once(':').ok_or_else(|| {
            "a breaker is written as slow:610ms,window:10s,calls:20,failed:30,open:5s".to_owned()
        })?;
        let (word, value) = (word.trim(), value.trim());
        match word {
            "slow" => settings.slow = time(word, value)?,
            "window" => settings.window = time(word, value)?,
            "open" => settings.open = time(word, value)?,
            "calls" => settings.calls = whole(word, value, 1_000_000)?,
            "failed" => {
                settings.failed_percent = whole(word, value.trim_end_matches('%'), 100)?;
            }
            _ => return Err(unknown(word)),
        }
        if said.contains(&word) {
            return Err(format!("it says `{word}` twice"));
        }
        said.push(word);
    }
    Ok(settings)
}

fn unknown(word: &str) -> String {
    let near =
        nearest(word, WORDS).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let word = word.escape_debug();
    format!("it has no `{word}`{near} (there are: {})", WORDS.join(", "))
}

fn time(word: &str, value: &str) -> Result<Duration, String> {
    super::between(value, MIN, MAX).map_err(|error| format!("{word}: {error}"))
}

fn whole(word: &str, value: &str, max: u32) -> Result<u32, String> {
    super::whole(value, max).map_err(|error| format!("{word}: {error}"))
}
