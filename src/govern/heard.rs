//! What was said lately of how runs turned out, and of which runs nobody said anything in time. Knows no
//! runs.
//!
//! Kept whether its run has come or not: feedback overtakes runs, and one that is repeated has to be known.
//! Stored in segments by hash, so that one more label rewrites one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{EventTime, Tracked};
use crate::decode::Outcome;

/// The last 4096 labels of one agent at least, by a 64-bit hash of the id they are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    segments: BTreeMap<u8, Tracked<Said>>,
}

/// Some of what was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<Packed>", from = "Vec<Packed>")]
pub(super) struct Said(BTreeMap<u64, (EventTime, Word)>);

type Packed = (u64, EventTime, Word);

/// What was said of one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// That it turned out so.
    Label(Outcome),
    /// Nothing, for as long as its run waited.
    GivenUp,
}

impl Heard {
    const SEGMENTS: u64 = 64;
    /// Twice the share that a segment has of the 4096: hashes spread well enough for that.
    const SEGMENT: usize = 128;

    /// What `segments` held; those that are not there are empty.
    pub(super) fn stored(segments: BTreeMap<u8, Said>) -> Self {
        let segments = segments.into_iter();
        Self { segments: segments.map(|(number, said)| (number, Tracked::stored(said))).collect() }
    }

    /// The segments that changed since this was last asked, or since they were read.
    pub(super) fn take_changes(&mut self) -> impl Iterator<Item = (u8, &Said)> {
        let segments = self.segments.iter_mut();
        segments.filter_map(|(number, said)| Some((*number, said.take_change()?)))
    }

    /// What was said of `id` within the last `horizon` milliseconds.
    pub(super) fn get(&self, id: u64, now: EventTime, horizon: i64) -> Option<Word> {
        let (at, word) = self.segments.get(&Self::number(id))?.0.get(&id)?;
        (now.millis_since(*at) <= horizon).then_some(*word)
    }

    /// Notes what is said of `id` now. What is older than `horizon` milliseconds makes room, and then what
    /// is oldest.
    pub(super) fn note(&mut self, id: u64, word: Word, now: EventTime, horizon: i64) {
        let said = &mut self.segments.entry(Self::number(id)).or_default().0;
        said.retain(|_, (at, _)| now.millis_since(*at) <= horizon);
        while said.len() >= Self::SEGMENT {
            let oldest = said.iter().map(|(id, (at, _))| (*at, *id)).min();
            let Some((_, oldest)) = oldest else { break };
            said.remove(&oldest);
        }
        said.insert(id, (now, word));
    }

    fn number(id: u64) -> u8 {
        u8::try_from(id % Self::SEGMENTS).unwrap_or_default()
    }
}

impl From<Said> for Vec<Packed> {
    fn from(said: Said) -> Self {
        said.0.into_iter().map(|(id, (at, word))| (id, at, word)).collect()
    }
}

impl From<Vec<Packed>> for Said {
    fn from(packed: Vec<Packed>) -> Self {
        Self(packed.into_iter().map(|(id, at, word)| (id, (at, word))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;

    const HORIZON: i64 = 1_000_000;
    const GOOD: Word = Word::Label(Outcome::Success);

    fn id(number: u64) -> u64 {
        Digest::hash64(&number.to_be_bytes())
    }

    fn at(millis: u64) -> EventTime {
        EventTime::from_millis(i64::try_from(millis).unwrap())
    }

    #[test]
    fn the_last_4096_labels_are_known_and_not_many_more() {
        let mut heard = Heard::default();
        for number in 0..30_000 {
            heard.note(id(number), GOOD, at(number), HORIZON);
        }
        let known = |number: &u64| heard.get(id(*number), at(30_000), HORIZON) == Some(GOOD);
        assert!((30_000 - 4096..30_000).all(|number| known(&number)));
        assert!((0..30_000).filter(known).count() <= 64 * 128);
    }

    #[test]
    fn a_label_is_forgotten_when_its_horizon_has_passed() {
        let mut heard = Heard::default();
        heard.note(id(1), GOOD, at(5), 100);
        assert_eq!(heard.get(id(1), at(105), 100), Some(GOOD));
        assert_eq!(heard.get(id(1), at(106), 100), None);
        heard.note(id(1), Word::GivenUp, at(200), 100);
        assert_eq!(heard.get(id(1), at(201), 100), Some(Word::GivenUp));
        let held = |heard: &Heard| heard.segments.values().map(|said| said.0.len()).sum::<usize>();
        for number in 0..5_000 {
            heard.note(id(number), GOOD, at(number * 100), 99);
        }
        assert!(held(&heard) <= 64, "the next one takes what is over along: {}", held(&heard));
    }

    #[test]
    fn one_more_label_writes_one_segment_and_all_are_read_again() {
        let (mut heard, mut table) = (Heard::default(), BTreeMap::new());
        for number in 0..6_000 {
            let word = if number % 3 == 0 { Word::GivenUp } else { GOOD };
            heard.note(id(number), word, at(number), HORIZON);
            let changes: Vec<_> = heard.take_changes().collect();
            assert_eq!(changes.len(), 1);
            for (number, said) in changes {
                let bytes = rmp_serde::to_vec_named(said).unwrap();
                assert!(bytes.len() < 4 * 1024, "{}", bytes.len());
                table.insert(number, rmp_serde::from_slice(&bytes).unwrap());
            }
        }
        let mut again = Heard::stored(table);
        assert_eq!(again, heard);
        assert_eq!(again.take_changes().count(), 0);
    }
}
