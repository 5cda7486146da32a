//! A trial as people and dashboards see it, and as decisions record it.

use serde::{Deserialize, Serialize};

use super::course::CourseView;
use super::evidence::{Arm, Metric};
use super::progress::Forecast;
use super::verdict::number;
use super::{Pending, Trial, TrialKind};
use crate::base::{EventTime, VersionNumber};

/// Where a trial stands. Shares and means are in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialView {
    /// What it is for.
    pub kind: TrialKind,
    /// The version in question.
    pub candidate: VersionNumber,
    /// What it is compared with.
    pub baseline: VersionNumber,
    /// Share of the units that get the version beside the active one.
    pub share: f64,
    /// The share it is to be raised to.
    pub final_share: f64,
    /// The agent's time when it began.
    pub begun: EventTime,
    /// The agent's time now.
    pub now: EventTime,
    /// The candidate's arm.
    pub candidate_arm: ArmView,
    /// The baseline's arm.
    pub baseline_arm: ArmView,
    /// Units whose deadline has not come.
    pub pending: u64,
    /// Units that count for neither arm.
    pub excluded: ExcludedView,
    /// Units that count for the arm of their lot though they ran, or said they ran, another version.
    pub strayed: u64,
    /// Outcomes that were said after their unit's deadline: too late for the trial.
    #[serde(default)]
    pub late_labels: u64,
    /// One unit in so many takes part.
    pub one_in: u64,
    /// Blocks compared.
    pub blocks: u64,
    /// What was compared.
    pub metrics: Vec<MetricView>,
    /// That the candidate gains; it is promoted at the bar.
    pub gain: EvidenceView,
    /// That it does harm, over all metrics; it is rolled back at the bar.
    pub harm: EvidenceView,
    /// How the reward's confidence sequence closed in: after each block at first and later more rarely, and
    /// where it stands now.
    #[serde(default)]
    pub course: Vec<CourseView>,
    /// How much longer it may take.
    pub forecast: Forecast,
    /// What comes next, in a line.
    pub next: String,
}

/// An arm in figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmView {
    /// Units with known outcome.
    pub units: u64,
    /// Units that broke or that nobody labelled.
    pub unsound: u64,
    /// Mean reward.
    pub reward: Option<f64>,
    /// Share of successes.
    pub success: Option<f64>,
}

/// Why units count for neither arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedView {
    /// Ran both versions.
    pub mixed: u64,
    /// Came before the first unit took the split's version.
    pub early: u64,
    /// Sessions that were under way before, or go on after their deadline.
    pub continued: u64,
    /// Came when their place in the order had passed.
    pub late: u64,
}

/// One metric of both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricView {
    /// `reward`, `success`, `quickness` (latency turned round: 1 is instantaneous, 0 as slow as can be) or
    /// `soundness` (units that come to a known outcome).
    pub metric: String,
    /// The candidate's mean.
    pub candidate: Option<f64>,
    /// The baseline's mean.
    pub baseline: Option<f64>,
    /// The mean difference over blocks.
    pub effect: Option<f64>,
    /// Its confidence sequence at 95 %: it holds the true one at all times at once.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// The e-value that the candidate is worse.
    pub harm: f64,
    /// That it is no worse than its margin allows; none for the reward, which must gain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_worse: Option<EvidenceView>,
}

/// An e-value and the bar it has to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// The e-value; shown up to 10^30.
    pub e_value: f64,
    /// One over the level of the test.
    pub bar: f64,
    /// Whether it has reached it.
    pub reached: bool,
}

impl EvidenceView {
    fn of(ln: f64, bar: f64) -> Self {
        Self { e_value: shown(ln), bar: shown(bar), reached: ln >= bar }
    }
}

pub(super) fn shown(ln: f64) -> f64 {
    ln.min(69.0).exp()
}

impl ArmView {
    fn of(arm: &Arm) -> Self {
        Self {
            units: arm.units,
            unsound: arm.unsound,
            reward: arm.mean(Metric::Reward),
            success: arm.mean(Metric::Success),
        }
    }
}

impl Trial {
    pub(in crate::govern) fn view(&self, pending: &Pending) -> TrialView {
        let super::Excluded { mixed, early, continued, late } = self.excluded;
        let final_share_bp = match self.kind {
            TrialKind::Trial => self.spec.share_bp.max(self.split.share_bp),
            TrialKind::Holdback => self.split.share_bp,
        };
        let forecast = self.forecast();
        TrialView {
            kind: self.kind,
            candidate: self.candidate,
            baseline: self.baseline,
            share: self.split.share(),
            final_share: f64::from(final_share_bp) / f64::from(crate::govern::Split::WHOLE),
            begun: self.begun,
            now: self.now,
            candidate_arm: ArmView::of(&self.evidence.candidate),
            baseline_arm: ArmView::of(&self.evidence.baseline),
            pending: pending.len() as u64,
            excluded: ExcludedView { mixed, early, continued, late },
            strayed: self.strayed,
            late_labels: self.late_labels,
            one_in: 1 << self.thinned,
            blocks: self.differences(Metric::Reward).blocks(),
            metrics: Metric::ALL.map(|metric| self.metric(metric)).to_vec(),
            gain: EvidenceView::of(self.ln_gain(), self.gain_bar()),
            harm: EvidenceView::of(self.ln_harm(), self.harm_bar()),
            course: self.course(),
            forecast,
            next: self.next(forecast),
        }
    }

    fn metric(&self, metric: Metric) -> MetricView {
        let differences = self.differences(metric);
        let (low, high) = differences.interval(Forecast::ALPHA);
        MetricView {
            metric: metric.name().to_owned(),
            candidate: self.evidence.candidate.mean(metric),
            baseline: self.evidence.baseline.mean(metric),
            effect: differences.mean(),
            low,
            high,
            harm: shown(self.ln_harm_of(metric)),
            no_worse: self.ln_no_worse(metric).map(|ln| EvidenceView::of(ln, self.guardrail_bar())),
        }
    }

    /// What happens next, and when.
    fn next(&self, forecast: Forecast) -> String {
        let candidate = self.candidate;
        if self.kind == TrialKind::Holdback {
            let left = self.holdback_units.saturating_sub(self.evidence.baseline.units);
            return format!("ends after {left} more units of {} unless harm shows", self.baseline);
        }
        if self.evidence.candidate.units == 0 {
            return format!(
                "waits for units of {candidate}; each counts {} s after its start",
                self.spec.deadline / 1000
            );
        }
        let when = match (forecast.expected, forecast.expected_at) {
            (Some(0), _) => "with the next block".to_owned(),
            (Some(units), Some(at)) => format!("after about {units} more units of it, {at}"),
            (Some(units), None) => format!("after about {units} more units of it"),
            (None, _) => "if it does better than so far".to_owned(),
        };
        let least = forecast.at_least.unwrap_or_default();
        let open = self.unproven();
        let guards = if open.is_empty() {
            String::new()
        } else {
            format!(" and {} shown to be no worse", open.join(", "))
        };
        format!(
            "promoted once its gain is proven{guards} (e-value {} of {}): {when}, {least} at the earliest; \
             ends without verdict after {} more",
            number(self.ln_gain()),
            number(self.gain_bar()),
            forecast.most
        )
    }
}
