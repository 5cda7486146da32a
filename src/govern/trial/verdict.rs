//! When a trial ends, and how. Rules in the order in which they are asked; the first that fits counts.

use super::evidence::Metric;
use super::progress::Forecast;
use super::unit::Unit;
use super::{Trial, TrialKind};
use crate::gauge::{ln_e_ratio, mean_ln};

/// What is to become of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::govern) enum Verdict {
    /// The candidate has proven to be better, and no worse where it must not be.
    Promote(String),
    /// The candidate has proven to be worse.
    RollBack(String),
    /// Neither was proven in the time there was.
    Futile(String),
    /// The trial cannot be trusted, or must not go on.
    Stop(String),
    /// No harm so far: the candidate's share is raised.
    Ramp,
    /// Nothing was held against the active version, or the holdback is of no use.
    EndHoldback(String),
}

/// Weights of the metrics in the evidence of harm: its mean over them is an e-value too.
const HARM_WEIGHTS: [(Metric, f64); 4] = [
    (Metric::Reward, 0.5),
    (Metric::Success, 0.2),
    (Metric::Latency, 0.15),
    (Metric::Soundness, 0.15),
];
/// The e-value of harm, well below its bar, at which the share is not raised yet.
const DOUBT: f64 = 2.0;
/// One false alarm of lost units in a thousand trials.
const RATIO_ALPHA: f64 = 0.001;
/// Units whose lot was the split's version, before anything is said of whether agents follow it; half of
/// them have to.
const UNFOLLOWED: u64 = 20;
/// Units that ran both versions, before that is said to be too many.
const ENOUGH: u64 = 50;
/// Broken runs in a row that may be a burst, and how unlikely they must be by the baseline's runs.
const BURST: u32 = 5;
const BURST_ALPHA: f64 = 1e-5;

impl Trial {
    /// The verdict now that `unit` has come in; most are made when a block has `closed`.
    pub(super) fn judge(&self, unit: &Unit, closed: bool) -> Option<Verdict> {
        if let Some(why) = self.unsound() {
            return Some(match self.kind {
                TrialKind::Trial => Verdict::Stop(why),
                TrialKind::Holdback => Verdict::EndHoldback(why),
            });
        }
        if closed && self.ln_harm() >= self.harm_bar() {
            return Some(Verdict::RollBack(self.harm()));
        }
        let lasted = unit.start.millis_since(self.begun);
        match self.kind {
            TrialKind::Trial => self.judge_candidate(lasted, closed),
            TrialKind::Holdback => {
                let over = self.evidence.baseline.units >= self.holdback_units
                    || lasted > self.spec.max_duration;
                over.then(|| Verdict::EndHoldback(self.effect(Metric::Reward)))
            }
        }
    }

    fn judge_candidate(&self, lasted: i64, closed: bool) -> Option<Verdict> {
        let candidate = self.evidence.candidate.units;
        if closed && self.is_proven() {
            return Some(Verdict::Promote(self.gain()));
        }
        if candidate >= self.spec.max_units {
            let why = format!("after {candidate} units of {}", self.candidate);
            return Some(Verdict::Futile(self.inconclusive(&why)));
        }
        // The upper end of the confidence sequence is below what must be gained.
        let no_gain = || self.differences(Metric::Reward).ln_e_below(self.spec.min_effect);
        if closed && no_gain() >= (2.0 / self.spec.alpha).ln() {
            return Some(Verdict::Futile(self.inconclusive("a gain is ruled out")));
        }
        if lasted > self.spec.max_duration {
            return Some(Verdict::Futile(self.inconclusive("its time is up")));
        }
        let ramp = closed
            && self.split.share_bp < self.spec.share_bp
            && candidate >= self.spec.ramp_units
            && self.ln_harm() < DOUBT.ln();
        ramp.then_some(Verdict::Ramp)
    }

    /// ln of the e-value that the candidate is worse in some metric.
    pub(super) fn ln_harm(&self) -> f64 {
        mean_ln(HARM_WEIGHTS.map(|(metric, weight)| (weight, self.ln_harm_of(metric))))
    }

    pub(super) fn ln_harm_of(&self, metric: Metric) -> f64 {
        self.differences(metric).ln_e_below(0.0)
    }

    pub(super) fn harm_bar(&self) -> f64 {
        -self.spec.harm_alpha.ln()
    }

    /// ln of the e-value that the candidate gains more than must be proven.
    pub(super) fn ln_gain(&self) -> f64 {
        self.differences(Metric::Reward).ln_e_above(self.spec.min_effect)
    }

    pub(super) fn gain_bar(&self) -> f64 {
        -self.level.ln()
    }

    /// ln of the e-value that the candidate loses less than `metric` allows; none for the reward, which
    /// must gain.
    pub(super) fn ln_no_worse(&self, metric: Metric) -> Option<f64> {
        let margin = match metric {
            Metric::Reward => return None,
            Metric::Success | Metric::Soundness => self.spec.success_margin,
            Metric::Latency => self.spec.latency_margin,
        };
        Some(self.differences(metric).ln_e_above(-margin))
    }

