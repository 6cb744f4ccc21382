//! Durations as people write them, to the second: `90s`, `15m`, `1h30m`, `7d`.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de};

/// The units, and their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

pub(super) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = (rest[..end].parse::<u64>().ok()?, rest[end..].chars().next()?);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.checked_mul(*factor)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(sum))
}

/// The shortest way to write it.
pub(super) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fits = |(_, factor): &&(char, u64)| seconds >= *factor && seconds.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
    format!("{}{unit}", seconds / factor)
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no duration")))
}
