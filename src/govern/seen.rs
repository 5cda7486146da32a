//! Which trace ids came by lately, so that a trace sent twice is counted once.
//!
//! A ring, cut into segments that are stored one by one: one more id rewrites one of them.

use std::collections::BTreeMap;

use crate::base::{Digest, Tracked};

/// The last [`Seen::CAPACITY`] trace ids of one agent, as 64-bit hashes (32 KB when full, next to
/// nothing before). A trace that is sent again after that many others counts again. Two ids that
/// share a hash are taken for one: at 4096 held, that loses one trace in about 4·10^15.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// How many ids were ever noted: says where in the ring the next one goes.
    noted: u64,
    /// All but the last are full.
    segments: Vec<Tracked<Vec<u64>>>,
    /// Sixteen bits of each id, in the order of the segments: most ids that are looked for are not there, and these
    /// tell so in a tenth of the time.
    prints: Vec<u16>,
}

/// A stored segment that is not as long as the count of noted ids makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) segment: u8,
    pub(super) held: usize,
    pub(super) expected: usize,
}

impl Seen {
    const SEGMENTS: u8 = 16;
    const SEGMENT: usize = 256;
    const CAPACITY: usize = Self::SEGMENTS as usize * Self::SEGMENT;

    /// Puts the ring together again.
    pub(super) fn stored(noted: u64, segments: BTreeMap<u8, Vec<u64>>) -> Result<Self, Misfit> {
        let lengths = (0..=u8::MAX).map(|segment| (segment, Self::length(noted, segment)));
        let mut rest = segments;
        let mut segments = Vec::new();
        for (segment, expected) in lengths {
            let ids = rest.remove(&segment).unwrap_or_default();
            if ids.len() != expected {
                return Err(Misfit { segment, held: ids.len(), expected });
            }
            if expected > 0 {
                segments.push(Tracked::stored(ids));
            }
        }
        let prints = segments.iter().flat_map(|ids| ids.iter().map(|id| print(*id))).collect();
        Ok(Self { noted, segments, prints })
    }

    /// How many ids a segment holds once `noted` were noted.
    fn length(noted: u64, segment: u8) -> usize {
        if segment >= Self::SEGMENTS {
            return 0;
        }
        let filled = usize::try_from(noted).unwrap_or(usize::MAX);
        filled.saturating_sub(usize::from(segment) * Self::SEGMENT).min(Self::SEGMENT)
    }

    pub(super) fn noted(&self) -> u64 {
        self.noted
    }

    /// Whether `id` was noted lately.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.holds(Digest::hash64(id.as_bytes()))
    }

    fn holds(&self, hash: u64) -> bool {
        let is_there = |slot: usize| {
            let ids = self.segments.get(slot / Self::SEGMENT);
            ids.and_then(|ids| ids.get(slot % Self::SEGMENT)) == Some(&hash)
        };
        let print = print(hash);
        let rows = (0..).step_by(ROW).zip(self.prints.chunks(ROW));
        // All of a row at once, without looking where: that takes a few instructions.
        let rows =
            rows.filter(|(_, row)| row.iter().fold(false, |any, held| any | (*held == print)));
        rows.flat_map(|(first, row)| first..first + row.len()).any(is_there)
    }

    /// Notes `id`; false if it was noted before.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let hash = Digest::hash64(id.as_bytes());
        if self.holds(hash) {
            return false;
        }
        let slot = usize::try_from(self.noted % Self::CAPACITY as u64).unwrap_or_default();
        let (segment, place) = (slot / Self::SEGMENT, slot % Self::SEGMENT);
        if segment == self.segments.len() {
            self.segments.push(Tracked::default());
        }
        if let Some(ids) = self.segments.get_mut(segment) {
            match ids.get_mut(place) {
                Some(oldest) => *oldest = hash,
                None => ids.push(hash),
            }
        }
        match self.prints.get_mut(slot) {
            Some(oldest) => *oldest = print(hash),
            None => self.prints.push(print(hash)),
        }
        self.noted += 1;
        true
    }

    /// The segments that changed since this was last asked, or since they were read.
    pub(super) fn take_changes(&mut self) -> impl Iterator<Item = (u8, &[u64])> {
        let segments = (0..).zip(&mut self.segments);
        segments.filter_map(|(segment, ids)| Some((segment, ids.take_change()?.as_slice())))
    }
}

/// Prints that are compared at once.
const ROW: usize = 64;

/// Any sixteen bits of a hash will do.
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits are wanted")]
fn print(id: u64) -> u16 {
    id as u16
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn taken(seen: &mut Seen) -> BTreeMap<u8, Vec<u64>> {
        seen.take_changes().map(|(segment, ids)| (segment, ids.to_vec())).collect()
    }

    #[test]
    fn the_last_4096_ids_are_known_and_no_other() {
        let (mut seen, mut last) = (Seen::default(), VecDeque::new());
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..40_000 {
            let id = rng.u32(0..6_000);
            let new = !last.contains(&id);
            assert_eq!(seen.insert(&id.to_string()), new, "{id}");
            if new {
                last.push_back(id);
            }
            if last.len() > 4096 {
                last.pop_front();
            }
        }
        assert!(seen.noted() > 3 * 4096, "the ring went round");
    }

    #[test]
    fn one_more_id_changes_one_segment() {
        let mut seen = Seen::default();
        for id in 0..10_000u64 {
            assert!(seen.insert(&id.to_string()));
            let changed: Vec<_> = taken(&mut seen).into_keys().collect();
            assert_eq!(changed, [u8::try_from(id % 4096 / 256).unwrap()]);
            assert!(!seen.insert(&id.to_string()));
            assert_eq!(taken(&mut seen), BTreeMap::new());
        }
    }

    #[test]
    fn a_ring_is_put_together_again_at_any_length() {
        let (mut seen, mut table) = (Seen::default(), BTreeMap::new());
        for id in 0..10_000u32 {
            seen.insert(&id.to_string());
            if id % 97 == 0 || (4090..4100).contains(&id) {
                table.extend(taken(&mut seen));
                let mut again = Seen::stored(seen.noted(), table.clone()).unwrap();
                assert_eq!(again, seen);
                assert_eq!(taken(&mut again), BTreeMap::new());
            }
        }
    }

    #[test]
    fn a_segment_that_does_not_fit_is_named() {
        let check = |noted, segments: &[(u8, usize)], segment, held, expected| {
            let ids = |length: &(u8, usize)| (length.0, vec![0; length.1]);
            let refused = Seen::stored(noted, segments.iter().map(ids).collect()).unwrap_err();
            assert_eq!(refused, Misfit { segment, held, expected });
        };
        check(0, &[(0, 1)], 0, 1, 0);
        check(1, &[], 0, 0, 1);
        check(300, &[(0, 256)], 1, 0, 44);
        check(300, &[(0, 256), (1, 45)], 1, 45, 44);
        check(5000, &[(0, 256)], 1, 0, 256);
        check(1, &[(0, 1), (200, 3)], 200, 3, 0);
    }
}
