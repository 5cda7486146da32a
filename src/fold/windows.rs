//! Event-time windows over panes, per version.
//!
//! A pane is the shortest stretch that every window is a whole number of. Time only moves with
//! traces: the watermark is the latest end seen, so the same runs give the same windows at any speed.
//! Panes go by the time they start, not by a running number, so that those of an earlier
//! [`WindowSpec`] age and expire like any other.

use serde::{Deserialize, Serialize};

use super::panes::{ChangedPane, Panes};
use super::{Aggregate, Counts, Limits, Point, Points, RewardSpec};
use crate::base::{EventTime, Tracked, VersionNumber};
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

/// The panes of one agent. Stored pane by pane, see [`Windows::take_changes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    watermark: Option<EventTime>,
    /// By version and start in milliseconds; count windows are numbered instead.
    panes: Panes,
    /// What is left of panes that were dropped.
    points: Tracked<Points>,
}

/// Where a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Into the pane that starts then, in milliseconds; or into the one of that number, where runs are
    /// counted.
    Pane(i64),
    /// Nowhere: its pane had closed, allowed lateness included, or had made room for later ones.
    Late,
}

impl WindowSpec {
    /// What is impossible about this spec, naming the field; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        if self.allowed_lateness < 0 {
            return Some("allowed_lateness must be 0 or above".to_owned());
        }
        let (length, pane) = match self.kind {
            WindowKind::Count { runs: 0 } => return Some("runs must be above 0".to_owned()),
            WindowKind::Count { .. } => return None,
            WindowKind::Tumbling { length } => (length, length),
            WindowKind::Sliding { length, slide } => (length, slide),
        };
        if length <= 0 || pane <= 0 {
            return Some("length and slide must be above 0".to_owned());
        }
        if length % pane != 0 {
            return Some("length must be a whole number of slides".to_owned());
        }
        let panes = length.saturating_add(self.allowed_lateness) / pane;
        let most = MAX_PANES - 2;
        usize::try_from(panes).map_or(true, |panes| panes > most).then(|| {
            format!("length and allowed_lateness span {panes} slides, at most {most} are kept")
        })
    }

    /// The length of a pane in milliseconds, at least 1; `None` where runs are counted.
    fn pane(&self) -> Option<i64> {
        match self.kind {
            WindowKind::Tumbling { length } => Some(length.max(1)),
            WindowKind::Sliding { slide, .. } => Some(slide.max(1)),
            WindowKind::Count { .. } => None,
        }
    }
}

/// The start of the pane of `length` milliseconds that `millis` lies in.
fn start(millis: i64, length: i64) -> i64 {
    millis.div_euclid(length).saturating_mul(length)
}

impl Default for Windows {
    /// Of nothing there is nothing to be stored.
    fn default() -> Self {
        Self::stored(None, [], Points::default())
    }
}

impl Windows {
    /// Windows as they were read from where they are stored.
    pub fn stored(
        watermark: Option<EventTime>,
        panes: impl IntoIterator<Item = (VersionNumber, i64, Aggregate)>,
        points: Points,
    ) -> Self {
        Self { watermark, panes: Panes::stored(panes), points: Tracked::stored(points) }
    }

