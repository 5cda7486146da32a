//! One trial: two versions on concurrent units, and what they prove.
//!
//! ```text
//!  start, run ─▶ pending ── deadline passed, in order of assignment ─▶ arms ─▶ block full ─▶ verdict
//! ```
//!
//! A unit counts for the arm that its lot gives it to, whatever it ran (intention to treat): which units
//! follow their lot may depend on what they have to do, the lot does not. Agents that do not follow it
//! make differences look smaller, and never turn them round.
//!
//! A trial compares a *candidate* with a *baseline*. While a new version is tried, it is the candidate
//! and a share of the units gets it; after its promotion it is the candidate still, and the version
//! before is held back on a share of them. Knows nothing of versions' contents and publishes nothing:
//! whoever asks for a [`Verdict`] carries it out.

mod course;
mod evidence;
mod pending;
mod progress;
mod unit;
mod verdict;
mod view;

use serde::{Deserialize, Serialize};

use self::course::Course;
pub use self::course::CourseView;
use self::evidence::Evidence;
pub(super) use self::pending::{Pending, Segment};
pub use self::progress::Forecast;
use self::unit::{Measure, Unit};
pub(super) use self::verdict::Verdict;
pub use self::view::{ArmView, EvidenceView, ExcludedView, MetricView, TrialView};
use super::assign::Lot;
use super::{Split, Started, TrialSpec};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::Run;
use crate::fold::RewardSpec;
use crate::gauge::ArmCounts;

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialKind {
    /// Whether a new version is to become active.
    Trial,
    /// Whether the active version does harm that the trial did not show.
    Holdback,
}

/// A trial under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) kind: TrialKind,
    pub(super) candidate: VersionNumber,
    pub(super) baseline: VersionNumber,
    pub(super) split: Split,
    spec: TrialSpec,
    measure: Measure,
    /// The e-value that promotes is one over this.
    level: f64,
    /// How many units of the version that is held back are waited for.
    holdback_units: u64,
    /// The agent's time when it began, and when the share last changed.
    begun: EventTime,
    changed: EventTime,
    now: EventTime,
    evidence: Evidence,
    #[serde(default)]
    course: Course,
    excluded: Excluded,
    /// Units by their lots, whatever they ran, at the first share and since it was raised.
    lots: [ArmCounts; 2],
    /// Units whose lot was the split's version when agents should have known of it, and those of them
    /// that ran it.
    due: (u64, u64),
    /// Whether a unit has taken the split's version yet.
    followed: bool,
    /// Units that count though they ran, or said they ran, another version than their lot's.
    strayed: u64,
    /// Outcomes that were said after their unit's deadline.
    #[serde(default)]
    late_labels: u64,
    streak: Streak,
    /// One unit in 2^this takes part.
    thinned: u32,
}

/// What a trial begins with.
pub(super) struct Opening<'a> {
    pub(super) kind: TrialKind,
    pub(super) candidate: VersionNumber,
    pub(super) baseline: VersionNumber,
    pub(super) share_bp: u16,
    pub(super) spec: &'a TrialSpec,
    pub(super) reward: &'a RewardSpec,
    /// Milliseconds at and above which a run is as slow as can be.
    pub(super) slowest: i64,
    pub(super) level: f64,
    pub(super) holdback_units: u64,
    /// The agent's time.
    pub(super) now: EventTime,
}

/// Units that count for neither arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Excluded {
    /// Ran both versions.
    mixed: u64,
    /// Came before the first unit took the split's version: nobody knew of it yet.
    early: u64,
    /// Sessions that were under way before, or go on after their deadline.
    continued: u64,
    /// Came when their place in the order had passed.
    late: u64,
}

/// Runs in order of arrival, for the emergency brake alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Streak {
    /// Broken runs of the candidate since its last sound one.
    candidate: u32,
    /// Runs of the baseline in that time, and those of them that broke.
    meanwhile: (u32, u32),
    /// Runs of the baseline in all, and those of them that broke.
    baseline: (u64, u64),
}

