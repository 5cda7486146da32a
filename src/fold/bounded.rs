//! A map of bounded size whose merge is exactly associative and commutative.
//!
//! It keeps the `CAP` keys with the smallest hashes (a bottom-k sample). A key that is kept after a
//! merge was kept in every part that ever saw it, so kept counts are exact whatever the order. A
//! top-k by count would keep the more telling keys, but what it keeps depends on the order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At most `CAP` entries by name; see the module's page for which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
pub struct Bounded<V, const CAP: usize> {
    entries: Entries<V>,
    /// Whether a key was ever refused or dropped: if so, absence of a key proves nothing.
    overflowed: bool,
}

/// By key, rising, in one piece: most are few, and a tree's nodes have room for eleven.
#[derive(Clone, Debug, PartialEq)]
struct Entries<V>(Vec<Entry<V>>);

#[derive(Clone, Debug, PartialEq)]
struct Entry<V> {
    /// See [`rank`]; kept, since a map that is full asks all of them for theirs with each new key.
    rank: u64,
    key: Box<str>,
    value: V,
}

impl<V> Entry<V> {
    fn order(&self) -> (u64, &str) {
        (self.rank, &self.key)
    }
}

impl<V, const CAP: usize> Default for Bounded<V, CAP> {
    fn default() -> Self {
        Self { entries: Entries(Vec::new()), overflowed: false }
    }
}

impl<V> Entries<V> {
    /// Where `key` is, or where it would go.
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|held| (*held.key).cmp(key))
    }
}

impl<V: Serialize> Serialize for Entries<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Entry { key, value, .. } in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<Box<str>, V>::deserialize(deserializer)?;
        let entry = |(key, value): (Box<str>, V)| Entry { rank: rank(&key), key, value };
        Ok(Self(entries.into_iter().map(entry).collect()))
    }
}

impl<V: Default, const CAP: usize> Bounded<V, CAP> {
    /// The value of `key`, made if absent; `None` if the bound leaves no room for this key.
    pub fn entry(&mut self, key: &str) -> Option<&mut V> {
        let place = match self.entries.find(key) {
            Ok(place) => place,
            Err(place) => {
                let rank = rank(key);
                let full = self.entries.0.len() == CAP;
                if full && self.entries.0.iter().all(|kept| kept.order() < (rank, key)) {
                    self.overflowed = true;
                    return None;
                }
                self.entries.0.insert(place, Entry { rank, key: key.into(), value: V::default() });
                self.shrink();
                if full { self.entries.find(key).ok()? } else { place }
            }
        };
        self.entries.0.get_mut(place).map(|entry| &mut entry.value)
    }

    /// Adds `other`'s entries, joining the values of keys that both hold with `join`.
    pub fn merge(&mut self, other: &Self, mut join: impl FnMut(&mut V, &V)) {
        let ours = std::mem::take(&mut self.entries.0);
        let (mut ours, mut theirs) = (ours.into_iter().peekable(), other.entries.0.iter());
        let mut all = Vec::with_capacity(ours.len().max(theirs.len()));
        let mut their = theirs.next();
        while let Some(theirs_now) = their {
            let order = ours.peek().map_or(Ordering::Greater, |held| held.key.cmp(&theirs_now.key));
            match order {
                Ordering::Less => all.extend(ours.next()),
                Ordering::Equal | Ordering::Greater => {
                    let held = ours.next_if(|_| order == Ordering::Equal);
                    let mut joined = held.unwrap_or_else(|| {
                        let Entry { rank, key, .. } = theirs_now;
                        Entry { rank: *rank, key: key.clone(), value: V::default() }
                    });
                    join(&mut joined.value, &theirs_now.value);
                    all.push(joined);
                    their = theirs.next();
                }
            }
        }
        all.extend(ours);
        self.entries.0 = all;
        self.overflowed |= other.overflowed;
        self.shrink();
    }

    /// Lets go of what is too much, the last in rank.
    fn shrink(&mut self) {
        while self.entries.0.len() > CAP {
            self.overflowed = true;
            let last =
                self.entries.0.iter().enumerate().max_by(|a, b| a.1.order().cmp(&b.1.order()));
            let Some((place, _)) = last else { return };
            self.entries.0.remove(place);
        }
    }
}

/// A total order of keys that has nothing to do with what they say: FNV-1a, its bits mixed by
/// MurmurHash3's finalizer. Whoever picks the keys could pick small hashes under any known function,
/// so what counts is that a map that is full is cheap to knock at.
fn rank(key: &str) -> u64 {
    let fnv = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

impl<V, const CAP: usize> Bounded<V, CAP> {
    /// The entries by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.entries.0.iter().map(|entry| (&*entry.key, &entry.value))
    }

    /// The value of `key`, if kept.
    pub fn get(&self, key: &str) -> Option<&V> {
        let place = self.entries.find(key).ok()?;
        self.entries.0.get(place).map(|entry| &entry.value)
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.entries.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.0.is_empty()
    }

    /// Whether some key was left out for want of room.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}
