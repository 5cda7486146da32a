//! How far a group has come in one partition: everything below a base, and some records ahead of it.
//!
//! Pure. Both logs keep it in their own way: the base as the group's offset, the rest as a short text
//! beside it, in the same atomic step.

use std::collections::{BTreeSet, VecDeque};

/// Records that may be done ahead of one that is not. The text stays below the 4096 bytes that Kafka
/// takes with an offset (`offset.metadata.max.bytes`).
pub(super) const MAX_AHEAD: usize = 200;

/// A member's progress in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first offset that was not looked at yet.
    next: u64,
    /// Given and not done, rising.
    open: VecDeque<u64>,
    /// Done, although something before is not.
    ahead: BTreeSet<u64>,
}

impl Progress {
    /// Going on where a group left off; `ahead` is what [`Progress::ahead`] gave.
    pub(super) fn resume(base: u64, ahead: &str) -> Result<Self, String> {
        let offset = |text: &str| {
            let distance = text.parse::<u64>().ok()?;
            base.checked_add(distance)
        };
        let texts = ahead.split(',').filter(|text| !text.is_empty());
        let ahead = texts
            .map(|text| offset(text).ok_or_else(|| format!("{text:?} is no distance")))
            .collect::<Result<_, _>>()?;
        Ok(Self { next: base, open: VecDeque::new(), ahead })
    }

    /// Where reading goes on.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many more records may be given: as many as one likes while nothing is done ahead of another.
    pub(super) fn room(&self) -> usize {
        if self.ahead.is_empty() {
            return usize::MAX;
        }
        MAX_AHEAD.saturating_sub(self.ahead.len())
    }

    /// Takes note of the record at `offset`; false if it was done before and must not be given.
    pub(super) fn give(&mut self, offset: u64) -> bool {
        self.next = offset.saturating_add(1);
        if self.ahead.contains(&offset) {
            self.settle();
            return false;
        }
        self.open.push_back(offset);
        true
    }

    /// There is nothing more before `offset`.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.next = self.next.max(offset);
    }

    /// Everything given is done.
    pub(super) fn finish_all(&mut self) {
        self.open.clear();
        self.settle();
    }

    /// The record at `offset` is done; of one that is not open, nothing is said.
    pub(super) fn finish(&mut self, offset: u64) {
        if let Ok(index) = self.open.binary_search(&offset) {
            self.open.remove(index);
            self.ahead.insert(offset);
            self.settle();
        }
    }

    /// Everything given below `offset` is done.
    pub(super) fn finish_below(&mut self, offset: u64) {
        let done = self.open.partition_point(|open| *open < offset);
        self.open.drain(..done);
        self.settle();
    }

    fn settle(&mut self) {
        let base = self.base();
        self.ahead = self.ahead.split_off(&base);
    }

    /// Everything below is done.
    pub(super) fn base(&self) -> u64 {
        self.open.front().copied().unwrap_or(self.next)
    }

    /// What is done from the base on, as a text.
    pub(super) fn ahead(&self) -> String {
        let base = self.base();
        let distances: Vec<_> =
            self.ahead.range(base..).map(|done| done.saturating_sub(base).to_string()).collect();
        distances.join(",")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Members come and go; each is given what is not done, exactly, in order.
        #[test]
        fn nothing_done_is_given_again_and_nothing_else_is_left_out(
            lives in prop::collection::vec((0..40_usize, prop::collection::vec(any::<prop::sample::Index>(), 0..30)), 1..8),
            gaps in prop::collection::vec(1..5_u64, 60),
        ) {
            let offsets: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut done = BTreeSet::new();
            let (mut base, mut ahead) = (0, String::new());
            for (give, finish) in lives {
                let mut progress = Progress::resume(base, &ahead).unwrap();
                let mut given = Vec::new();
                let from = progress.next();
                for offset in offsets.iter().copied().filter(|offset| *offset >= from).take(give) {
                    if progress.give(offset) {
                        prop_assert!(!done.contains(&offset));
                        given.push(offset);
                    } else {
                        prop_assert!(done.contains(&offset));
                    }
                }
                for index in finish {
                    if given.is_empty() { break }
                    let offset = given.remove(index.index(given.len()));
                    progress.finish(offset);
                    done.insert(offset);
                }
                (base, ahead) = (progress.base(), progress.ahead());
                let undone = offsets.iter().find(|offset| !done.contains(offset));
                prop_assert!(undone.is_none_or(|undone| base <= *undone));
                prop_assert!(offsets.iter().filter(|offset| **offset < base).all(|o| done.contains(o)));
            }
        }
    }

    #[test]
    fn the_text_stays_short_however_far_ahead() {
        let mut progress = Progress::resume(u64::from(u32::MAX), "").unwrap();
        let first = u64::from(u32::MAX);
        progress.give(first);
        for n in 1..=MAX_AHEAD as u64 {
            progress.give(first + n * 1_000_000);
            progress.finish(first + n * 1_000_000);
        }
        assert_eq!(progress.room(), 0);
        assert!(progress.ahead().len() < 4096, "{}", progress.ahead().len());
        progress.finish(first);
        assert_eq!((progress.room(), progress.ahead().as_str()), (usize::MAX, ""));
    }

    #[test]
    fn what_is_done_below_an_offset_is_a_whole_stretch() {
        let mut progress = Progress::resume(10, "").unwrap();
        [10, 12, 15, 19].into_iter().for_each(|offset| assert!(progress.give(offset)));
        progress.finish(15);
        progress.finish_below(12);
        assert_eq!((progress.base(), progress.ahead().as_str()), (12, "3"));
        progress.finish_below(19);
        assert_eq!((progress.base(), progress.ahead().as_str()), (19, ""));
        progress.finish_below(5);
        assert_eq!((progress.base(), progress.next()), (19, 20), "it never goes back");
        progress.finish_below(100);
        assert_eq!(progress.base(), 20, "what was not given is not done");
    }

    #[test]
    fn a_text_that_is_not_ours_is_refused() {
        assert!(Progress::resume(5, "1,x").is_err());
        assert!(Progress::resume(u64::MAX, "1").is_err());
    }
}