    /// The panes that changed or went since this was last asked, or since they were read: at most as
    /// many as runs came in, and those that expired. With them the points, if any was added.
    pub fn take_changes(&mut self) -> (Vec<ChangedPane<'_>>, Option<&Points>) {
        (self.panes.take_changes(), self.points.take_change())
    }

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
                let pane = start(run.end.as_millis(), length);
                let closes = pane.saturating_add(length).saturating_add(spec.allowed_lateness);
                if self.watermark.is_some_and(|watermark| closes <= watermark.as_millis()) {
                    return Folded::Late;
                }
                pane
            }
            None => self.counting_pane(spec, version),
        };
        let (reward, limits, attributed) = add;
        self.panes.entry(version, pane).add(run, reward, limits, attributed);
        self.watermark = self.watermark.max(Some(run.end));
        self.settle(spec, (version, pane))
    }

    /// Takes in how a run turned out that was added to `pane` of `version` with an unknown outcome; `add` is
    /// what it was added with. As long as the pane is held, all is as if the run had come with the outcome
    /// that it now has. Where runs are counted it moves to the pane that is being filled, whatever became
    /// of its own.
    pub fn relabel(
        &mut self,
        spec: &WindowSpec,
        (version, pane): (VersionNumber, i64),
        run: &Run,
        add: (&RewardSpec, Limits, bool),
    ) -> Folded {
        let (reward, limits, attributed) = add;
        let held = self.panes.contains(version, pane);
        let into = match spec.pane() {
            Some(_) if !held => return Folded::Late,
            Some(_) => pane,
            None => self.counting_pane(spec, version),
        };
        if held && into == pane {
            self.panes.entry(version, pane).relabel(run, reward, limits);
            return Folded::Pane(pane);
        }
        if held {
            self.panes.entry(version, pane).take_unknown(attributed);
        }
        self.panes.entry(version, into).add(run, reward, limits, attributed);
        self.settle(spec, (version, into))
    }

    /// Drops what is too old or too much now that a run has `entered` a pane.
    fn settle(&mut self, spec: &WindowSpec, entered: (VersionNumber, i64)) -> Folded {
        let expired = self.expire(spec);
        let crowded_out = self.panes.make_room(MAX_PANES).into_iter();
        // A run that found no room is late, and leaves nothing behind.
        let crowded_out = crowded_out.filter(|(pane, _)| *pane != entered).map(|(_, point)| point);
        for point in expired.into_iter().chain(crowded_out) {
            Points::note(&mut self.points, point);
        }
        let (version, pane) = entered;
        if self.panes.contains(version, pane) { Folded::Pane(pane) } else { Folded::Late }
    }

    fn counting_pane(&self, spec: &WindowSpec, version: VersionNumber) -> i64 {
        let WindowKind::Count { runs } = spec.kind else { return 0 };
        match self.panes.last(version) {
            Some((pane, aggregate)) if aggregate.counts.known() >= runs => pane.saturating_add(1),
            Some((pane, _)) => pane,
            None => 0,
        }
    }

    /// Drops the panes that no window and no late run will ask for again; what is left of them.
    fn expire(&mut self, spec: &WindowSpec) -> Vec<Point> {
        let watermark = self.watermark.map_or(0, EventTime::as_millis);
        let open = watermark.saturating_sub(spec.allowed_lateness);
        self.panes.expire(|last| match spec.kind {
            WindowKind::Tumbling { length } => start(open, length.max(1)),
            WindowKind::Sliding { length, slide } => {
                start(open.saturating_sub(length), slide.max(1))
            }
            WindowKind::Count { .. } => last.saturating_sub(1),
        })
    }

    /// Outcomes in the same window as [`Windows::window`]: cheap, to decide whether that is worth
    /// its merge.
    pub fn counts(&self, spec: &WindowSpec, version: VersionNumber, at: EventTime) -> Counts {
        let mut counts = Counts::default();
        for pane in self.panes_of(spec, version, at) {
            counts.merge(pane.counts);
        }
        counts
    }

    /// The window of `version` that a run ending at `at` belongs to, merged. A sliding window is the
    /// one that reaches to the watermark and a count window the one being filled, whatever `at`.
    pub fn window(&self, spec: &WindowSpec, version: VersionNumber, at: EventTime) -> Aggregate {
        merged(self.panes_of(spec, version, at))
    }

    /// Everything still held of `version`, merged: for people, not for decisions.
    pub fn held(&self, version: VersionNumber) -> Aggregate {
        merged(self.panes.range(version, i64::MIN..=i64::MAX))
    }

    /// How runs fared from the oldest point on: those of panes that were dropped and those that the panes held
    /// would leave now, by the time of the first run, then by version. A label that came after its pane was
    /// dropped is in none of them.
    pub fn past(&self) -> Vec<Point> {
        let mut past: Vec<_> = self.points.iter().copied().chain(self.panes.points()).collect();
        past.sort_by_key(|point| (point.from(), point.version()));
        past
    }

    /// How many panes are held.
    pub fn panes(&self) -> usize {
        self.panes.len()
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
                let length = length.max(1);
                let first = start(at.as_millis(), length);
                first..=first.saturating_add(length - 1)
            }
            WindowKind::Sliding { length, slide } => {
                let last = start(watermark, slide.max(1));
                // A range that ends before it starts would panic.
                last.saturating_sub(length).saturating_add(slide).min(last)..=last
            }
            WindowKind::Count { .. } => {
                let last = self.panes.last(version).map_or(0, |(pane, _)| pane);
                last..=last
            }
        };
        self.panes.range(version, range)
    }
}

fn merged<'a>(panes: impl Iterator<Item = &'a Aggregate>) -> Aggregate {
    let mut all = Aggregate::default();
    for pane in panes {
        all.merge(pane);
    }
    all
}
