//! A map of bounded size whose merge is exactly associative and commutative.
//!
//! It keeps the `CAP` keys with the smallest hashes (a bottom-k sample). A key that is kept after a
//! merge was kept in every part that ever saw it, so kept counts are exact whatever the order. A
//! top-k by count would keep the more telling keys, but what it keeps depends on the order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// At most `CAP` entries by name; see the module's page for which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounded<V, const CAP: usize> {
    entries: BTreeMap<String, V>,
    /// Whether a key was ever refused or dropped: if so, absence of a key proves nothing.
    overflowed: bool,
}

impl<V, const CAP: usize> Default for Bounded<V, CAP> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), overflowed: false }
    }
}

impl<V: Default, const CAP: usize> Bounded<V, CAP> {
    /// The value of `key`, made if absent; `None` if the bound leaves no room for this key.
    pub fn entry(&mut self, key: &str) -> Option<&mut V> {
        if !self.entries.contains_key(key) {
            let rank = rank(key);
            if self.entries.len() == CAP && self.entries.keys().all(|kept| self::rank(kept) < rank)
            {
                self.overflowed = true;
                return None;
            }
            self.entries.insert(key.to_owned(), V::default());
            self.shrink();
        }
        self.entries.get_mut(key)
    }

    /// Adds `other`'s entries, joining the values of keys that both hold with `join`.
    pub fn merge(&mut self, other: &Self, mut join: impl FnMut(&mut V, &V)) {
        for (key, value) in &other.entries {
            join(self.entries.entry(key.clone()).or_default(), value);
        }
        self.overflowed |= other.overflowed;
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.entries.len() <= CAP {
            return;
        }
        self.overflowed = true;
        let mut ranks: Vec<_> = self.entries.keys().map(|key| rank(key)).collect();
        ranks.sort_unstable();
        let kept: BTreeSet<_> =
            ranks.into_iter().take(CAP).map(|(_, key)| key.to_owned()).collect();
        self.entries.retain(|key, _| kept.contains(key));
    }
}

/// A total order of keys that has nothing to do with what they say: FNV-1a, its bits mixed by
/// MurmurHash3's finalizer. Whoever picks the keys could pick small hashes under any known function,
/// so what counts is that a map that is full is cheap to knock at.
fn rank(key: &str) -> (u64, &str) {
    let fnv = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (mixed ^ (mixed >> 33), key)
}

impl<V, const CAP: usize> Bounded<V, CAP> {
    /// The entries by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of `key`, if kept.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether some key was left out for want of room.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}
