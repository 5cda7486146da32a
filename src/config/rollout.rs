//! How new versions are tried and watched, and how long outcomes are waited for, checked.

use super::checks::Checks;
use super::duration::{DAY, SECOND};
use super::policy::YEAR;
use super::raw::{RawFeedback, RawTrial, RawWatch};
use crate::govern::{DriftAction, FeedbackSpec, Rollout, Split, TrialSpec, WatchSpec};

/// The most that a candidate may get: the baseline must be seen too.
const MOST: f64 = 0.9;

pub(super) fn rollout(raw: &str, checks: &mut Checks) -> Rollout {
    match raw {
        "trial" => Rollout::Trial,
        "manual" => Rollout::Manual,
        "immediate" => Rollout::Immediate,
        other => {
            let what = format!("must be trial, manual or immediate, not {other:?}");
            checks.problem("rollout", what);
            Rollout::Trial
        }
    }
}

pub(super) fn trial(raw: &RawTrial, checks: &mut Checks) -> TrialSpec {
    let first_share_bp = share("trial.first_share", raw.first_share, 0.001..=MOST, checks);
    let share_bp = share("trial.share", raw.share, 0.001..=MOST, checks);
    if first_share_bp > share_bp {
        checks.problem("trial.first_share", "must not be above trial.share: shares only grow");
    }
    TrialSpec {
        first_share_bp,
        share_bp,
        ramp_units: checks.within("trial.ramp_units", raw.ramp_units, 0..=1_000_000),
        deadline: checks.duration("trial.deadline", &raw.deadline, SECOND..=30 * DAY),
        alpha: checks.within("trial.alpha", raw.alpha, 0.0001..=0.5),
        harm_alpha: checks.within("trial.harm_alpha", raw.harm_alpha, 0.0001..=0.5),
        guardrail_alpha: checks.within("trial.guardrail_alpha", raw.guardrail_alpha, 0.0001..=0.5),
        min_effect: checks.within("trial.min_effect", raw.min_effect, 0.0..=0.5),
        success_margin: checks.within("trial.success_margin", raw.success_margin, 0.001..=0.5),
        latency_margin: checks.within("trial.latency_margin", raw.latency_margin, 0.001..=0.5),
        max_units: checks.within("trial.max_units", raw.max_units, 10..=10_000_000),
        max_duration: checks.duration("trial.max_duration", &raw.max_duration, SECOND..=YEAR),
        patience: checks.duration("trial.patience", &raw.patience, 0..=30 * DAY),
    }
}

pub(super) fn watch(raw: &RawWatch, checks: &mut Checks) -> WatchSpec {
    let on_drift = match raw.on_drift.as_str() {
        "ignore" => DriftAction::Ignore,
        "alarm" => DriftAction::Alarm,
        "rollback" => DriftAction::Rollback,
        other => {
            let what = format!("must be alarm, rollback or ignore, not {other:?}");
            checks.problem("watch.on_drift", what);
            DriftAction::Alarm
        }
    };
    WatchSpec {
        on_drift,
        baseline_runs: checks.within("watch.baseline_runs", raw.baseline_runs, 20..=1_000_000),
        drift_margin: checks.within("watch.drift_margin", raw.drift_margin, 0.001..=0.5),
        false_alarm_runs: checks.within(
            "watch.false_alarm_runs",
            raw.false_alarm_runs,
            100..=1_000_000_000,
        ),
        holdback_bp: share("watch.holdback", raw.holdback, 0.0..=0.5, checks),
        holdback_units: checks.within("watch.holdback_units", raw.holdback_units, 1..=10_000_000),
    }
}

pub(super) fn feedback(raw: &RawFeedback, checks: &mut Checks) -> FeedbackSpec {
    let before = checks.problems.len();
    let horizon = checks.duration("feedback.horizon", &raw.horizon, SECOND..=30 * DAY);
    let wait = checks.duration("feedback.wait", &raw.wait, 0..=30 * DAY);
    if checks.problems.len() == before && wait > horizon {
        let what = format!("must not be above feedback.horizon ({})", raw.horizon);
        checks.problem("feedback.wait", what);
    }
    let most = checks.within("feedback.max_waiting", raw.max_waiting, 0..=100_000);
    FeedbackSpec { horizon, wait, max_waiting: usize::try_from(most).unwrap_or(usize::MAX) }
}

/// A share in basis points.
fn share(key: &str, value: f64, range: std::ops::RangeInclusive<f64>, checks: &mut Checks) -> u16 {
    let value = checks.within(key, value, range);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let points = (value * f64::from(Split::WHOLE)).round() as u16;
    points
}
