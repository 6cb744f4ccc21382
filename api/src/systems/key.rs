//! `Idempotency-Key`: what a request is known by when it is repeated.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::kinds::{KEY_USED, PARAMETER};
use crate::http::kinds::Kind;
use crate::http::layers::{IDEMPOTENCY_KEY, MAX_KEY};
use crate::http::problem::Problem;

/// The key of a request; without one, each request is a new one.
#[derive(Default)]
pub(super) struct Key(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(given) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Self(None)) };
        let visible = given.as_bytes().iter().all(u8::is_ascii_graphic);
        match given.to_str() {
            Ok(key) if visible && (1..=MAX_KEY).contains(&key.len()) => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => {
                let why = "the Idempotency-Key must be 1 to 255 visible ASCII characters";
                let problem = Problem::new(PARAMETER, why).field("Idempotency-Key");
                Err(problem.limit(MAX_KEY as u64))
            }
        }
    }
}

impl Key {
    pub(super) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The key as the engine's id of something that is asked of a saga: of its name and its words,
    /// for a key may stand for several of one saga, and two clients may have chosen the same one.
    pub(super) fn id(&self, name: &str, words: &[u8]) -> Option<String> {
        let key = self.0.as_deref()?;
        // No key has the byte in between.
        let digest = Sha256::new().chain_update(key).chain_update([0]).chain_update(words);
        let digest = digest.finalize();
        Some(digest.iter().fold(format!("{name}."), |id, byte| format!("{id}{byte:02x}")))
    }

    /// The refusal of a key that stands for something else. `what` is that.
    pub(super) fn used(what: &str) -> Problem {
        let detail = format!("the Idempotency-Key was used for another {what}; take a new one");
        Problem::new(KEY_USED, detail).field("Idempotency-Key")
    }

    /// The problem of something that goes on without an answer. `about` is what.
    pub(super) fn pending(&self, kind: Kind, about: &str) -> Problem {
        Problem::new(kind, format!("{about}; {}", self.while_pending())).retry_after(2)
    }

    /// The problem of something of which nobody knows whether it was begun. Without a key nobody
    /// is told to ask again: that may be to begin another.
    pub(super) fn unsure(&self, why: Problem) -> Problem {
        if self.is_given() {
            return why;
        }
        let detail = format!("whether it was begun is not known; {}", self.while_pending());
        Problem::new(*why.kind, detail)
    }

    /// Whether to ask again for what goes on without an answer.
    pub(super) fn while_pending(&self) -> &'static str {
        match self.0 {
            Some(_) => "to ask again with the same Idempotency-Key is safe, and starts nothing new",
            None => "without an Idempotency-Key, to ask again is to ask anew: look first",
        }
    }

    /// The refusal of what was begun and has come to nothing. With a key it stands: who tries
    /// again is told to do so anew.
    pub(super) fn refused(&self, kind: Kind, detail: &str) -> Problem {
        let problem = self.stands(kind, detail);
        if self.is_given() { problem } else { problem.retry_after(1) }
    }

    /// The same, of what no time will make better.
    pub(super) fn stands(&self, kind: Kind, detail: &str) -> Problem {
        Problem::new(kind, format!("{detail}{}", self.when_refused()))
    }

    /// What to add to such a refusal.
    pub(super) fn when_refused(&self) -> &'static str {
        match self.0 {
            Some(_) => {
                "; the Idempotency-Key stands for this answer, a new attempt takes a new one"
            }
            None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_key_is_not_told_to_repeat_what_may_have_been_begun() {
        let why = || Problem::new(KEY_USED, "the database does not answer").retry_after(1);
        let keyed = Key(Some("a-key".to_owned())).unsure(why());
        assert_eq!(keyed.retry_after, Some(1), "it is begun once");
        let bare = Key(None).unsure(why());
        assert_eq!((bare.retry_after, &bare.kind), (None, &keyed.kind));
        assert!(bare.detail.contains("look first"), "{}", bare.detail);
    }
}
