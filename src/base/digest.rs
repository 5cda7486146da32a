//! Content digests: the same content has the same digest on every machine.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// SHA-256 of some content, written as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing to a String cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    /// All 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// The first 64 bits of the digest of `bytes`, as a number: a seedless, portable hash for
    /// sampling and de-duplication.
    pub fn hash64(bytes: &[u8]) -> u64 {
        Sha256::digest(bytes).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_start_of_the_digest() {
        for text in ["", "a", "trace-1"] {
            let start = format!("{:016x}", Digest::hash64(text.as_bytes()));
            assert!(Digest::of(text.as_bytes()).as_str().starts_with(&start), "{text} {start}");
        }
        assert_eq!(Digest::hash64(b""), 0xe3b0_c442_98fc_1c14, "stored hashes stay what they are");
    }
}
