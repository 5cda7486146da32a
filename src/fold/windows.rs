//! Event-time windows over panes, per version.
//!
//! A pane is the shortest stretch that every window is a whole number of. Time only moves with
//! traces: the watermark is the latest end seen, so the same runs give the same windows at any speed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Aggregate, Counts, Limits, RewardSpec};
use crate::base::{EventTime, VersionNumber};
use crate::decode::Run;

/// How runs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// The shape.
    pub kind: WindowKind,
    /// Milliseconds after a pane's end, in event time, during which late runs still join it.
    pub allowed_lateness: i64,
}

/// A window's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// Adjoining stretches of `length` milliseconds, aligned to the epoch.
    Tumbling {
        /// Milliseconds, above 0.
        length: i64,
    },
    /// The last `length` milliseconds, moved on by `slide`.
    Sliding {
        /// Milliseconds, a multiple of `slide`.
        length: i64,
        /// Milliseconds, above 0.
        slide: i64,
    },
    /// Groups of so many runs with known outcome, in order of arrival; lateness does not apply.
    Count {
        /// Runs, above 0.
        runs: u64,
    },
}

/// The most panes one agent keeps; the oldest go first. Bounds what an agent with many versions and
/// a long window can hold.
const MAX_PANES: usize = 256;

/// The panes of one agent.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Windows {
    watermark: Option<EventTime>,
    panes: BTreeMap<VersionNumber, BTreeMap<i64, Aggregate>>,
}

/// Where a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Into its pane.
    Pane,
    /// Nowhere: its pane had closed, allowed lateness included.
    Late,
}

impl WindowSpec {
    fn pane(&self) -> Option<i64> {
        match self.kind {
            WindowKind::Tumbling { length } => Some(length),
            WindowKind::Sliding { slide, .. } => Some(slide),
            WindowKind::Count { .. } => None,
        }
    }
}

impl Windows {
    /// The latest end seen; nothing before the first run.
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// Adds `run`, which ran under `version`, to its pane, unless that has closed.
    pub fn fold(
        &mut self,
        spec: &WindowSpec,
        version: VersionNumber,
        run: &Run,
        add: (&RewardSpec, Limits, bool),
    ) -> Folded {
        let pane = match spec.pane() {
            Some(length) => {
                let pane = run.end.as_millis().div_euclid(length);
                if self.closed(pane, length, spec.allowed_lateness) {
                    return Folded::Late;
                }
                pane
            }
            None => self.counting_pane(spec, version),
        };
        let (reward, limits, attributed) = add;
        let aggregate = self.panes.entry(version).or_default().entry(pane).or_default();
        aggregate.add(run, reward, limits, attributed);
        self.watermark = self.watermark.max(Some(run.end));
        self.expire(spec);
        Folded::Pane
    }

    fn closed(&self, pane: i64, length: i64, allowed_lateness: i64) -> bool {
        let end = pane.saturating_add(1).saturating_mul(length);
        self.watermark
            .is_some_and(|watermark| end.saturating_add(allowed_lateness) <= watermark.as_millis())
    }

    fn counting_pane(&self, spec: &WindowSpec, version: VersionNumber) -> i64 {
        let WindowKind::Count { runs } = spec.kind else { return 0 };
        let last = self.panes.get(&version).and_then(BTreeMap::last_key_value);
        match last {
            Some((pane, aggregate)) if aggregate.counts.known() >= runs => pane + 1,
            Some((pane, _)) => *pane,
            None => 0,
        }
    }

    fn expire(&mut self, spec: &WindowSpec) {
        let watermark = self.watermark.map_or(0, EventTime::as_millis);
        for panes in self.panes.values_mut() {
            let oldest = match spec.kind {
                WindowKind::Tumbling { length } => {
                    (watermark - spec.allowed_lateness).div_euclid(length)
                }
                WindowKind::Sliding { length, slide } => {
                    (watermark - length - spec.allowed_lateness).div_euclid(slide)
                }
                WindowKind::Count { .. } => {
                    panes.last_key_value().map_or(0, |(pane, _)| pane.saturating_sub(1))
                }
            };
            *panes = panes.split_off(&oldest);
        }
        self.panes.retain(|_, panes| !panes.is_empty());
        while self.panes.values().map(BTreeMap::len).sum::<usize>() > MAX_PANES {
            let oldest = self
                .panes
                .iter()
                .filter_map(|(version, panes)| Some((*panes.first_key_value()?.0, *version)))
                .min();
            let Some((pane, version)) = oldest else { return };
            if let Some(panes) = self.panes.get_mut(&version) {
                panes.remove(&pane);
            }
            self.panes.retain(|_, panes| !panes.is_empty());
        }
    }

    /// Outcomes in the window of `version` that a run ending at `at` belongs to: cheap, to decide
    /// whether [`Windows::window`] is worth its merge.
    pub fn counts(&self, spec: &WindowSpec, version: VersionNumber, at: EventTime) -> Counts {
        let mut counts = Counts::default();
        for pane in self.panes_of(spec, version, at) {
            counts.merge(pane.counts);
        }
        counts
    }

    /// The window of `version` that a run ending at `at` belongs to, merged.
    pub fn window(&self, spec: &WindowSpec, version: VersionNumber, at: EventTime) -> Aggregate {
        merged(self.panes_of(spec, version, at))
    }

    /// Everything still held of `version`, merged: for people, not for decisions.
    pub fn held(&self, version: VersionNumber) -> Aggregate {
        merged(self.panes.get(&version).into_iter().flat_map(BTreeMap::values))
    }

    /// How many panes are held.
    pub fn panes(&self) -> usize {
        self.panes.values().map(BTreeMap::len).sum()
    }

    fn panes_of(
        &self,
        spec: &WindowSpec,
        version: VersionNumber,
        at: EventTime,
    ) -> impl Iterator<Item = &Aggregate> {
        let watermark = self.watermark.map_or(0, EventTime::as_millis);
        let range = match spec.kind {
            WindowKind::Tumbling { length } => {
                let pane = at.as_millis().div_euclid(length);
                pane..=pane
            }
            WindowKind::Sliding { length, slide } => {
                let last = watermark.div_euclid(slide);
                (last - length / slide + 1)..=last
            }
            WindowKind::Count { .. } => {
                let panes = self.panes.get(&version);
                let last = panes.and_then(BTreeMap::last_key_value).map_or(0, |(pane, _)| *pane);
                last..=last
            }
        };
        self.panes
            .get(&version)
            .into_iter()
            .flat_map(move |panes| panes.range(range.clone()))
            .map(|(_, aggregate)| aggregate)
    }
}

fn merged<'a>(panes: impl Iterator<Item = &'a Aggregate>) -> Aggregate {
    let mut all = Aggregate::default();
    for pane in panes {
        all.merge(pane);
    }
    all
}
