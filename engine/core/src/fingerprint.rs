//! Which source a body was compiled from.

use std::fmt;

/// A fingerprint of source texts: FNV-1a, 64 bits. It tells versions apart; it keeps no
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of these texts, in this order.
    pub const fn of(sources: &[&[u8]]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut source = 0;
        while source < sources.len() {
            let text = sources[source];
            let mut byte = 0;
            while byte < text.len() {
                hash = (hash ^ text[byte] as u64).wrapping_mul(0x0000_0100_0000_01b3);
                byte += 1;
            }
            // Where one text ends counts as well.
            hash = (hash ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
            source += 1;
        }
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
