//! The units whose deadline has not come, in order of assignment. Judges nothing.
//!
//! Results come in order of completion, which says something of the outcome: where failures are quick,
//! a new version's first results are its failures. So each unit waits here until its deadline has
//! passed, and leaves in the order in which it was assigned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::unit::Unit;
use crate::base::{EventTime, Tracked};
use crate::govern::assign::Lot;

/// Stored in segments, so that one more run rewrites one of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::govern) struct Pending {
    segments: Vec<Tracked<Segment>>,
}

/// Some of the units, by start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<Unit>", from = "Vec<Unit>")]
pub(in crate::govern) struct Segment(BTreeMap<(EventTime, u64), Unit>);

impl Pending {
    const SEGMENTS: u8 = 16;
    /// The most units that wait. Where more come, every second of them is left out, by hash.
    pub(super) const MOST: usize = 1024;

    /// What `segments` held; those that are not there are empty.
    pub(in crate::govern) fn stored(mut segments: BTreeMap<u8, Segment>) -> Self {
        let segments = (0..Self::SEGMENTS)
            .map(|number| Tracked::stored(segments.remove(&number).unwrap_or_default()));
        Self { segments: segments.collect() }
    }

    /// The segments that changed since this was last asked, or since they were read.
    pub(in crate::govern) fn take_changes(&mut self) -> impl Iterator<Item = (u8, &Segment)> {
        let segments = (0..).zip(&mut self.segments);
        segments.filter_map(|(number, segment)| Some((number, segment.take_change()?)))
    }

    pub(in crate::govern) fn clear(&mut self) {
        for segment in &mut self.segments {
            if !segment.0.is_empty() {
                segment.0.clear();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.0.len()).sum()
    }

    pub(super) fn contains(&self, lot: Lot) -> bool {
        self.segment(lot).is_some_and(|segment| segment.0.keys().any(|(_, id)| *id == lot.id()))
    }

    /// Changes the unit of `lot`, or adds it.
    pub(super) fn update(&mut self, lot: Lot, new: Unit, change: impl FnOnce(&mut Unit)) {
        let Some(segment) = self.segments.get_mut(Self::number(lot)) else { return };
        let key = segment.0.keys().find(|(_, id)| *id == lot.id()).copied();
        let known = key.and_then(|key| segment.0.remove(&key));
        let mut unit = known.unwrap_or(new);
        unit.start = unit.start.min(new.start);
        change(&mut unit);
        segment.0.insert((unit.start, lot.id()), unit);
    }

    /// Takes the unit that was assigned first, if its outcome is due at `now`.
    pub(super) fn take_due(&mut self, now: EventTime, deadline: i64) -> Option<Unit> {
        let firsts = self.segments.iter().enumerate();
        let firsts = firsts.filter_map(|(number, segment)| {
            let (key, _) = segment.0.first_key_value()?;
            Some((*key, number))
        });
        let ((start, id), number) = firsts.min()?;
        if start.plus_millis(deadline) > now {
            return None;
        }
        self.segments.get_mut(number)?.0.remove(&(start, id))
    }

    /// Leaves out the units that `keep` does not name.
    pub(super) fn retain(&mut self, keep: impl Fn(Lot) -> bool) {
        for segment in &mut self.segments {
            if segment.0.values().any(|unit| !keep(unit.lot)) {
                segment.0.retain(|_, unit| keep(unit.lot));
            }
        }
    }

    fn segment(&self, lot: Lot) -> Option<&Segment> {
        self.segments.get(Self::number(lot)).map(|segment| &**segment)
    }

    /// By other bits than those that units are left out by.
    fn number(lot: Lot) -> usize {
        usize::from(u8::try_from((lot.chance() >> 16) % u32::from(Self::SEGMENTS)).unwrap_or(0))
    }
}

impl Default for Pending {
    fn default() -> Self {
        Self::stored(BTreeMap::new())
    }
}

impl From<Segment> for Vec<Unit> {
    fn from(segment: Segment) -> Self {
        segment.0.into_values().collect()
    }
}

impl From<Vec<Unit>> for Segment {
    fn from(units: Vec<Unit>) -> Self {
        Self(units.into_iter().map(|unit| ((unit.start, unit.lot.id()), unit)).collect())
    }
}