/// A run or the start of one, and the unit it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Note<'a> {
    pub(super) agent: &'a AgentName,
    pub(super) unit: &'a str,
    /// Whether the unit was seen before, be it in this trial or ahead of it.
    pub(super) known: bool,
    /// Whether the run broke; of what has only begun, nobody says so.
    pub(super) broken: bool,
    /// When the record arrived.
    pub(super) at: EventTime,
}

impl Trial {
    pub(super) fn open(opening: &Opening<'_>) -> Self {
        let Opening { kind, candidate, baseline, now, .. } = *opening;
        let (prefix, second) = match kind {
            TrialKind::Trial => ("trial", candidate),
            TrialKind::Holdback => ("holdback", baseline),
        };
        // A version may be held back more than once, but for each version promoted only once.
        let salt = match kind {
            TrialKind::Trial => format!("{prefix}-{second}"),
            TrialKind::Holdback => format!("{prefix}-{second}-{candidate}"),
        };
        Self {
            kind,
            candidate,
            baseline,
            split: Split { salt, share_bp: opening.share_bp },
            spec: opening.spec.clone(),
            measure: Measure { reward: opening.reward.clone(), slowest: opening.slowest.max(1) },
            level: opening.level,
            holdback_units: opening.holdback_units,
            begun: now,
            changed: now,
            now,
            evidence: Evidence::default(),
            course: Course::default(),
            excluded: Excluded::default(),
            lots: [ArmCounts::default(); 2],
            due: (0, 0),
            followed: false,
            strayed: 0,
            late_labels: 0,
            streak: Streak::default(),
            thinned: 0,
        }
    }

    /// The version beside the active one.
    pub(super) fn second(&self) -> VersionNumber {
        match self.kind {
            TrialKind::Trial => self.candidate,
            TrialKind::Holdback => self.baseline,
        }
    }

    fn first(&self) -> VersionNumber {
        match self.kind {
            TrialKind::Trial => self.baseline,
            TrialKind::Holdback => self.candidate,
        }
    }

    /// Takes note of a run that ended; false if it counts for no unit.
    pub(super) fn run(&mut self, pending: &mut Pending, run: &Run, note: Note<'_>) -> bool {
        self.advance(run.end, note.at);
        self.streak(run.version, note.broken);
        let Some(lot) = self.lot(note.agent, note.unit) else { return false };
        let deadline = self.spec.deadline;
        if !pending.contains(lot) {
            if run.start <= self.begun {
                return false;
            }
            if note.known {
                self.excluded.continued += 1;
                return false;
            }
            // One that took longer than the deadline fails; nobody announced it, so it comes now.
            let in_time = run.end.millis_since(run.start) <= deadline;
            if in_time && run.start.plus_millis(deadline) < self.now {
                self.excluded.late += 1;
                return false;
            }
        }
        let measure = &self.measure;
        let new = Unit::new(lot, run.start, run.version);
        pending.update(lot, new, |unit| unit.finish(run, measure, deadline));
        self.thin(pending);
        true
    }

    /// Takes note of how a run turned out that it took note of when nobody knew.
    pub(super) fn label(&mut self, pending: &mut Pending, run: &Run, agent: &AgentName) {
        let unit = run.session.as_deref().unwrap_or(&run.trace_id);
        let Some(lot) = self.lot(agent, unit) else { return };
        if !pending.contains(lot) {
            self.late_labels += 1;
            return;
        }
        let (measure, deadline) = (&self.measure, self.spec.deadline);
        let new = Unit::new(lot, run.start, run.version);
        pending.update(lot, new, |unit| unit.turn_out(run, measure, deadline));
    }

    /// Takes note of a run that began.
    pub(super) fn started(&mut self, pending: &mut Pending, started: &Started, note: Note<'_>) {
        self.advance(started.start, note.at);
        let Some(lot) = self.lot(note.agent, note.unit) else { return };
        let over = started.start.plus_millis(self.spec.deadline) <= self.now;
        if !pending.contains(lot) && (note.known || over || started.start <= self.begun) {
            return;
        }
        let new = Unit::new(lot, started.start, started.version);
        pending.update(lot, new, |unit| unit.announce(started.version));
        self.thin(pending);
    }

    /// Moves the trial's time on; no run can have happened after its record arrived.
    fn advance(&mut self, time: EventTime, at: EventTime) {
        let known = if at.as_millis() > 0 { time.min(at) } else { time };
        self.now = self.now.max(known);
    }