    pub(super) fn guardrail_bar(&self) -> f64 {
        -self.spec.guardrail_alpha.ln()
    }

    pub(super) fn differences(&self, metric: Metric) -> &crate::gauge::Differences {
        self.evidence.differences(metric)
    }

    fn is_proven(&self) -> bool {
        let guarded = |metric| self.ln_no_worse(metric).is_none_or(|ln| ln >= self.guardrail_bar());
        self.ln_gain() >= self.gain_bar() && Metric::ALL.into_iter().all(guarded)
    }

    /// What no count of runs mends: lost units, agents that do not follow, units on both sides.
    fn unsound(&self) -> Option<String> {
        let (due, followed) = self.due;
        let second = self.second();
        let heeded = followed * 2 >= due && followed > 0;
        if self.kind == TrialKind::Trial && due >= UNFOLLOWED && !heeded {
            return Some(format!(
                "{followed} of {due} units that should have taken {second} did: do the agents follow \
                 prompt-updates, and say in each run which version they ran?"
            ));
        }
        let raised = [self.first_share_bp(), self.spec.share_bp].map(|bp| f64::from(bp) / 10_000.0);
        let [first, second_phase] = self.lots;
        let ln = ln_e_ratio(&[(first, raised[0]), (second_phase, raised[1])]);
        if ln >= -RATIO_ALPHA.ln() {
            let total = first.total() + second_phase.total();
            let theirs = first.candidate + second_phase.candidate;
            return Some(format!(
                "sample ratio mismatch: {theirs} of {total} units were to run {second}, too far from \
                 its share: some are lost before they report"
            ));
        }
        let counted = self.evidence.candidate.units + self.evidence.baseline.units;
        let mixed = self.excluded.mixed;
        (mixed >= ENOUGH && mixed > counted).then(|| {
            format!(
                "{mixed} units ran both versions, and {counted} one: what a unit gets must be kept"
            )
        })
    }

    /// The emergency brake, in order of arrival: the candidate's runs break one after the other, and the
    /// baseline's do not.
    pub(super) fn burst(&self) -> Option<String> {
        let streak = self.streak;
        let (runs, broken) = streak.meanwhile;
        if streak.candidate < BURST || u64::from(broken) * 2 > u64::from(runs) {
            return None;
        }
        let (runs, broken) = streak.baseline;
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
        let usual = (broken as f64 + 1.0) / (runs as f64 + 2.0);
        (usual.powi(i32::try_from(streak.candidate).unwrap_or(i32::MAX)) <= BURST_ALPHA).then(|| {
            format!(
                "the last {} runs of {} broke (aborted, or no tool call of theirs succeeded), and {} of {} \
                 of {} did",
                streak.candidate, self.candidate, broken, runs, self.baseline
            )
        })
    }

    fn gain(&self) -> String {
        format!(
            "{}; e-value {} of {}",
            self.effect(Metric::Reward),
            number(self.ln_gain()),
            number(self.gain_bar())
        )
    }

    /// The metric that speaks loudest against the candidate.
    fn harm(&self) -> String {
        let loudest =
            HARM_WEIGHTS.map(|(metric, weight)| (weight.ln() + self.ln_harm_of(metric), metric));
        let loudest = loudest.into_iter().max_by(|left, right| left.0.total_cmp(&right.0));
        let metric = loudest.map_or(Metric::Reward, |(_, metric)| metric);
        format!(
            "{}; e-value of harm {} of {}",
            self.effect(metric),
            number(self.ln_harm()),
            number(self.harm_bar())
        )
    }

    fn inconclusive(&self, why: &str) -> String {
        format!(
            "inconclusive, {why}: {}; e-value {} of {}",
            self.effect(Metric::Reward),
            number(self.ln_gain()),
            number(self.gain_bar())
        )
    }

    /// In a line: how far apart the arms are, and on how many units.
    pub(super) fn effect(&self, metric: Metric) -> String {
        let (candidate, baseline) = (&self.evidence.candidate, &self.evidence.baseline);
        let shown = |mean: Option<f64>| mean.map_or("?".to_owned(), |mean| format!("{mean:.3}"));
        let (low, high) = self.differences(metric).interval(Forecast::ALPHA);
        format!(
            "{} {} on {} units of {} against {} on {} of {}, difference {low:+.3} to {high:+.3}",
            metric.name(),
            shown(candidate.mean(metric)),
            candidate.units,
            self.candidate,
            shown(baseline.mean(metric)),
            baseline.units,
            self.baseline,
        )
    }
}

/// An e-value of this logarithm, for people.
pub(super) fn number(ln: f64) -> String {
    let value = ln.min(99.0).exp();
    if value >= 1000.0 { format!("{value:.1e}") } else { format!("{value:.1}") }
}
