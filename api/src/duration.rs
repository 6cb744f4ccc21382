//! Durations as people write them: `250ms`, `5s`, `1m30s`, `7d`.

use std::time::Duration;

/// The units, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit.
    #[error("a duration needs a unit, as in 250ms, 5s, 10m, 2h or 7d")]
    NoUnit,
    /// Anything else.
    #[error("a duration is written as 250ms, 5s, 10m, 2h or 7d")]
    Syntax,
    /// Longer than can be counted.
    #[error("the duration is too long")]
    TooLong,
}

/// Reads whole numbers with units, such as `250ms` or `1h30m`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Syntax);
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(DurationError::Syntax);
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, factor) = known.ok_or(DurationError::Syntax)?;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let part = number.checked_mul(*factor).ok_or(DurationError::TooLong)?;
        millis = millis.checked_add(part).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

/// The shortest way to write it, to the millisecond.
pub fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |(_, factor): &&(&str, u64)| millis >= *factor && millis.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / factor)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_units() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5_000), ("1m30s", 90_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        use DurationError::{NoUnit, Syntax, TooLong};
        for (text, error) in [
            ("5", NoUnit),
            ("", Syntax),
            ("-1s", Syntax),
            ("1e30s", Syntax),
            ("5 minuets", Syntax),
            ("PT", Syntax),
            ("1.5s", Syntax),
            ("99999999999999999999d", TooLong),
            ("9999999999999999d", TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_in_its_largest_whole_unit() {
        for text in ["250ms", "5s", "90s", "7d", "0s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