    /// The unit's lot, if it takes part.
    fn lot(&self, agent: &AgentName, unit: &str) -> Option<Lot> {
        let lot = self.split.lot(agent, unit);
        takes_part(lot, self.thinned).then_some(lot)
    }

    /// Leaves units out where more wait than are kept. Which, says nothing of their outcome.
    fn thin(&mut self, pending: &mut Pending) {
        while pending.len() > Pending::MOST && self.thinned < 16 {
            self.thinned += 1;
            let thinned = self.thinned;
            pending.retain(|lot| takes_part(lot, thinned));
        }
    }

    fn streak(&mut self, version: Option<VersionNumber>, broken: bool) {
        let streak = &mut self.streak;
        if version == Some(self.candidate) {
            if broken {
                streak.candidate = streak.candidate.saturating_add(1);
            } else {
                streak.candidate = 0;
                streak.meanwhile = (0, 0);
            }
        } else if version == Some(self.baseline) {
            streak.baseline.0 += 1;
            streak.baseline.1 += u64::from(broken);
            if streak.candidate > 0 {
                streak.meanwhile.0 = streak.meanwhile.0.saturating_add(1);
                streak.meanwhile.1 = streak.meanwhile.1.saturating_add(u32::from(broken));
            }
        }
    }

    /// Lets units into the arms whose deadline has passed, until there is a verdict.
    pub(super) fn verdict(&mut self, pending: &mut Pending) -> Option<Verdict> {
        if let Some(why) = self.burst() {
            return Some(Verdict::RollBack(why));
        }
        while let Some(unit) = pending.take_due(self.now, self.spec.deadline) {
            let closed = self.admit(&unit);
            if closed {
                self.note();
            }
            if let Some(verdict) = self.judge(&unit, closed) {
                return Some(verdict);
            }
        }
        None
    }

    /// Lets a unit into its lot's arm; true if that closed a block.
    fn admit(&mut self, unit: &Unit) -> bool {
        let raised = unit.start > self.changed && self.split.share_bp != self.first_share_bp();
        let share_bp = if raised { self.split.share_bp } else { self.first_share_bp() };
        let second = unit.lot.bucket() < share_bp;
        if let Some(lots) = self.lots.get_mut(usize::from(raised)) {
            lots.candidate += u64::from(second);
            lots.baseline += u64::from(!second);
        }
        if second && unit.start.millis_since(self.changed) >= self.spec.patience {
            self.due.0 += 1;
            self.due.1 += u64::from(unit.version == Some(self.second()));
        }
        if unit.mixed {
            self.excluded.mixed += 1;
            return false;
        }
        let own = if second { self.second() } else { self.first() };
        let follows = unit.version == Some(own);
        self.followed |= second && follows;
        if !self.followed {
            self.excluded.early += 1;
            return false;
        }
        self.strayed += u64::from(!follows);
        let (values, dither) = (unit.values(), unit.lot.chance());
        if own == self.candidate {
            self.evidence.add_candidate(values, dither)
        } else {
            self.evidence.add_baseline(values, dither)
        }
    }

    fn first_share_bp(&self) -> u16 {
        match self.kind {
            TrialKind::Trial => self.spec.first_share_bp,
            TrialKind::Holdback => self.split.share_bp,
        }
    }

    /// Raises the candidate's share.
    pub(super) fn ramp(&mut self) {
        self.split.share_bp = self.spec.share_bp;
        self.changed = self.now;
        self.due = (0, 0);
    }

    /// What the candidate's arm earned, for the watch that follows: units, and the sums of their rewards and
    /// of the squares of these, in millionths.
    pub(super) fn earned(&self) -> (u64, i64, i64) {
        let arm = self.evidence.candidate;
        (arm.units, arm.sum.reward, arm.squares)
    }

    pub(super) fn now(&self) -> EventTime {
        self.now
    }
}

/// By the low bits, of which its bucket and its segment know nothing.
fn takes_part(lot: Lot, thinned: u32) -> bool {
    lot.chance() & ((1 << thinned.min(16)) - 1) == 0
}
