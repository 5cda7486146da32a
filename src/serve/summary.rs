//! An agent in a line of a list: what it runs, how it fares and how it fared, in few bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{AgentName, EventTime, VersionNumber, rounded};
use crate::fold::Counts;
use crate::govern::{AgentView, PointView, Tally, TrialKind, TrialView};

/// An agent in a line of a list.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    agent: AgentName,
    paused: bool,
    active: Option<VersionNumber>,
    candidate: Option<VersionNumber>,
    trial: Option<Trying>,
    optimizing: Option<String>,
    revision: u64,
    watermark: Option<EventTime>,
    runs: Tally,
    waiting: u64,
    recent: Counts,
    success_rate: Option<f64>,
    mean_reward: Option<f64>,
    latency_p50: Option<f64>,
    latency_p95: Option<f64>,
    attempts_p50: Option<f64>,
    /// The newest stretches, oldest first.
    trend: Vec<Stretch>,
    versions: usize,
}

/// A trial by its reward: units of both arms, their difference, and the e-value of a gain.
#[derive(Debug, Serialize)]
struct Trying {
    kind: TrialKind,
    candidate: VersionNumber,
    baseline: VersionNumber,
    share: f64,
    units: u64,
    baseline_units: u64,
    effect: Option<f64>,
    low: f64,
    high: f64,
    e_value: f64,
    bar: f64,
}

/// When it began, runs, mean reward, share of successes, median latency in seconds and median tool calls.
type Stretch = (EventTime, u64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

/// Stretches of a trend.
const STRETCHES: usize = 24;

impl Summary {
    pub(super) fn of(view: &AgentView) -> Self {
        let recent = &view.recent;
        Self {
            agent: view.agent.clone(),
            paused: view.paused,
            active: view.active,
            candidate: view.candidate,
            trial: view.trial.as_deref().map(Trying::of),
            optimizing: view.optimizing.clone(),
            revision: view.revision,
            watermark: view.watermark,
            runs: view.runs,
            waiting: view.waiting,
            recent: recent.runs,
            success_rate: recent.success_rate,
            mean_reward: recent.mean_reward,
            latency_p50: recent.latency_p50,
            latency_p95: recent.latency_p95,
            attempts_p50: recent.attempts_p50,
            trend: trend(&view.past),
            versions: view.versions.len(),
        }
    }
}

impl Trying {
    fn of(trial: &TrialView) -> Self {
        let reward = trial.metrics.iter().find(|metric| metric.metric == "reward");
        Self {
            kind: trial.kind,
            candidate: trial.candidate,
            baseline: trial.baseline,
            share: trial.share,
            units: trial.candidate_arm.units,
            baseline_units: trial.baseline_arm.units,
            effect: reward.and_then(|metric| metric.effect),
            low: reward.map_or(-1.0, |metric| metric.low),
            high: reward.map_or(1.0, |metric| metric.high),
            e_value: trial.gain.e_value,
            bar: trial.gain.bar,
        }
    }
}

/// The newest stretches; of versions that shared one, the one with the most runs.
fn trend(past: &[PointView]) -> Vec<Stretch> {
    let mut stretches: BTreeMap<i64, &PointView> = BTreeMap::new();
    for point in past {
        let held = stretches.entry(point.pane).or_insert(point);
        if point.runs.total() > held.runs.total() {
            *held = point;
        }
    }
    let older = stretches.len().saturating_sub(STRETCHES);
    stretches.into_values().skip(older).map(stretch).collect()
}

fn stretch(point: &PointView) -> Stretch {
    let short = |figure: Option<f32>| figure.map(|figure| rounded(figure.into()));
    (
        point.from,
        point.runs.total(),
        short(point.mean_reward),
        short(point.success_rate),
        short(point.latency_p50),
        short(point.attempts_p50),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(version: u32, pane: i64, success: u64) -> PointView {
        PointView {
            version: VersionNumber(version),
            pane,
            from: EventTime::from_millis(pane + i64::from(version)),
            to: EventTime::from_millis(pane + 9),
            runs: Counts { success, ..Counts::default() },
            success_rate: Some(2.0 / 3.0),
            mean_reward: Some(0.123_456),
            latency_p50: Some(12.345_678),
            latency_p95: None,
            attempts_p50: None,
        }
    }

    fn told(past: &[PointView]) -> Vec<(i64, u64)> {
        trend(past).into_iter().map(|(from, runs, ..)| (from.as_millis(), runs)).collect()
    }

    #[test]
    fn of_versions_side_by_side_the_one_with_the_most_runs_is_told() {
        let past = [point(1, 0, 9), point(1, 100, 8), point(2, 100, 3), point(3, 100, 8)];
        assert_eq!(told(&past), [(1, 9), (101, 8)]);
        assert_eq!(
            told(&[point(1, 100, 3), point(2, 100, 8), point(2, 200, 1)]),
            [(102, 8), (202, 1)]
        );
    }

    #[test]
    fn the_newest_stretches_are_told_in_few_digits() {
        let past: Vec<_> = (0..40).map(|pane| point(1, 100 * pane, 1)).collect();
        let told = told(&past);
        assert_eq!((told.len(), told[0].0, told[23].0), (24, 1601, 3901));
        let row = serde_json::to_string(&trend(&past)[0]).unwrap();
        assert_eq!(row, "[1601,1,0.1235,0.6667,12.35,null]");
    }
}
