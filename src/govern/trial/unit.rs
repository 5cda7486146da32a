//! One unit of a trial: what is known of it until its deadline, and what it then counts as.

use serde::{Deserialize, Serialize};

use crate::base::{EventTime, VersionNumber};
use crate::decode::{Outcome, Run};
use crate::fold::{Reward, RewardSpec};
use crate::govern::assign::Lot;

/// A session, or a run that belongs to none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
pub(super) struct Unit {
    pub(super) lot: Lot,
    /// The start of its first run: its assignment.
    pub(super) start: EventTime,
    /// The version it says it ran under.
    pub(super) version: Option<VersionNumber>,
    /// Whether it said more than one.
    pub(super) mixed: bool,
    announced: u32,
    finished: u32,
    /// Finished runs with known outcome, and sums over them.
    known: u32,
    success: u32,
    reward: i64,
    quickness: i64,
}

/// The same in a row: a segment of units is written again with each of them.
type Packed = (u64, i64, u32, bool, u32, u32, u32, u32, i64, i64);

/// What a run is measured by; frozen when the trial begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measure {
    pub(super) reward: RewardSpec,
    /// Milliseconds at and above which a run is as slow as can be.
    pub(super) slowest: i64,
}

/// What a unit counts as: means over its runs, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Values {
    pub(super) reward: i64,
    pub(super) success: i64,
    pub(super) quickness: i64,
}

impl Unit {
    pub(super) fn new(lot: Lot, start: EventTime, version: Option<VersionNumber>) -> Self {
        Self {
            lot,
            start,
            version,
            mixed: false,
            announced: 0,
            finished: 0,
            known: 0,
            success: 0,
            reward: 0,
            quickness: 0,
        }
    }

    /// One of its runs began.
    pub(super) fn announce(&mut self, version: Option<VersionNumber>) {
        self.says(version);
        self.announced = self.announced.saturating_add(1);
    }

    /// One of its runs ended; as a failure if that was after `deadline`, whatever it brought.
    pub(super) fn finish(&mut self, run: &Run, measure: &Measure, deadline: i64) {
        self.says(run.version);
        self.finished = self.finished.saturating_add(1);
        self.turn_out(run, measure, deadline);
    }

    /// Says how a run turned out that ended; nothing, if nobody knows.
    pub(super) fn turn_out(&mut self, run: &Run, measure: &Measure, deadline: i64) {
        let Some(reward) = measure.reward.reward(run) else { return };
        self.known = self.known.saturating_add(1);
        let millis = run.end.millis_since(run.start);
        if run.end.millis_since(self.start) > deadline {
            return;
        }
        self.success = self.success.saturating_add(u32::from(run.outcome == Outcome::Success));
        self.reward = self.reward.saturating_add(reward.total());
        let left = (measure.slowest - millis).clamp(0, measure.slowest);
        self.quickness = self.quickness.saturating_add(left * Reward::ONE / measure.slowest.max(1));
    }

    /// A run that names no version leaves it at what the others say.
    fn says(&mut self, version: Option<VersionNumber>) {
        let Some(version) = version else { return };
        self.mixed |= *self.version.get_or_insert(version) != version;
    }

    /// What it counts as at its deadline; `None` if nobody knows how any of its runs ended. What was
    /// announced and has not ended is a failure.
    pub(super) fn values(&self) -> Option<Values> {
        let unfinished = self.announced.saturating_sub(self.finished);
        let runs = i64::from(self.known) + i64::from(unfinished);
        (runs > 0).then(|| Values {
            reward: self.reward / runs,
            success: i64::from(self.success) * Reward::ONE / runs,
            quickness: self.quickness / runs,
        })
    }
}

impl From<Unit> for Packed {
    fn from(unit: Unit) -> Self {
        (
            unit.lot.id(),
            unit.start.as_millis(),
            unit.version.map_or(0, |version| version.0),
            unit.mixed,
            unit.announced,
            unit.finished,
            unit.known,
            unit.success,
            unit.reward,
            unit.quickness,
        )
    }
}

impl From<Packed> for Unit {
    fn from(packed: Packed) -> Self {
        let (lot, start, version, mixed, announced, finished, known, success, reward, quickness) =
            packed;
        Self {
            lot: Lot::from_id(lot),
            start: EventTime::from_millis(start),
            version: (version > 0).then_some(VersionNumber(version)),
            mixed,
            announced,
            finished,
            known,
            success,
            reward,
            quickness,
        }
    }
}
