//! JSON, carried unread.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// JSON that the engine carries but does not read. Cheap to clone.
#[derive(Clone)]
pub struct Payload(Arc<RawValue>);

impl Payload {
    /// No payload is larger, in bytes of JSON.
    pub const MAX: usize = 2 * 1024 * 1024;
    /// One larger than this is carried, and the log says so (`payload_large`).
    pub const LARGE: usize = 256 * 1024;

    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// When the value has no JSON form (a map with keys that are not text), or when a text in it
    /// has a NUL, which a database cannot read again.
    ///
    /// ```
    /// use hansom_core::Payload;
    ///
    /// assert_eq!(Payload::of(&"a\0b").unwrap_err().to_string(), "a text has a NUL (\\u0000)");
    /// ```
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::kept(serde_json::value::to_raw_value(value)?)
    }

    /// Takes JSON text as it is.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or as [`Payload::of`].
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        Self::kept(RawValue::from_string(text)?)
    }

    fn kept(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        if has_nul(raw.get()) {
            return Err(serde::ser::Error::custom("a text has a NUL (\\u0000)"));
        }
        Ok(Self(raw.into()))
    }

    /// Decodes it.
    ///
    /// # Errors
    ///
    /// When it does not have the shape of `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

/// Whether a text has a NUL: `\u0000` after a backslash that is not escaped itself.
fn has_nul(json: &str) -> bool {
    json.as_bytes().contains(&b'\\')
        && json.match_indices("\\u0000").any(|(at, _)| {
            let before = json.as_bytes()[..at].iter().rev();
            before.take_while(|byte| **byte == b'\\').count() % 2 == 0
        })
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(|raw| Self(raw.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_refused_wherever_it_hides_and_what_only_looks_like_one_is_not() {
        for bad in [r#""\u0000""#, r#"{"a":["x\\\u0000"]}"#, r#"{"\u0000":1}"#] {
            assert!(Payload::parse(bad.to_owned()).is_err(), "{bad}");
        }
        for good in [r#""\\u0000""#, r#""u0000 \n\t""#, r#""\u0001""#] {
            assert_eq!(Payload::parse(good.to_owned()).unwrap().get(), good);
        }
    }
}
